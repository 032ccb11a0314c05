"""Similarities of queries and items in blocks, and what may be done to them before ranking.

A matrix is `(num_queries, num_items)` and need never be whole. What was done to it is part of its type (`Raw`,
`Inductive`, `Transductive`), so that one table cannot mix what cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

Direction = Literal["t2v", "v2t"]
Array = npt.NDArray[np.floating[Any]]
Block = Callable[[slice, slice], Array]

_EVERY = slice(None)

# A float32, its float64 and exponential while it is processed, copies and comparisons.
_BYTES_PER_SCORE = 32


@dataclass(frozen=True)
class Raw:
    """Similarities as the model gives them."""

    name: ClassVar[str] = "raw"
    how: str = ""


@dataclass(frozen=True)
class Inductive:
    """Changed with what was known before the test, e.g. training captions; each query still stands alone."""

    name: ClassVar[str] = "inductive"
    how: str


@dataclass(frozen=True)
class Transductive:
    """Changed with all test queries at once, which a search engine does not have."""

    name: ClassVar[str] = "transductive"
    how: str


P = TypeVar("P", Raw, Inductive, Transductive)


@dataclass(frozen=True, eq=False)
class Scores(Generic[P]):
    """Similarities of queries and items in blocks.

    Args:
        direction: `t2v` has texts as queries and videos as items.
        block: `(rows, columns)` scores for slices of queries and items, the same numbers each time.
        block_bytes: about how much memory the blocks of one computation may take.
    """

    direction: Direction
    num_queries: int
    num_items: int
    block: Block
    processing: P
    block_bytes: int = 1 << 28

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Whole rows, a few at a time.

        Raises:
            ValueError: a similarity is NaN.
        """
        num_rows = max(1, self.block_bytes // (_BYTES_PER_SCORE * max(self.num_items, 1)))
        for start in range(0, self.num_queries, num_rows):
            rows = slice(start, min(start + num_rows, self.num_queries))
            values = self.block(rows, _EVERY)
            if values.shape != (rows.stop - start, self.num_items):
                raise ValueError(f"a block is {values.shape}; expected {(rows.stop - start, self.num_items)}")
            if np.isnan(values).any():
                raise ValueError("similarity holds NaN; look for a diverged run or an all-masked row")
            yield rows, values


def raw_scores(similarity: Array) -> Scores[Raw]:
    """Texts as queries, of a `(num_texts, num_videos)` matrix."""
    num_texts, num_videos = similarity.shape
    return Scores("t2v", num_texts, num_videos, lambda rows, columns: similarity[rows, columns], Raw())


def reversed_scores(scores: Scores[Raw]) -> Scores[Raw]:
    """Items as queries; of raw scores only, as post-processing depends on the direction."""
    direction: Direction = "v2t" if scores.direction == "t2v" else "t2v"

    def block(rows: slice, columns: slice) -> Array:
        transposed: Array = scores.block(columns, rows).T
        return transposed

    return Scores(direction, scores.num_items, scores.num_queries, block, Raw(), scores.block_bytes)


def dual_softmax(scores: Scores[Raw], *, temperature: float) -> Scores[Transductive]:
    """Each score times its share among all queries of the same item: S * softmax over queries of S / temperature."""
    shares = _log_sum_exp(scores, 1.0 / temperature)

    def block(rows: slice, columns: slice) -> Array:
        values = scores.block(rows, columns).astype(np.float64)
        return values * np.exp(values / temperature - shares[columns])

    how = f"dual softmax, temperature {temperature:g}"
    return Scores(scores.direction, scores.num_queries, scores.num_items, block, Transductive(how), scores.block_bytes)


def querybank_normalised(scores: Scores[Raw], bank: Scores[Raw], *, beta: float) -> Scores[Inductive]:
    """Scores relative to what a bank of other queries gives the same item, as logarithms: beta S - log sum exp(beta B).

    Only for queries whose best item is also the best one of some query in the bank; the others stay as they are. Scores
    of different queries can therefore not be compared. (Querybank Normalisation, dynamic inverted softmax.)

    Raises:
        ValueError: bank and scores have other items or directions.
    """
    if (bank.num_items, bank.direction) != (scores.num_items, scores.direction):
        raise ValueError(
            f"the bank has {bank.num_items} items, {bank.direction}; expected {scores.num_items}, {scores.direction}"
        )
    shares = _log_sum_exp(bank, beta)
    is_hub = np.zeros(bank.num_items, np.bool_)
    for _, values in bank.blocks():
        is_hub[values.argmax(axis=1)] = True

    def block(rows: slice, columns: slice) -> Array:
        values = scores.block(rows, _EVERY)
        is_changed = is_hub[values.argmax(axis=1), None]
        return np.where(is_changed, beta * values.astype(np.float64) - shares, values)[:, columns]

    how = f"querybank of {bank.num_queries}, beta {beta:g}"
    return Scores(scores.direction, scores.num_queries, scores.num_items, block, Inductive(how), scores.block_bytes)


def _log_sum_exp(scores: Scores[Raw], scale: float) -> npt.NDArray[np.float64]:
    """`(num_items,)`: log of the sum over queries of exp(scale * score)."""
    total = np.full(scores.num_items, -np.inf)
    for _, values in scores.blocks():
        scaled = scale * values.astype(np.float64)
        highest = np.maximum(scaled.max(axis=0), total)
        total = highest + np.log(np.exp(scaled - highest).sum(axis=0) + np.exp(total - highest))
    return total

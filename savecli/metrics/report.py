"""Recall, ranks and SumR with what must be printed beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt

from savecli.metrics.ranks import Ints, Ranks, TieRule
from savecli.metrics.scores import Direction, P

# The cut-offs that the retrieval papers report and SumR sums.
RECALL_AT = (1, 5, 10)


@dataclass(frozen=True)
class Interval:
    """Where a number lies with the given probability, were the queries drawn anew."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Report(Generic[P]):
    """One direction's numbers, with what must be printed beside them.

    Args:
        num_items: size of the gallery.
        recall: percent of queries whose true item is among the first k, by k.
        median_rank, mean_rank, rank_std: of 1-based ranks.
    """

    direction: Direction
    processing: P
    ties: TieRule
    num_queries: int
    num_items: int
    recall: Mapping[int, float]
    median_rank: float
    mean_rank: float
    rank_std: float

    @property
    def sum_recall(self) -> float:
        """SumR of this direction: R@1 + R@5 + R@10, of at most 300."""
        return sum(self.recall[k] for k in RECALL_AT)


def report(ranks: Ranks[P], *, ties: TieRule = "strict", ks: Sequence[int] = RECALL_AT) -> Report[P]:
    """The numbers of one direction.

    Under `reference` all are averages over the ranks that the published code lists, of which a tied query may have
    several; the median of texts with grouped captions is then the lower one of the middle two.

    Raises:
        ValueError: a k is below 1.
    """
    _check(ks)
    places, _ = ranks.places(ties)
    has_lower = ranks.has_lower_median(ties)
    median = np.sort(places)[(len(places) - 1) // 2] if has_lower else np.median(places)
    return Report(
        direction=ranks.direction,
        processing=ranks.processing,
        ties=ties,
        num_queries=len(ranks.num_above),
        num_items=ranks.num_items,
        recall={k: 100.0 * float((places <= k).mean()) for k in ks},
        median_rank=float(median),
        mean_rank=float(places.mean()),
        rank_std=float(places.std()),
    )


@dataclass(frozen=True)
class SumOfRecalls:
    """SumR over the named directions, as papers differ in which they sum."""

    value: float
    directions: tuple[Direction, ...]


def sum_of_recalls(*reports: Report[P]) -> SumOfRecalls:
    """SumR of one or both directions.

    Raises:
        ValueError: none or twice the same direction, or scores that were processed differently.
    """
    _check_comparable(reports)
    directions = tuple(report.direction for report in reports)
    if not directions or len(set(directions)) < len(directions):
        raise ValueError(f"directions are {directions}; allowed: each at most once, and at least one")
    return SumOfRecalls(sum(report.sum_recall for report in reports), directions)


@dataclass(frozen=True)
class Table(Generic[P]):
    """Reports that may stand side by side, by name of their system.

    Raises:
        ValueError: raw, inductive and transductive scores are mixed.
    """

    rows: Mapping[str, Report[P]]

    def __post_init__(self) -> None:
        _check_comparable(tuple(self.rows.values()))


@dataclass(frozen=True)
class RecallIntervals:
    """Intervals of R@k by k, of SumR where all its cut-offs are there, and of ranks where they were asked for."""

    recall: Mapping[int, Interval]
    sum_recall: Interval | None
    median_rank: Interval | None = None
    mean_rank: Interval | None = None


def recall_intervals(
    ranks: Ranks[P],
    rng: np.random.Generator,
    *,
    ties: TieRule = "strict",
    ks: Sequence[int] = RECALL_AT,
    num_resamples: int = 1000,
    level: float = 0.95,
) -> RecallIntervals:
    """How far recall would move, were the queries drawn anew: percentiles of a bootstrap over queries.

    It knows nothing of the gallery, which stays as it is, nor that several captions may tell of one video; where they
    do, the true intervals are wider.

    Raises:
        ValueError: a k is below 1, the level is not between 0 and 1, or there are no resamples.
    """
    _check(ks)
    if not 0 < level < 1 or num_resamples < 1:
        raise ValueError(f"level is {level}, num_resamples {num_resamples}; allowed: 0 to 1, and 1 or more")
    places, queries = ranks.places(ties)
    num_queries = len(ranks.num_above)
    found = np.stack([_per_query(places <= k, queries, num_queries) for k in ks])
    listed = _per_query(np.ones(len(places), np.bool_), queries, num_queries)
    samples = np.empty((num_resamples, len(ks)))
    for sample in samples:
        drawn = rng.integers(num_queries, size=num_queries)
        sample[:] = 100.0 * found[:, drawn].sum(axis=1) / listed[drawn].sum()
    has_sum = set(RECALL_AT) <= set(ks)
    total = samples[:, [list(ks).index(k) for k in RECALL_AT]].sum(axis=1) if has_sum else None
    return RecallIntervals(
        recall={k: _interval(samples[:, column], level) for column, k in enumerate(ks)},
        sum_recall=None if total is None else _interval(total, level),
    )


def _per_query(is_counted: npt.NDArray[np.bool_], queries: Ints, num_queries: int) -> Ints:
    return np.bincount(queries[is_counted], minlength=num_queries)


def _interval(samples: npt.NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def _check(ks: Sequence[int]) -> None:
    if any(k < 1 for k in ks):
        raise ValueError(f"k is {min(ks)}; allowed: 1 or more")


def _check_comparable(reports: Sequence[Report[P]]) -> None:
    names = sorted({report.processing.name for report in reports})
    if len(names) > 1:
        raise ValueError(f"one table holds {' and '.join(names)} scores; they cannot be compared")

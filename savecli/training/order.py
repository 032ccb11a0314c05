"""Which pairs make which batch: decided by the seed and the epoch alone, so that a resumed run goes on alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savecli.datasets.base import DatasetClip


@dataclass(frozen=True)
class Pair:
    """One sample: a clip and one of its captions."""

    clip: DatasetClip
    caption: str


def all_pairs(clips: Sequence[DatasetClip]) -> list[Pair]:
    """Every caption with its clip."""
    return [Pair(clip, caption.text) for clip in clips for caption in clip.captions]


def pairs_digest(pairs: Sequence[Pair]) -> str:
    """Tells whether two runs draw from the same pairs in the same order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(_encoded(f"{pair.clip.clip_id}\0{pair.caption}\0"))
    return digest.hexdigest()


def _encoded(text: str) -> bytes:
    """Bytes of a text, also of one with names that are no UTF-8, or with half a character."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def epoch_batches(
    pairs: Sequence[Pair], *, batch_size: int, seed: int, epoch: int, distinct_clips: bool = False
) -> list[list[int]]:
    """Places of the pairs of each batch, in random order; what does not fill a batch is left out.

    Args:
        distinct_clips: no clip twice in a batch. Pairs that find no batch without their clip are left out.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(pairs)).tolist()
    if distinct_clips:
        return _distinct(order, pairs, batch_size)
    return [order[start : start + batch_size] for start in range(0, len(order) - batch_size + 1, batch_size)]


def num_steps(
    pairs: Sequence[Pair], *, batch_size: int, seed: int, num_epochs: int, distinct_clips: bool = False
) -> int:
    """Batches of all epochs together; kept distinct, epochs differ by a few."""
    if not distinct_clips:
        return num_epochs * (len(pairs) // batch_size)
    epochs = (
        epoch_batches(pairs, batch_size=batch_size, seed=seed, epoch=epoch, distinct_clips=True)
        for epoch in range(num_epochs)
    )
    return sum(map(len, epochs))


def _distinct(order: Sequence[int], pairs: Sequence[Pair], batch_size: int) -> list[list[int]]:
    """Each pair goes into the first open batch that lacks its clip."""
    done: list[list[int]] = []
    open_batches: list[tuple[list[int], set[str]]] = []
    for place in order:
        clip_id = pairs[place].clip.clip_id
        found = next((item for item in open_batches if clip_id not in item[1]), None)
        if found is None:
            found = ([], set())
            open_batches.append(found)
        found[0].append(place)
        found[1].add(clip_id)
        if len(found[0]) == batch_size:
            done.append(found[0])
            open_batches.remove(found)
    return done

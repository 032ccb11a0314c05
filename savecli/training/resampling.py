"""How far recall would move, were the clips of a split drawn anew: a bootstrap over clips, not over captions.

Captions of one clip stand or fall together. Drawing them apart, as if each were news, gives intervals that are too
narrow wherever a clip has several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from savecli.metrics.ranks import Ints, Ranks, TieRule
from savecli.metrics.report import Interval

LEVEL = 0.95
# Bounds the memory of one block of draws: this many times the number of clips.
_DRAWS_AT_ONCE = 100

Samples = npt.NDArray[np.float64]


class ClipHits(NamedTuple):
    """What each of `V` clips adds to recall: `found` `(V, K)` queries within each k, of `listed` `(V,)`."""

    found: npt.NDArray[np.float64]
    listed: npt.NDArray[np.float64]


def clip_hits(ranks: Ranks[Any], clip_of_query: Ints, *, num_clips: int, ties: TieRule, ks: Sequence[int]) -> ClipHits:
    """The ranks counted by clip."""
    places, queries = ranks.places(ties)
    clips = clip_of_query[queries]
    found = [np.bincount(clips[places <= k], minlength=num_clips) for k in ks]
    return ClipHits(np.stack(found, axis=1).astype(np.float64), np.bincount(clips, minlength=num_clips).astype(float))


def resampled_recalls(held: Sequence[ClipHits], rng: np.random.Generator, *, num_resamples: int) -> list[Samples]:
    """For each of `held`, `(num_resamples, K)` percent: recall of clips drawn with replacement, the same for all.

    Clips without any query are not drawn.
    """
    is_drawn = np.sum([hits.listed for hits in held], axis=0) > 0
    num_clips = int(is_drawn.sum())
    out = [np.empty((num_resamples, hits.found.shape[1])) for hits in held]
    for start in range(0, num_resamples, _DRAWS_AT_ONCE):
        rows = slice(start, min(start + _DRAWS_AT_ONCE, num_resamples))
        size = rows.stop - rows.start
        times = rng.multinomial(num_clips, np.full(num_clips, 1 / num_clips), size=size).astype(np.float64)
        for hits, samples in zip(held, out, strict=True):
            samples[rows] = 100.0 * (times @ hits.found[is_drawn]) / (times @ hits.listed[is_drawn])[:, None]
    return out


def interval_of(samples: Samples) -> Interval:
    """The middle part of the samples."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL)

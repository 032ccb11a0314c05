"""How far recall and ranks would move, were the clips of a split drawn anew: a bootstrap over clips, not captions.

Captions of one clip stand or fall together. Drawing them apart, as if each were news, gives intervals that are too
narrow wherever a clip has several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """What each of `V` clips adds to recall, and the ranks of its queries.

    Args:
        found: `(V, K)` queries within each k.
        listed: `(V,)` queries.
        places, clips: `(P,)` all ranks in ascending order, and the clip that each is of.
        has_lower_median: see `Ranks.has_lower_median`.
    """

    found: npt.NDArray[np.float64]
    listed: npt.NDArray[np.float64]
    places: Ints
    clips: Ints
    has_lower_median: bool


class Resampled(NamedTuple):
    """Of each draw the percents of recall, `(N, K)`, and the median and mean rank, `(N,)`."""

    recalls: Samples
    medians: Samples
    means: Samples


def clip_hits(ranks: Ranks[Any], clip_of_query: Ints, *, num_clips: int, ties: TieRule, ks: Sequence[int]) -> ClipHits:
    """The ranks counted by clip."""
    places, queries = ranks.places(ties)
    clips = clip_of_query[queries]
    found = [np.bincount(clips[places <= k], minlength=num_clips) for k in ks]
    order = np.argsort(places, kind="stable")
    return ClipHits(
        np.stack(found, axis=1).astype(np.float64),
        np.bincount(clips, minlength=num_clips).astype(float),
        places[order],
        clips[order],
        ranks.has_lower_median(ties),
    )


def resampled_recalls(held: Sequence[ClipHits], rng: np.random.Generator, *, num_resamples: int) -> list[Samples]:
    """For each of `held`, `(num_resamples, K)` percent: recall of clips drawn with replacement, the same for all.

    Clips without any query are not drawn.
    """
    out = [np.empty((num_resamples, hits.found.shape[1])) for hits in held]
    for rows, times in _draws(held, rng, num_resamples):
        for hits, samples in zip(held, out, strict=True):
            samples[rows] = 100.0 * (times @ hits.found) / (times @ hits.listed)[:, None]
    return out


def resampled(held: Sequence[ClipHits], rng: np.random.Generator, *, num_resamples: int) -> list[Resampled]:
    """As `resampled_recalls` and of the same draws, with the ranks, which stay those in the whole gallery."""
    out = [
        Resampled(np.empty((num_resamples, hits.found.shape[1])), np.empty(num_resamples), np.empty(num_resamples))
        for hits in held
    ]
    for rows, times in _draws(held, rng, num_resamples):
        for hits, samples in zip(held, out, strict=True):
            listed = times @ hits.listed
            total = np.bincount(hits.clips, hits.places, minlength=times.shape[1])
            samples.recalls[rows] = 100.0 * (times @ hits.found) / listed[:, None]
            samples.means[rows] = times @ total / listed
            samples.medians[rows] = [_median(hits, row) for row in times]
    return out


def _draws(
    held: Sequence[ClipHits], rng: np.random.Generator, num_resamples: int
) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
    """Blocks of draws, `(n, V)`: how often each clip was drawn."""
    is_drawn = np.sum([hits.listed for hits in held], axis=0) > 0
    num_clips = int(is_drawn.sum())
    for start in range(0, num_resamples, _DRAWS_AT_ONCE):
        rows = slice(start, min(start + _DRAWS_AT_ONCE, num_resamples))
        times = np.zeros((rows.stop - rows.start, len(is_drawn)))
        times[:, is_drawn] = rng.multinomial(num_clips, np.full(num_clips, 1 / num_clips), size=len(times))
        yield rows, times


def _median(hits: ClipHits, times: npt.NDArray[np.float64]) -> float:
    """Of the ranks, each as often as its clip was drawn."""
    up_to = np.cumsum(times[hits.clips])
    middle = (up_to[-1] - 1) // 2, up_to[-1] // 2
    low, high = hits.places[np.searchsorted(up_to, middle, side="right")]
    return float(low if hits.has_lower_median else (low + high) / 2)


def interval_of(samples: Samples) -> Interval:
    """The middle part of the samples."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL)

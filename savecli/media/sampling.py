"""Evenly spread moments and items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

from savecli.core.records import Span

Item = TypeVar("Item")
Part = Literal["spread", "first", "last"]


def uniform_times(span: Span, num_frames: int) -> tuple[float, ...]:
    """The middles of `num_frames` equal parts of the span, in seconds.

    Middles, not borders: the first and last frames of a clip are often black or belong to its neighbours.

    Raises:
        ValueError: `num_frames` is negative.
    """
    if num_frames < 0:
        raise ValueError(f"num_frames is {num_frames}; allowed: 0 or more")
    step_s = span.duration_s / max(num_frames, 1)
    return tuple(span.start_s + (n + 0.5) * step_s for n in range(num_frames))


def evenly_spread(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """`count` items, the middle ones of `count` equal runs; all of them when there are no more than that.

    Raises:
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count is {count}; allowed: 0 or more")
    if len(items) <= count:
        return tuple(items)
    return tuple(items[(2 * n + 1) * len(items) // (2 * count)] for n in range(count))


def per_second_idx(rate_hz: float, num_stored: int) -> tuple[int, ...]:
    """Places of the published one frame a second among the `num_stored` frames of a file.

    The rate is cut down to whole frames, so that at 29.97 Hz the step is 29 frames, a little under a second.

    Raises:
        ValueError: less than one frame a second, for which the published rule has no step; or a negative number.
    """
    if rate_hz < 1:
        raise ValueError(f"rate_hz is {rate_hz}; allowed: 1 or more")
    if num_stored < 0:
        raise ValueError(f"num_stored is {num_stored}; allowed: 0 or more")
    return tuple(range(0, num_stored, int(rate_hz)))


def published_part(items: Sequence[Item], count: int, part: Part = "spread") -> tuple[Item, ...]:
    """At most `count` items as the published systems choose them: `spread` holds the first and the last of all.

    The three parts are their slices 2, 0 and 1. `evenly_spread` is ours: it leaves the ends, often black, alone.

    Raises:
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count is {count}; allowed: 0 or more")
    if len(items) <= count:
        return tuple(items)
    if part == "first":
        return tuple(items[:count])
    if part == "last":
        return tuple(items[len(items) - count :])
    # Cut down, not rounded, so that neighbours' gaps differ by one.
    return tuple(items[int(place)] for place in np.linspace(0, len(items) - 1, count))

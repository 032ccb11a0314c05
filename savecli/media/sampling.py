"""Evenly spread moments and items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from savecli.core.records import Span

Item = TypeVar("Item")


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

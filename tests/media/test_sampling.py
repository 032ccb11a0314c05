"""Even spreading."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.core.records import Span
from savecli.media.sampling import evenly_spread, uniform_times


@pytest.mark.parametrize("num_frames", [1, 2, 12, 32])
def test_uniform_times_are_the_middles_of_equal_parts(num_frames: int) -> None:
    times_s = uniform_times(Span(10, 16), num_frames)
    edges = np.linspace(10, 16, num_frames + 1)
    assert times_s == pytest.approx((edges[:-1] + edges[1:]) / 2)


def test_no_frames_are_no_times() -> None:
    assert uniform_times(Span(0, 5), 0) == ()
    assert evenly_spread([1, 2, 3], 0) == ()


@pytest.mark.parametrize("count", range(1, 25))
@pytest.mark.parametrize("num_items", [1, 5, 12, 13, 24, 36])
def test_spread_items_keep_their_order_and_even_gaps(num_items: int, count: int) -> None:
    chosen = evenly_spread(range(num_items), count)
    assert len(chosen) == min(count, num_items)
    gaps = np.diff(chosen)
    assert (gaps >= 1).all()
    assert gaps.max(initial=0) - gaps.min(initial=num_items) <= 1


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="num_frames is -1"):
        uniform_times(Span(0, 1), -1)
    with pytest.raises(ValueError, match="count is -1"):
        evenly_spread([1], -1)

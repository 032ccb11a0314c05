"""Even spreading."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from savecli.core.records import Span
from savecli.media.sampling import Part, evenly_spread, per_second_idx, published_part, uniform_times


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


def test_the_published_frames_are_met(golden: Path) -> None:
    said = json.loads((golden / "frames.json").read_text(encoding="utf-8"))
    slices: dict[str, Part] = {"0": "first", "1": "last", "2": "spread"}
    assert said["cases"]
    for case in said["cases"]:
        places = per_second_idx(case["fps"], case["frame_count"])
        assert list(places) == case["one_fps"]
        for name, expected in case.items():
            if match := re.fullmatch(r"max(\d+)_slice(\d)", name):
                assert list(published_part(places, int(match[1]), slices[match[2]])) == expected, (case, name)
    assert "fps_below_one" in said
    with pytest.raises(ValueError, match=r"rate_hz is 0\.5; allowed: 1 or more"):
        per_second_idx(0.5, 10)


@pytest.mark.parametrize("part", ["spread", "first", "last"])
def test_a_part_has_at_most_the_count(part: Part) -> None:
    assert published_part([], 3, part) == ()
    assert published_part([1, 2], 0, part) == ()
    assert published_part([1, 2, 3], 3, part) == (1, 2, 3)
    assert len(published_part(range(20), 6, part)) == 6


def test_negative_numbers_have_no_published_frames() -> None:
    with pytest.raises(ValueError, match="count is -1"):
        published_part([1], -1)
    with pytest.raises(ValueError, match="num_stored is -1"):
        per_second_idx(25, -1)

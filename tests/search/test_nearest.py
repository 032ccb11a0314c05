"""The nearest clips among those that a filter leaves, beside a vector index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lancedb.index import IvfRq

from savecli.archive.store import Archive
from savecli.search import candidates
from savecli.search.candidates import nearest_clips
from savecli.search.filters import Filters, eligible_videos
from tests.search.hand_made import EAST, NORTH, make_archive, record

NUM_CLIPS = 600


@pytest.fixture
def half_east(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive with an index of which only the nearest part is looked through: half of its clips point east."""
    clips = [
        ("", (direction + 0.05 * rng.normal(size=8)).astype(np.float32))
        for direction in [EAST] * (NUM_CLIPS // 2) + [NORTH] * (NUM_CLIPS // 2)
    ]
    archive = make_archive(tmp_path / "made.save", record("pictures"), clips)
    table = archive.vector_table(archive.manifest.encoder)
    assert table is not None
    table.create_index("seen", config=IvfRq(distance_type="cosine", num_partitions=8, num_bits=4))
    monkeypatch.setattr(candidates, "NUM_PROBES", 1)
    monkeypatch.setattr(candidates, "MAX_EXACT_ROWS", 0)
    return archive


def found(archive: Archive, filters: Filters, *, count: int) -> list[int]:
    table = archive.vector_table(archive.manifest.encoder)
    nearest = nearest_clips(table, "seen", EAST, eligible_videos(archive, filters), count=count)
    return [int(clip_id.partition(":")[0]) for clip_id in nearest.clip_ids]


def test_a_filter_that_leaves_only_what_is_far_away_still_finds_as_many(half_east: Archive) -> None:
    far = tuple(f"{number}.mp4" for number in range(NUM_CLIPS // 2, NUM_CLIPS))
    numbers = found(half_east, Filters(inside=far), count=200)
    assert len(set(numbers)) == 200
    assert min(numbers) >= NUM_CLIPS // 2


def test_without_a_filter_the_nearest_part_is_looked_through(half_east: Archive) -> None:
    numbers = found(half_east, Filters(), count=20)
    assert len(numbers) == 20
    assert max(numbers) < NUM_CLIPS // 2


def test_the_same_filter_follows_videos_that_come(half_east: Archive) -> None:
    filters = Filters(longer_s=4.0)
    assert eligible_videos(half_east, filters).condition is None
    assert eligible_videos(half_east, filters) is eligible_videos(half_east, filters)
    shorter = half_east.video_rows("path = '/v/1.mp4'")[0]
    half_east.put_videos([replace(shorter, duration_s=1.0)])
    assert "0001" in str(eligible_videos(half_east, filters).condition)

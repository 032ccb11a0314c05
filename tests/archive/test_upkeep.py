"""When a table is compacted: what is rewritten stays in proportion to what was added."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from lancedb.index import IvfRq
from lancedb.query import MatchQuery

from savecli.archive.create import create_archive, create_text_indexes
from savecli.archive.manifest import EncoderRecord
from savecli.archive.schema import CLIPS, ClipRow, VideoRow, clip_to_dict
from savecli.archive.store import Archive
from savecli.archive.upkeep import REWRITES, finish, is_due, optimise, optimise_all
from savecli.core.records import ClipEmbedding

CLIPS_PER_VIDEO = 20


def add_video(archive: Archive, number: int, *, num_clips: int = CLIPS_PER_VIDEO) -> None:
    video_id = f"id{number}"
    clips = [ClipRow(video_id, idx, idx, idx + 1, f"word{number} and others") for idx in range(num_clips)]
    archive.clips.add([clip_to_dict(clip) for clip in clips])
    archive.put_videos([VideoRow(path=f"/v/{number}.mp4", video_id=video_id, num_clips=num_clips)])


def data_files(archive: Archive, table: str = "clips") -> dict[str, int]:
    """Bytes of every data file that ever was, within the hour for which versions are kept."""
    return {path.name: path.stat().st_size for path in (archive.folder / f"{table}.lance/data").glob("*.lance")}


@pytest.fixture
def large(tmp_path: Path) -> Archive:
    """An archive that one run filled with 20,000 clips."""
    archive = create_archive(tmp_path / "large.save")
    rows = [clip_to_dict(ClipRow(f"big{idx // 100}", idx % 100, 0, 1, f"number {idx}")) for idx in range(20_000)]
    archive.clips.add(pa.Table.from_pylist(rows, schema=CLIPS))
    archive.put_videos(
        [VideoRow(path=f"/big/{number}.mp4", video_id=f"big{number}", num_clips=100) for number in range(200)]
    )
    create_text_indexes(archive.videos, archive.clips, language="English")
    finish(archive)
    return archive


def test_one_video_more_does_not_rewrite_a_large_archive(large: Archive) -> None:
    before = data_files(large)
    for number in range(3):
        add_video(large, number)
        finish(large)
        added = {name: size for name, size in data_files(large).items() if name not in before}
        assert sum(added.values()) < sum(before.values()) / 20
        (found,) = large.clips.search(MatchQuery(f"word{number}", "text"), query_type="fts").limit(1).to_list()
        assert found["video_id"] == f"id{number}"


def test_growing_rewrites_in_proportion(tmp_path: Path) -> None:
    archive = create_archive(tmp_path / "growing.save")
    written: dict[str, int] = {}
    for number in range(240):
        archive.clips.add([clip_to_dict(ClipRow(f"id{number}", idx, 0, 1, "word")) for idx in range(CLIPS_PER_VIDEO)])
        if number % 20 == 19:
            optimise(archive)
            written |= data_files(archive)
    added = sum(size for name, size in written.items() if size < 2 * min(written.values()))
    assert archive.clips.stats()["fragment_stats"]["num_small_fragments"] <= 60
    assert sum(written.values()) < REWRITES * added


def test_a_large_share_of_new_or_deleted_rows_is_due_and_many_small_files(large: Archive) -> None:
    assert not is_due(large.clips, is_end=True)
    add_video(large, 0, num_clips=2200)
    assert is_due(large.clips, is_end=True), "queries would go through 2,200 texts one by one"
    assert not is_due(large.clips, is_end=False), "in the middle of a run more are to come"
    finish(large)
    assert large.clips.index_stats("text_idx").num_unindexed_rows == 0
    large.clips.delete("video_id < 'big14'")
    assert is_due(large.clips, is_end=False), "much of it is deleted"

    for number in range(1, 45):
        large.failures.add([{"path": f"{number}", "size_bytes": 1, "mtime_ns": 1, "reason": "", "failed_at_s": 1}])
    assert is_due(large.failures, is_end=False)


def test_versions_that_nobody_reads_any_more_are_due_in_the_end(large: Archive) -> None:
    for number in range(6):
        add_video(large, number)
        large.clips.optimize()  # rewrites all of it, and keeps what was
    assert not is_due(large.clips, is_end=True), "a query may still read them"
    for path in (large.folder / "clips.lance/_versions").iterdir():
        os.utime(path, (1e9, 1e9))
    assert is_due(large.clips, is_end=True)
    assert not is_due(large.clips, is_end=False)


def test_optimise_all_leaves_one_file_one_version_and_new_indexes(large: Archive) -> None:
    for number in range(3):
        add_video(large, number)
    large.clips.delete("video_id = 'big1'")
    optimise_all(large)
    for name in ("clips", "videos"):
        table = large.open_table(name)
        assert table.stats()["fragment_stats"]["num_fragments"] == 1
        assert len(data_files(large, name)) == 1
        assert len(list((large.folder / f"{name}.lance/_versions").glob("*.manifest"))) == 1
        assert {table.index_stats(index.name).num_unindexed_rows for index in table.list_indices()} == {0}
    assert large.clips.count_rows() == 20_000 - 100 + 3 * CLIPS_PER_VIDEO


def test_optimise_all_drops_a_vector_index_of_few_rows(tmp_path: Path) -> None:
    archive = create_archive(tmp_path / "shrunk.save")
    record = EncoderRecord(name="any", label="any", fingerprint="0123456789abcdef", dimension=8)
    table = archive.make_vector_table(record)
    assert table is not None
    clips = [ClipRow("id", idx, 0, 1, "") for idx in range(300)]
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    archive.add_vectors(clips, [ClipEmbedding(pooled=vector) for vector in vectors], table)
    table.create_index("seen", config=IvfRq(distance_type="cosine", num_partitions=2), name="seen_built_at_300")
    table.delete(f"clip_id != '{clips[0].clip_id}'")
    optimise_all(archive)
    assert not table.list_indices()
    assert table.count_rows() == 1

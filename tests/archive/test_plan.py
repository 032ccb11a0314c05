"""What an index run decides, from two lists; no video is decoded and no database opened."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from savecli.archive.plan import IndexPlan, plan_index
from savecli.archive.schema import FailureRow, VideoRow
from savecli.core.hashing import content_hash, sample_hash
from savecli.core.records import Scan, VideoFile


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def write(path: Path, content: bytes = b"content", *, mtime_ns: int = 10**18) -> VideoFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return VideoFile(path, len(content), mtime_ns)


def row_of(file: VideoFile) -> VideoRow:
    return VideoRow(
        path=str(file.path),
        video_id=content_hash(file.path),
        sample_hash=sample_hash(file.path),
        size_bytes=file.size_bytes,
        mtime_ns=file.mtime_ns,
    )


def plan(root: Path, files: list[VideoFile], rows: list[VideoRow], **options: object) -> IndexPlan:
    return plan_index(Scan(tuple(files)), [root], rows, **options)  # type: ignore[arg-type]


def kinds(found: IndexPlan) -> dict[str, int]:
    """How many of each kind, without the empty ones."""
    return {name: len(value) for name, value in vars(found).items() if value}


def test_unchanged_files_are_not_opened(root: Path) -> None:
    file = write(root / "a.mp4")
    row = row_of(file)
    file.path.unlink()  # opening it would fail
    assert kinds(plan(root, [file], [row])) == {"unchanged": 1}


def test_a_new_file_is_read_only_when_its_size_is_known(root: Path) -> None:
    file = write(root / "a.mp4", b"1234567")
    other = row_of(write(root / "b.mp4", b"12345678"))
    file.path.unlink()
    assert kinds(plan(root, [file], [replace(other, path="/elsewhere/b.mp4")])) == {"new": 1}


def test_two_files_that_swapped_names_are_both_changed_not_lost(root: Path) -> None:
    first, second = write(root / "a.mp4", b"1111"), write(root / "b.mp4", b"2222")
    rows = [row_of(first), row_of(second)]
    swapped = [write(root / "a.mp4", b"2222", mtime_ns=10**18 + 1), write(root / "b.mp4", b"1111", mtime_ns=10**18 + 1)]
    assert kinds(plan(root, swapped, rows)) == {"changed": 2}


def test_one_missing_row_is_moved_to_one_file_only(root: Path) -> None:
    gone = write(root / "old.mp4")
    row = row_of(gone)
    gone.path.unlink()
    files = [write(root / "new1.mp4"), write(root / "new2.mp4")]
    found = plan(root, files, [row])
    assert kinds(found) == {"moved": 1, "new": 1}
    assert found.moved[0].file.path.name == "new1.mp4"


def test_same_size_and_samples_but_another_middle_is_new(root: Path) -> None:
    size = 8 << 20
    old = write(root / "old.mp4", bytes(size))
    row = row_of(old)
    old.path.unlink()
    data = bytearray(size)
    data[2 << 20] = 1  # between the samples of start, middle and end
    file = write(root / "new.mp4", bytes(data), mtime_ns=10**18 + 1)
    assert sample_hash(file.path) == row.sample_hash
    assert kinds(plan(root, [file], [row])) == {"new": 1, "missing": 1}


def test_rows_below_an_offline_root_are_left_alone(root: Path) -> None:
    row = row_of(write(root / "drive/a.mp4"))
    scan = Scan(files=(), offline_roots=(root / "drive",))
    assert kinds(plan_index(scan, [root / "drive"], [row])) == {"offline": 1}


def test_rows_of_other_roots_are_not_touched(root: Path) -> None:
    row = VideoRow(path="/elsewhere/a.mp4", video_id="x")
    sibling = VideoRow(path=f"{root}-2/a.mp4", video_id="y")
    assert kinds(plan(root, [], [row, sibling])) == {}


def test_a_file_that_is_only_excluded_is_not_missing(root: Path) -> None:
    assert kinds(plan(root, [], [row_of(write(root / "a.mp4"))])) == {}


def test_a_failure_is_tried_again_when_the_file_changes_or_on_request(root: Path) -> None:
    file = write(root / "a.mp4")
    failure = FailureRow(str(file.path), file.size_bytes, file.mtime_ns, "broken", 0)
    assert kinds(plan(root, [file], [], failures=[failure])) == {"failed_before": 1}
    assert kinds(plan(root, [file], [], failures=[failure], retry_failed=True)) == {"new": 1}
    assert kinds(plan(root, [file], [], failures=[replace(failure, mtime_ns=1)])) == {"new": 1}


def test_a_missing_file_that_is_back_returns(root: Path) -> None:
    file = write(root / "a.mp4")
    assert kinds(plan(root, [file], [replace(row_of(file), is_missing=True)])) == {"returned": 1}


def test_short_files_come_first(root: Path) -> None:
    files = [write(root / "a.mp4", b"123"), write(root / "b.mp4", b"1"), write(root / "c.mp4", b"12")]
    assert [todo.file.path.name for todo in plan(root, files, []).todo] == ["b.mp4", "c.mp4", "a.mp4"]

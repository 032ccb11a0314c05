"""Finding videos: what is listed, what is left out, and what is said of the rest."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from savecli.core.records import Scan
from savecli.media.scan import find_videos


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(scan: Scan, root: Path) -> list[str]:
    return [file.path.relative_to(root).as_posix() for file in scan.files]


def test_files_are_found_at_every_depth_and_sorted(tmp_path: Path) -> None:
    for name in ("b/x.MKV", "a.mp4", "b/c/d/e.WebM", "notes.txt", "b/cover.jpg", "raw.h264", "no_suffix"):
        touch(tmp_path / name)
    scan = find_videos([tmp_path])
    assert names(scan, tmp_path) == ["a.mp4", "b/c/d/e.WebM", "b/x.MKV", "raw.h264"]
    assert [file.path for file in scan.files] == sorted(file.path for file in scan.files)
    assert not scan.skipped
    assert not scan.offline_roots


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.mp4", b"12345")
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    (file,) = find_videos([tmp_path]).files
    assert (file.size_bytes, file.mtime_ns) == (5, path.stat().st_mtime_ns)


def test_junk_is_left_out(tmp_path: Path) -> None:
    junk = ("._a.mp4", ".hidden.mp4", ".thumbnails/a.mp4", "x/@eaDir/a.mp4", "$RECYCLE.BIN/a.mp4", ".Trash-1000/a.mp4")
    for name in (*junk, "#recycle/a.mp4", "System Volume Information/a.mp4", "kept.mp4"):
        touch(tmp_path / name)
    assert names(find_videos([tmp_path]), tmp_path) == ["kept.mp4"]


def test_a_hidden_folder_can_be_a_root(tmp_path: Path) -> None:
    touch(tmp_path / ".cache" / "a.mp4")
    assert len(find_videos([tmp_path / ".cache"]).files) == 1


def test_typescript_is_not_a_transport_stream(tmp_path: Path) -> None:
    touch(tmp_path / "index.ts", b"import { x } from './x';\n")
    touch(tmp_path / "broadcast.ts", bytes([0x47, 0x40, 0x00, 0x10]) + b"\xff" * 184)
    assert names(find_videos([tmp_path]), tmp_path) == ["broadcast.ts"]


@pytest.mark.parametrize(
    ("glob", "kept"),
    [
        ("*.mkv", ["raw/a.mp4", "raw/old/b.mp4", "work/c.mp4"]),
        ("raw", ["d.mkv", "work/c.mp4"]),
        ("raw/", ["d.mkv", "work/c.mp4"]),
        ("raw/*", ["d.mkv", "work/c.mp4"]),
        ("raw/old", ["d.mkv", "raw/a.mp4", "work/c.mp4"]),
        ("**/old", ["d.mkv", "raw/a.mp4", "work/c.mp4"]),
        ("[bc].mp4", ["d.mkv", "raw/a.mp4"]),
        ("", ["d.mkv", "raw/a.mp4", "raw/old/b.mp4", "work/c.mp4"]),
    ],
)
def test_exclude_globs_match_names_and_paths_below_the_root(tmp_path: Path, glob: str, kept: list[str]) -> None:
    for name in ("raw/a.mp4", "raw/old/b.mp4", "work/c.mp4", "d.mkv"):
        touch(tmp_path / name)
    assert names(find_videos([tmp_path], exclude=[glob]), tmp_path) == kept


def test_exclude_globs_match_whole_paths(tmp_path: Path) -> None:
    touch(tmp_path / "private" / "a.mp4")
    touch(tmp_path / "b.mp4")
    assert names(find_videos([tmp_path], exclude=[str(tmp_path / "private")]), tmp_path) == ["b.mp4"]


def test_a_file_as_root_needs_no_suffix(tmp_path: Path) -> None:
    path = touch(tmp_path / "recording")
    scan = find_videos([path])
    assert [file.path for file in scan.files] == [path]


def test_missing_and_empty_roots_are_offline(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    touch(tmp_path / "there" / "notes.txt")
    scan = find_videos([tmp_path / "gone", tmp_path / "mount", tmp_path / "there"])
    assert scan.offline_roots == (tmp_path / "gone", tmp_path / "mount")
    assert scan.files == ()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_unreadable_folders_are_told(tmp_path: Path) -> None:
    touch(tmp_path / "open" / "a.mp4")
    locked = touch(tmp_path / "locked" / "b.mp4").parent
    locked.chmod(0)
    try:
        scan = find_videos([tmp_path])
        assert names(scan, tmp_path) == ["open/a.mp4"]
        assert [(skipped.path, skipped.reason) for skipped in scan.skipped] == [
            (locked, "folder cannot be read (permission denied)")
        ]
        assert find_videos([locked]).offline_roots == (locked,)
    finally:
        locked.chmod(0o755)


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root nothing is unreadable, so the system call itself has to refuse.
    touch(tmp_path / "open" / "a.mp4")
    locked = touch(tmp_path / "locked" / "b.mp4").parent
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    scan = find_videos([tmp_path])
    assert names(scan, tmp_path) == ["open/a.mp4"]
    assert [skipped.reason for skipped in scan.skipped] == ["folder cannot be read (permission denied)"]
    assert find_videos([locked]).offline_roots == (locked,)


def test_links_are_followed_once_and_cycles_end(tmp_path: Path) -> None:
    touch(tmp_path / "root" / "a.mp4")
    touch(tmp_path / "elsewhere" / "b.mp4")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "copy.mp4").symlink_to(tmp_path / "root" / "a.mp4")
    scan = find_videos([tmp_path / "root"])
    assert names(scan, tmp_path / "root") == ["a.mp4", "away/b.mp4"]


def test_a_file_reached_twice_is_listed_once_under_its_real_path(tmp_path: Path) -> None:
    real = touch(tmp_path / "z" / "a.mp4")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "z")
    scan = find_videos([tmp_path / "a", tmp_path / "z", tmp_path, real])
    assert [file.path for file in scan.files] == [real]


def test_excluded_links_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "b.mp4")
    touch(tmp_path / "root" / "a.mp4")
    (tmp_path / "root" / "away").symlink_to(tmp_path / "elsewhere")
    assert names(find_videos([tmp_path / "root"], exclude=["away"]), tmp_path / "root") == ["a.mp4"]


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    (skipped,) = find_videos([tmp_path]).skipped
    assert skipped.path == tmp_path / "b.mp4"
    assert "broken link" in skipped.reason


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_with_a_video_name_is_not_read(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    os.mkfifo(tmp_path / "b.mp4")
    (skipped,) = find_videos([tmp_path]).skipped
    assert skipped.reason == "not a regular file"


STRANGE = ["two\nlines.mp4", 'it\'s "quoted".mp4', "-rf.mp4", " leading.mp4", "日本語.mp4", "a:b.mp4", "100%d.mp4"]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_found(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name)
    assert names(find_videos([tmp_path]), tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_unicode_are_found(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    touch(path)
    (file,) = find_videos([tmp_path]).files
    assert file.path == path
    assert file.path.exists()


def test_relative_roots_give_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    (file,) = find_videos([Path()]).files
    assert file.path.is_absolute()


def test_ten_thousand_files_are_quick(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"{folder}").mkdir()
        for number in range(100):
            (tmp_path / f"{folder}" / f"{number}.mp4").touch()
    began = time.process_time()
    scan = find_videos([tmp_path], exclude=["*.part", "tmp"])
    assert len(scan.files) == 10_000
    assert time.process_time() - began < 1

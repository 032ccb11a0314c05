"""Which of the files of a run are read first when some hold the same."""

from pathlib import Path

from savecli.archive.copies import copies_last
from savecli.archive.plan import Todo
from savecli.core.records import VideoFile


def todo(folder: Path, name: str, data: bytes) -> Todo:
    path = folder / name
    path.write_bytes(data)
    return Todo(VideoFile(path, len(data), 0), folder)


def names(turn: tuple[Todo, ...]) -> list[str]:
    return [item.file.path.name for item in turn]


def test_one_of_each_content_goes_first(tmp_path: Path) -> None:
    files = [todo(tmp_path, name, data) for name, data in (("a", b"11"), ("b", b"22"), ("c", b"11"), ("d", b"333"))]
    first, copies = copies_last(files)
    assert names(first) == ["a", "b", "d"]
    assert names(copies) == ["c"]


def test_the_one_with_subtitles_goes_first(tmp_path: Path) -> None:
    files = [todo(tmp_path, name, b"11") for name in ("a.mp4", "b.mp4", "c.mp4")]
    (tmp_path / "b.en.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    first, copies = copies_last(files)
    assert names(first) == ["b.mp4"]
    assert names(copies) == ["a.mp4", "c.mp4"]


def test_a_file_that_cannot_be_read_waits_for_none(tmp_path: Path) -> None:
    files = [todo(tmp_path, name, b"11") for name in ("a", "b")]
    files[0].file.path.unlink()
    first, copies = copies_last(files)
    assert names(first) == ["a", "b"]
    assert copies == ()

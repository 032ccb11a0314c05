"""Files of clips: by path, by name, whatever the case, wherever they lie."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.endings import VIDEO_ENDINGS
from savecli.datasets.locate import locate
from savecli.datasets.manifest import read_manifest
from savecli.datasets.registry import DATASETS
from savecli.media.scan import VIDEO_SUFFIXES
from tests.datasets.miniature import make_miniature


def dataset(folder: Path, media: Sequence[str]) -> Dataset:
    clips = tuple(DatasetClip(name, (Caption("a caption"),), media=name) for name in media)
    return Dataset("made", None, None, Split("test", clips), video_folders=(folder,))


def find(folder: Path, media: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    """Paths below the folder that are found for clips, of empty files with these names."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    located = locate(dataset(folder, media))
    assert set(located.paths) | set(located.missing) == set(media)
    return {key: path.relative_to(folder).as_posix() for key, path in located.paths.items()}


@pytest.mark.parametrize(
    ("media", "file"),
    [
        ("video0", "video0.mp4"),
        ("video0", "all/deep/video0.webm"),
        ("video0", "VIDEO0.MP4"),
        ("talks/a.mp4", "talks/a.mp4"),
        ("talks/a.mp4", "talks/a.mkv"),
        ("talks/a", "Talks/A.mp4"),
        ("a.mov", "a.mp4"),
        ("a.mov", "a.mov.mp4"),
        ("film_00.01.02.926-00.01.04.129", "film/film_00.01.02.926-00.01.04.129.avi"),
        ("v_abc", "abc.mp4"),
        ("-_x", "-_x.mp4"),
        ("caf\u00e9", "cafe\u0301.mp4"),
        ("odd.rawvideo", "odd.rawvideo"),
        ("sound", "sound.wav"),
        ("tape", "tape.m2ts"),
        ("film_00.00.51.926-00.00.54.264", "film_00.00.51.926-00.00.54.264.avi"),
    ],
)
def test_what_is_found(media: str, file: str, tmp_path: Path) -> None:
    assert find(tmp_path, [media], [file]) == {media: file}


@pytest.mark.parametrize(
    ("media", "file"),
    [
        ("video0", "video00.mp4"),
        ("video0", ".video0.mp4"),
        ("video0", ".cache/video0.mp4"),
        ("video0", "video0.txt"),
        ("2019/a.mp4", "2020/a.mp4"),
        ("film_00.01.02.926-00.01.04.129", "film_00.01.02.926-00.01.04.mp4"),
        (5000 * "a", "a.mp4"),
        ("a\0b", "a.mp4"),
    ],
)
def test_what_is_not_found(media: str, file: str, tmp_path: Path) -> None:
    assert find(tmp_path, [media], [file]) == {}


def test_what_an_index_takes_for_videos_is_found() -> None:
    assert set(VIDEO_SUFFIXES - VIDEO_ENDINGS) == {".264", ".265"}
    assert VIDEO_ENDINGS <= VIDEO_SUFFIXES


def test_ids_that_differ_in_case_are_two_clips(tmp_path: Path) -> None:
    # YouTube's ids do; the file of one is never taken for the other.
    assert find(tmp_path, ["aB", "ab"], ["aB.mp4"]) == {"aB": "aB.mp4"}


def test_pictures_go_before_sound_and_paths_before_names(tmp_path: Path) -> None:
    files = ["audio/a.wav", "videos/a.mp4", "videos/a.m4a"]
    assert find(tmp_path, ["a"], files) == {"a": "videos/a.mp4"}
    assert find(tmp_path, ["b.mp4"], ["0/b.mp4", "b.mp4"]) == {"b.mp4": "b.mp4"}


def test_several_files_are_told(tmp_path: Path) -> None:
    find(tmp_path, ["a"], ["raw/a.mp4", "small/a.mp4"])
    located = locate(dataset(tmp_path, ["a"]))
    assert located.ambiguous == {"a": (tmp_path / "raw/a.mp4", tmp_path / "small/a.mp4")}
    assert located.paths == {"a": tmp_path / "raw/a.mp4"}


@pytest.mark.parametrize(
    ("media", "files", "found", "disputed"),
    [
        (["old/a.mp4", "a.mp4"], ["old/a.mp4"], {"old/a.mp4": "old/a.mp4"}, {"a.mp4": "old/a.mp4"}),
        (["a.mp4", "a.mkv"], ["a.mkv"], {"a.mkv": "a.mkv"}, {"a.mp4": "a.mkv"}),
        (["a.mp4", "a.mkv"], ["a.webm"], {}, {"a.mp4": "a.webm", "a.mkv": "a.webm"}),
        (["x/a.mp4", "y/../x/a.mp4"], ["x/a.mp4", "y/b"], {"x/a.mp4": "x/a.mp4"}, {"y/../x/a.mp4": "y/../x/a.mp4"}),
        (["aB", "Ab"], ["AB.mp4"], {}, {"aB": "AB.mp4", "Ab": "AB.mp4"}),
    ],
)
def test_a_file_serves_one_video_only(
    media: list[str], files: list[str], found: dict[str, str], disputed: dict[str, str], tmp_path: Path
) -> None:
    assert find(tmp_path, media, files) == found
    located = locate(dataset(tmp_path, media))
    assert located.disputed == {name: tmp_path / file for name, file in disputed.items()}


def test_a_path_of_a_manifest_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    (tmp_path / "manifest.csv").write_text("video,caption,split\na.mp4,one,test\nv_b.mp4,two,test\n")
    assert locate(read_manifest(tmp_path)).missing == ("a", "v_b")


def test_links_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "videos").mkdir()
    (tmp_path / "store/a.mp4").touch()
    (tmp_path / "videos/all").symlink_to(tmp_path / "store")
    (tmp_path / "store/again").symlink_to(tmp_path / "store")
    located = locate(dataset(tmp_path, ["a"]), tmp_path / "videos")
    assert located.paths == {"a": tmp_path / "videos/all/a.mp4"}
    assert not located.ambiguous


def test_missing_clips_keep_their_order(tmp_path: Path) -> None:
    assert locate(dataset(tmp_path, ["c", "a", "b"])).missing == ("c", "a", "b")


def test_absolute_paths_need_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "elsewhere").mkdir()
    media = str(tmp_path / "a.mp4")
    assert locate(dataset(tmp_path / "elsewhere", [media])).paths == {media: tmp_path / "a.mp4"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder") as caught:
        locate(dataset(tmp_path, ["a"]), tmp_path / "nowhere")
    assert "--videos DIR" in caught.value.fix


def test_many_files_take_no_time(tmp_path: Path) -> None:
    names = [f"film{number % 20}_00.{number:05d}.1-00.2" for number in range(10_000)]
    for number in range(20):
        (tmp_path / f"film{number}").mkdir()
    for name in names:
        os.close(os.open(tmp_path / name.partition("_")[0] / f"{name}.avi", os.O_CREAT))
    started = time.perf_counter()
    located = locate(dataset(tmp_path, names))
    assert not located.missing
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("name", ["didemo", "lsmdc"])
def test_a_miniature_is_found_whole(name: str, tmp_path: Path) -> None:
    root = make_miniature(name, tmp_path)
    located = locate(DATASETS[name].read(root))
    assert (len(located.paths), located.missing, located.ambiguous) == (10, (), {})
    assert all(path.is_relative_to(root / "videos") for path in located.paths.values())


def test_lost_clips_are_missing(tmp_path: Path) -> None:
    root = make_miniature("msrvtt-9k", tmp_path, lost={"video7020", "video1"})
    assert locate(DATASETS["msrvtt-9k"].read(root)).missing == ("video1", "video7020")

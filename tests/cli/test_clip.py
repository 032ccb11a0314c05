"""Archives that see: a tiny CLIP of random weights in the real format, loaded by the real loader, end to end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Library, Save, kill
from tests.make_clip import make_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny_clip(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def two(library: Library) -> Library:
    return with_two_videos(library)


def with_two_videos(library: Library) -> Library:
    library.add("red.mp4", "zebra crossing", scenes=("red",), duration_s=20, rate_hz=5)
    library.add("blue.mp4", "", scenes=("blue",))
    return library


@dataclass
class Indexed:
    """An archive of two videos. Tests only read it and its videos."""

    save: Save
    folder: Path
    said: str


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, clip: str) -> Indexed:
    top = tmp_path_factory.mktemp("seen")
    for name in ("home", "videos"):
        (top / name).mkdir()
    folder = with_two_videos(Library(top / "videos")).folder
    save = Save(top / "home", top / "test.save")
    return Indexed(save, folder, save.index(folder, "--encoder", clip).err)


@pytest.fixture
def own(save: Save, indexed: Indexed) -> Save:
    """A copy of that archive, to be changed."""
    shutil.copytree(indexed.save.archive, save.archive)
    return save


def signals(hits: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Which kinds of evidence each file's moments have."""
    return {
        Path(hit["path"]).name: {name for moment in hit["moments"] for name, rank in moment["ranks"].items() if rank}
        for hit in hits
    }


def test_a_clip_archive_is_searched_by_sight_and_by_words(indexed: Indexed) -> None:
    save = indexed.save
    assert "encoder: clip" in indexed.said
    assert "Indexed 2 videos, 3 clips." in indexed.said
    found = signals(save.videos("zebra crossing", "--all"))
    assert found["red.mp4"] == {"seen", "said"}
    assert found["blue.mp4"] == {"seen"}
    assert signals(save.videos("zebra", "--see", "--all"))["red.mp4"] == {"seen"}
    assert save.videos("zebra", "--phrase")
    assert "2 unchanged · nothing to index" in save.index(indexed.folder).err


def test_words_become_pictures_without_losing_transcripts(save: Save, two: Library, clip: str) -> None:
    save.index(two.folder)
    (two.folder / "red.srt").unlink()  # were speech looked for again, it would be gone
    process = save.start("index", two.folder, "--encoder", clip)
    while process.poll() is None and not list(save.archive.glob("vectors_*.lance")):
        continue
    kill(process)
    assert save.videos("zebra"), "the old archive answers while the new vectors are made"

    done = save.index()  # no options: it knows what it was doing
    assert "re-encode" in done.err or "up to date" in done.err
    status = save.within("status", "--json").json
    assert (status["encoder"], status["next_encoder"]) == (clip, None)
    assert [path.name[:5] for path in save.archive.glob("text_*")] == ["text_"]
    assert signals(save.videos("zebra crossing", "--all"))["red.mp4"] == {"seen", "said"}


def test_weights_that_changed_are_refused_with_the_command_that_helps(
    save: Save, two: Library, clip: str, tmp_path: Path
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(clip.removeprefix("clip:"), folder)
    save.index(two.folder, "--encoder", f"clip:{folder}")
    make_tiny_clip(folder, seed=7)
    assert save.videos("zebra"), "the archive holds the text side it was made with"
    two.add("green.mp4", "", scenes=("green",))
    outcome = save.index(two.folder, code=1)
    assert "are not the ones this archive was made with" in outcome.err
    assert "--rebuild" in outcome.err
    (text_side,) = save.archive.glob("text_*")
    shutil.rmtree(text_side)
    outcome = save.within("query", "zebra", code=1)
    assert "are not the ones this archive was made with" in outcome.err
    assert "--rebuild" in outcome.err
    started = save.piped("")
    assert (started.code, started.err) == (1, outcome.err), "a shell tells before the first line"
    assert save.videos("zebra", "--phrase"), "words need no weights"
    save.index(two.folder, "--encoder", f"clip:{folder}", "--rebuild")
    assert save.videos("zebra")


def test_what_a_kill_at_the_very_end_left_out_is_made_good(own: Save, indexed: Indexed) -> None:
    (calibration,) = own.archive.glob("background_*.npz")
    calibration.unlink()
    (own.archive / "writing").write_text("1")
    own.index(indexed.folder)
    assert calibration.exists()


def test_an_archive_without_a_text_side_gets_one(own: Save, indexed: Indexed) -> None:
    (text_side,) = own.archive.glob("text_*")
    found = own.videos("zebra", "--see", "--all")
    shutil.rmtree(text_side)
    without = own.videos("zebra", "--see", "--all")
    assert [hit["path"] for hit in without] == [hit["path"] for hit in found]
    own.index(indexed.folder)
    assert sorted(path.suffix for path in text_side.iterdir()) == [".data", ".json", ".npy", ".onnx"]


def test_rebuild_without_a_name_keeps_the_encoder(own: Save, indexed: Indexed, clip: str) -> None:
    own.index(indexed.folder, "--rebuild")
    assert own.within("status", "--json").json["encoder"] == clip
    assert list(own.archive.glob("vectors_*.lance"))

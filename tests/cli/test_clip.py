"""Archives that see: a tiny CLIP of random weights in the real format, loaded by the real loader, end to end."""

from __future__ import annotations

import shutil
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
    library.add("red.mp4", "zebra crossing", scenes=("red",), duration_s=20, rate_hz=5)
    library.add("blue.mp4", "", scenes=("blue",))
    return library


def signals(hits: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Which kinds of evidence each file's moments have."""
    return {
        Path(hit["path"]).name: {name for moment in hit["moments"] for name, rank in moment["ranks"].items() if rank}
        for hit in hits
    }


def test_a_clip_archive_is_searched_by_sight_and_by_words(save: Save, two: Library, clip: str) -> None:
    outcome = save.index(two.folder, "--encoder", clip)
    assert "encoder: clip" in outcome.err
    assert "Indexed 2 videos, 3 clips." in outcome.err
    found = signals(save.videos("zebra crossing", "--all"))
    assert found["red.mp4"] == {"seen", "said"}
    assert found["blue.mp4"] == {"seen"}
    assert signals(save.videos("zebra", "--see", "--all"))["red.mp4"] == {"seen"}
    assert save.videos("zebra", "--phrase")
    assert "2 unchanged · nothing to index" in save.index(two.folder).err


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
    assert save("status", "--json").json["encoder"] == clip
    assert save("status", "--json").json["next_encoder"] is None
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
    outcome = save("query", "zebra", code=1)
    assert "are not the ones this archive was made with" in outcome.err
    assert "--rebuild" in outcome.err
    assert save.videos("zebra", "--phrase"), "words need no weights"
    save.index(two.folder, "--encoder", f"clip:{folder}", "--rebuild")
    assert save.videos("zebra")


def test_what_a_kill_at_the_very_end_left_out_is_made_good(save: Save, two: Library, clip: str) -> None:
    save.index(two.folder, "--encoder", clip)
    (calibration,) = save.archive.glob("background_*.npz")
    calibration.unlink()
    (save.archive / "writing").write_text("1")
    save.index(two.folder)
    assert calibration.exists()


def test_an_archive_without_a_text_side_gets_one(save: Save, two: Library, clip: str) -> None:
    save.index(two.folder, "--encoder", clip)
    (text_side,) = save.archive.glob("text_*")
    found = save.videos("zebra", "--see", "--all")
    shutil.rmtree(text_side)
    without = save.videos("zebra", "--see", "--all")
    assert [hit["path"] for hit in without] == [hit["path"] for hit in found]
    save.index(two.folder)
    assert sorted(path.suffix for path in text_side.iterdir()) == [".data", ".json", ".npy", ".onnx"]


def test_rebuild_without_a_name_keeps_the_encoder(save: Save, two: Library, clip: str) -> None:
    save.index(two.folder, "--encoder", clip)
    save.index(two.folder, "--rebuild")
    assert save("status", "--json").json["encoder"] == clip
    assert list(save.archive.glob("vectors_*.lance"))

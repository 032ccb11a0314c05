"""A better encoder in the same archive: the old one answers until the new is complete, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import pytest

from savecli.archive.info import archive_facts
from savecli.archive.store import open_archive
from savecli.cli.main import save as save_command
from savecli.core.errors import SaveError, WeightsError
from tests.cli.conftest import Library, Save, kill
from tests.make_checkpoint import make_checkpoint
from tests.make_clip import make_tiny_clip

NUM_VIDEOS = 8
Index = Callable[..., str]
Found = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny_clip(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("models") / "ours")


@pytest.fixture
def index(save: Save, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Index:
    """`save index` without a process of its own, as starting torch takes longest; what it says on stderr."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: str | Path, code: int = 0) -> str:
        given = ["index", "--speech", "subtitles", "--archive", save.archive, *arguments]
        assert save_command.main(list(map(str, given)), standalone_mode=False) == code
        return capsys.readouterr().err

    return run


@pytest.fixture
def found(save: Save, index: Index, capsys: pytest.CaptureFixture[str]) -> Found:
    """Videos of `save query zebra --all`, in the same way."""

    def run() -> list[dict[str, Any]]:
        given = ["query", "zebra", "--all", "--json", "--archive", str(save.archive)]
        assert save_command.main(given, standalone_mode=False) == 0
        return list(json.loads(capsys.readouterr().out)["videos"])

    return run


def encoders(save: Save) -> tuple[str | None, str | None]:
    """Whose vectors are searched, and whose are being filled in."""
    manifest = json.loads((save.archive / "archive.json").read_text())
    return tuple(record and record["name"] for record in (manifest["encoder"], manifest["next_encoder"]))


def vectors(save: Save) -> int:
    """Clips that have vectors, of whatever encoder is searched."""
    (table,) = save.archive.glob("vectors_*.lance")
    return int(lancedb.connect(save.archive).open_table(table.stem).count_rows())


def killed_after_two(save: Save, *arguments: str | Path) -> int:
    """Kill `save index` in the middle of its re-encoding; how many videos have their vectors then."""
    old = set(save.archive.glob("vectors_*.lance"))
    process = save.start("index", *arguments, "--jobs", "1", "--batch-size", "1")
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        versions = save.archive.glob("vectors_*.lance/_versions/*.manifest")
        if sum(path.parents[1] not in old for path in versions) >= 3:  # the empty table, and two videos
            break
        time.sleep(0.002)
    kill(process)
    (new,) = set(save.archive.glob("vectors_*.lance")) - old
    return int(lancedb.connect(save.archive).open_table(new.stem).count_rows())


@pytest.mark.parametrize("start", ["words", "clip"])
def test_a_killed_upgrade_goes_on_with_what_remains(
    save: Save, library: Library, index: Index, found: Found, clip: str, start: str
) -> None:
    for number in range(NUM_VIDEOS):
        library.add(f"v{number}.mp4", f"zebra number {number}", scenes=("red", "blue"))
    own = clip if start == "clip" else "words"
    index(library.folder, "--encoder", own)
    for subtitles in library.folder.glob("*.srt"):
        subtitles.unlink()  # were speech looked for again, it would be gone
    done = killed_after_two(save, "--encoder", "tiny-world")
    assert 2 <= done < NUM_VIDEOS
    assert encoders(save) == (own, "tiny-world")
    between = found()
    assert len(between) == NUM_VIDEOS
    ranks = between[0]["moments"][0]["ranks"]
    assert "matched" not in ranks, "the old encoder answers"
    assert bool(ranks["seen"]) == (start == "clip")

    resumed = index()
    assert f"{NUM_VIDEOS - done} to re-encode" in resumed
    assert f"goes on after {done} of {NUM_VIDEOS} videos" in resumed
    assert f"Indexed {NUM_VIDEOS - done} videos" in resumed
    assert encoders(save) == ("tiny-world", None)
    assert vectors(save) == NUM_VIDEOS
    for hit in found():
        ranks = hit["moments"][0]["ranks"]
        assert ranks["matched"]
        assert ranks["said"], "the transcript was kept"


def test_no_better_encoder_is_refused_with_the_command_but_the_same_in_another_place_is_welcome(
    save: Save, library: Library, index: Index, clip: str, tmp_path: Path
) -> None:
    library.add("a.mp4", "zebra")
    own = make_checkpoint(tmp_path / "own")
    index(library.folder, "--encoder", own)
    for name in ("words", clip, "tiny-world"):
        with pytest.raises(SaveError, match="was indexed with") as refused:
            index("--encoder", name)
        command = f"save index --encoder {name} --rebuild --archive {save.archive}"
        assert f"`{command}`" in refused.value.fix
    assert encoders(save) == (str(own), None)
    moved = own.rename(tmp_path / "moved")
    assert "nothing to index" in index("--encoder", moved)
    assert encoders(save) == (str(moved), None)


def test_an_upgrade_waits_for_an_unplugged_drive_and_says_so(
    save: Save, library: Library, index: Index, found: Found, ours: Path
) -> None:
    here, drive = library.folder / "here", library.folder / "drive"
    library.add("here/a.mp4", "zebra one")
    library.add("drive/b.mp4", "zebra two")
    index(here, drive)
    unplugged = drive.rename(library.folder / "unplugged")

    for arguments in (("--encoder", ours), ()):
        told = index(*arguments, code=3)
        assert "`words` goes on answering: 1 video could not be re-encoded yet" in told
        assert "b.mp4" in told
        assert "save index --switch-now" in told
        assert encoders(save) == ("words", str(ours))

    assert "goes on answering" not in index("--switch-now", code=3)
    assert encoders(save) == (str(ours), None)
    assert len(found()) == 2, "what is said is found without the drive"
    unplugged.rename(drive)
    assert "1 to re-encode" in index()
    assert vectors(save) == 2


def test_what_a_run_did_not_look_at_is_waited_for_until_the_upgrade_is_given_up(
    save: Save, library: Library, index: Index, ours: Path
) -> None:
    library.add("here/a.mp4", "zebra one")
    library.add("there/b.mp4", "zebra two")
    index(library.folder / "here", library.folder / "there")
    assert "1 video could not be re-encoded yet" in index(library.folder / "here", "--encoder", ours)
    begun = archive_facts(open_archive(save.archive)).reencoding
    assert begun is not None
    assert (begun.record.name, begun.num_done, begun.num_videos) == (str(ours), 1, 2)

    with pytest.raises(SaveError, match="is being re-encoded with"):
        index("--encoder", "words")
    index("--encoder", "words", "--rebuild")
    assert encoders(save) == ("words", None)
    assert not list(save.archive.glob("vectors_*"))


@pytest.mark.parametrize("command", [["index"], ["archive", "export"], ["archive", "repair"], ["remove"]])
def test_what_a_kill_after_the_switch_left_is_deleted(
    save: Save, library: Library, index: Index, command: list[str | Path]
) -> None:
    library.add("a.mp4", "zebra")
    library.add("b.mp4", "zebra again")
    index(library.folder)
    left = save.archive / "vectors_0123456789ab.lance"
    shutil.copytree(save.archive / "clips.lance", left)
    (save.archive / "writing").write_text("1")
    path = {"export": [save.home / "parquet"], "remove": [library.folder / "a.mp4"]}.get(str(command[-1]), [])
    given = [*command, *path, "--archive", save.archive]
    assert save_command.main(list(map(str, given)), standalone_mode=False) == 0
    assert not left.exists()


def test_an_upgrade_whose_weights_went_before_its_end_is_not_told_as_done(
    save: Save, library: Library, index: Index, tmp_path: Path
) -> None:
    library.add("a.mp4", "zebra")
    index(library.folder)
    ours = make_checkpoint(tmp_path / "ours")
    words = json.loads((save.archive / "archive.json").read_text())["encoder"]
    index("--encoder", ours)
    manifest = json.loads((save.archive / "archive.json").read_text())
    unfinished = manifest | {"encoder": words, "next_encoder": manifest["encoder"]}  # as a kill leaves it
    (save.archive / "archive.json").write_text(json.dumps(unfinished))
    (calibration,) = save.archive.glob("background_*.npz")
    calibration.unlink()
    away = ours.rename(tmp_path / "away")
    with pytest.raises(WeightsError, match="cannot take over") as told:
        index()
    assert "bring its weights back" in told.value.fix
    assert encoders(save) == ("words", str(ours))
    away.rename(ours)
    index()
    assert encoders(save) == (str(ours), None)

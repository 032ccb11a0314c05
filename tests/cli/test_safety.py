"""A kill loses nothing, two runs do not tear an archive, a full disk is told, a torn manifest is mended."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from savecli.archive.create import create_archive
from savecli.archive.lock import keeping_still, writing
from savecli.cli.main import save as save_command
from savecli.core.errors import SaveError
from tests.cli.conftest import Library, Save, kill


def contents(save: Save) -> dict[str, Any]:
    """Everything a user can tell of an archive."""
    facts = save.within("status", "--json").json
    hits = save.videos("word", "--all", "--limit", "1000")
    places = {hit["path"]: [(m["start_s"], m["end_s"], m["snippet"]) for m in hit["moments"]] for hit in hits}
    return {"videos": facts["videos"], "clips": facts["clips"], "failed": facts["failed"], "places": places}


@pytest.fixture
def crowd(library: Library) -> Library:
    """Twelve videos of one to three clips, and one that is broken."""
    for number in range(12):
        library.add(f"v{number:02}.mp4", f"word {number}", duration_s=1 + 16 * (number % 3), rate_hz=5)
    (library.folder / "broken.mp4").write_bytes(b"not a video")
    return library


def test_a_killed_run_then_the_same_command_equals_one_clean_run(save: Save, crowd: Library) -> None:
    clean = Save(save.home, save.archive.with_name("clean.save"))
    started = time.monotonic()
    clean("index", "--speech", "subtitles", crowd.folder, code=3)  # a process, as those that are killed
    whole_s = time.monotonic() - started
    expected = contents(clean)
    assert expected["videos"] == 12

    for attempt in range(6):
        process = save.start("index", "--speech", "subtitles", crowd.folder)
        time.sleep(whole_s * (0.45 + 0.1 * attempt))
        kill(process)
    save.index(crowd.folder, code=3)
    assert contents(save) == expected
    save("archive", "repair")
    assert contents(save) == expected


def test_ctrl_c_stops_soon_and_says_how_to_go_on(save: Save, crowd: Library) -> None:
    for _ in range(12):
        process = save.start("index", "--speech", "subtitles", crowd.folder, "--jobs", "1")
        deadline = time.monotonic() + 60
        while not (save.archive / "writing").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - started < 10
        if process.returncode == 130:
            break
        # On a busy machine this process may wake up when the other has just done its work.
        assert process.returncode == 3
        shutil.rmtree(save.archive)
    assert process.returncode == 130
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    save.index(crowd.folder, code=3)
    assert contents(save)["videos"] == 12


def test_a_second_writer_is_told_that_the_archive_is_busy(save: Save, library: Library) -> None:
    library.add("a.mp4", "word")
    save.index(library.folder)
    with writing(save.archive):
        outcome = save.index(library.folder, code=1)
        assert "is busy" in outcome.err
        assert "run the same command again" in outcome.err
        assert save.videos("word"), "reading goes on beside a writer"
        assert "is busy" in save("remove", library.folder, code=1).err
    save.index(library.folder)


def test_two_runs_at_once_leave_a_sound_archive(save: Save, crowd: Library) -> None:
    processes = [save.start("index", "--speech", "subtitles", crowd.folder) for _ in range(2)]
    codes = {process.wait(timeout=120) for process in processes}
    assert codes <= {1, 3}
    assert 3 in codes
    save.index(crowd.folder, code=3)
    clean = Save(save.home, save.archive.with_name("clean.save"))
    clean.index(crowd.folder, code=3)
    told = contents(save)
    assert told["videos"] == 12
    assert told == contents(clean)


def test_a_full_disk_is_told_and_what_was_committed_stays(save: Save, library: Library) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    library.add("b.mp4", "word two|" + "|".join(f"word{n} {'x' * 30}" for n in range(3000)), duration_s=2)

    done = save.on_a_full_disk("index", "--speech", "subtitles", library.folder, most_bytes=20_000)
    assert "the disk of the archive is full" in done.err
    assert "every video indexed so far is kept" in done.err
    assert [Path(hit["path"]).name for hit in save.videos("one")] == ["a.mp4"]
    save.index(library.folder)
    assert save.videos("two")


def test_a_torn_manifest_is_mended(save: Save, library: Library) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    library.add("b.mp4", "word two")
    save.index(library.folder)
    versions = sorted((save.archive / "videos.lance/_versions").glob("*.manifest"))
    newest = versions[0] if len(versions[0].stem) == 20 else versions[-1]
    newest.write_bytes(b"")
    outcome = save("query", "word", code=1)
    assert "save archive repair" in outcome.err
    assert "fault" in save("doctor", code=1).out
    assert "went back one version" in save("archive", "repair").err
    save.index(library.folder)
    assert len(save.videos("word")) == 2


def test_a_disk_without_hard_links_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # what exFAT answers

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(SaveError, match="hard links"):
        create_archive(tmp_path / "x.save")
    assert not (tmp_path / "x.save/archive.json").exists()


def test_damaged_data_is_no_reason_for_repair_to_go_back(save: Save, library: Library) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    data = [(path, path.read_bytes()) for path in (save.archive / "videos.lance/data").glob("*.lance")]
    for path, content in data:
        path.write_bytes(content[:20])
    assert "cannot be repaired" in save("archive", "repair", code=1).err
    for path, content in data:
        path.write_bytes(content)
    assert "Nothing is broken" in save("archive", "repair").err
    assert save.videos("word")


def test_an_archive_without_its_json_is_not_overwritten(save: Save, library: Library) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    kept = (save.archive / "archive.json").read_bytes()
    (save.archive / "archive.json").unlink()
    assert "put archive.json back" in save.index(library.folder, code=1).err
    (save.archive / "archive.json").write_bytes(kept)
    assert save.videos("word")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody can write in an archive meanwhile, not even a root that runs the tests."""
    is_root = os.geteuid() == 0
    folder.chmod(0o555)
    for name in ("write.lock", "archive.json"):
        (folder / name).chmod(0o444)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_an_archive_that_cannot_be_written_is_still_exported(save: Save, library: Library) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    with tempfile.TemporaryDirectory() as name:  # not below `tmp_path`, which only its owner may enter
        place = Path(name)
        place.chmod(0o777)
        folder = Path(shutil.copytree(save.archive, place / "copy.save"))
        with read_only(folder):
            with pytest.raises(SaveError, match="the archive cannot be written"), writing(folder):
                raise AssertionError
            command = ["archive", "export", str(place / "parquet"), "--archive", str(folder)]
            assert save_command.main(command, standalone_mode=False) == 0
        assert (place / "parquet/export.json").exists()
        (folder / "writing").write_text("1")
        with read_only(folder), pytest.raises(SaveError, match="is whole"), keeping_still(folder):
            raise AssertionError


def test_an_export_that_fails_leaves_no_sign_of_a_dead_writer(save: Save, library: Library, tmp_path: Path) -> None:
    library.add("a.mp4", "word one")
    save.index(library.folder)
    save.on_a_full_disk("archive", "export", tmp_path / "parquet", most_bytes=1500)
    assert not (save.archive / "writing").exists()

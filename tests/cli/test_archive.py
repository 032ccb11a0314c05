"""`save archive`: info, optimize, and an archive as Parquet files and back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb
import pyarrow.parquet as pq
import pytest

from savecli.archive.create import create_archive
from savecli.archive.exchange import EXPORT_FILE, _read_table, export_archive, import_archive
from savecli.archive.lock import writing
from savecli.archive.manifest import EncoderRecord
from savecli.archive.store import open_archive
from savecli.cli.main import save as save_command
from savecli.core.errors import SaveError, UsageError
from tests.cli.conftest import Library, Save
from tests.make_checkpoint import make_checkpoint

Command = Callable[..., str]


@pytest.fixture
def command(save: Save, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`save …` without a process of its own; what it says on stdout and stderr together."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SAVE_ARCHIVE", str(save.archive))

    def run(*arguments: str | Path, code: int = 0) -> str:
        assert save_command.main(list(map(str, arguments)), standalone_mode=False) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run


@pytest.fixture
def spoken(library: Library, command: Command) -> Library:
    """An archive of words: two videos, and one that is broken."""
    library.add("a.mp4", "zebra one")
    library.add("b.mp4", "zebra two")
    (library.folder / "broken.mp4").write_bytes(b"not a video")
    command("index", library.folder, "--speech", "subtitles", code=3)
    return library


def rows(archive: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    db = lancedb.connect(archive)
    names = [path.stem for path in archive.glob("*.lance")]
    return {name: sorted(db.open_table(name).to_arrow().to_pylist(), key=str) for name in names}


def test_an_exported_archive_answers_as_the_original(save: Save, library: Library, command: Command) -> None:
    ours = make_checkpoint(save.home / "ours")
    library.add("red.mp4", "zebra crossing", scenes=("red",), audio="tone")
    library.add("blue.mp4", "", scenes=("blue", "green"), duration_s=20, rate_hz=5)
    library.add("gone.mp4", "", scenes=("grey",))
    command("index", library.folder, "--speech", "subtitles", "--encoder", ours)
    command("remove", library.folder / "gone.mp4")
    parquet, again = save.home / "parquet", save.home / "again.save"
    assert "Exported 2 videos, 3 clips" in command("archive", "export", parquet)
    assert "Imported 2 videos, 3 clips" in command("archive", "import", parquet, "--archive", again)

    assert rows(again) == rows(save.archive)
    assert sorted(path.name for path in again.glob("*_*")) == sorted(path.name for path in save.archive.glob("*_*"))
    assert json.loads((again / "archive.json").read_text()) == json.loads((save.archive / "archive.json").read_text())
    shutil.rmtree(ours)
    hits, hits_again = (
        json.loads(command("query", "zebra crossing", "--all", "--json", "--archive", archive))["videos"]
        for archive in (save.archive, again)
    )
    assert len(hits) == 2
    assert hits_again == hits
    clips = pq.read_table(parquet / "clips.parquet", columns=["text", "start_s", "end_s"]).to_pylist()
    assert {"text": "zebra crossing", "start_s": 0.0, "end_s": 2.0} in clips


def test_videos_that_moved_with_the_archive_are_known(save: Save, spoken: Library, command: Command) -> None:
    parquet, again = save.home / "parquet", save.home / "again.save"
    command("archive", "export", parquet)
    moved = spoken.folder.rename(save.home / "moved")
    with pytest.raises(UsageError, match="is no folder of this archive"):
        command("archive", "import", parquet, "--archive", again, "--root", f"/nowhere={moved}")
    with pytest.raises(UsageError, match="is no folder of this archive"):
        command("archive", "import", parquet, "--archive", again, "--root", f"{spoken.folder / 'a.mp4'}={moved}")
    assert not again.exists()
    command("archive", "import", parquet, "--archive", again, "--root", f"{spoken.folder}={moved}")
    assert "2 unchanged, 1 failed before · nothing to index" in command("index", "--archive", again, code=3)
    found = json.loads(command("query", "zebra", "--json", "--archive", again))["videos"]
    assert {hit["path"] for hit in found} == {str(moved / "a.mp4"), str(moved / "b.mp4")}


def test_the_whole_of_a_disk_can_move(save: Save, spoken: Library) -> None:
    """A folder that ends with a slash, as `/` does, is taken off like any other."""
    parquet, mounted, back = (save.home / name for name in ("parquet", "mounted.save", "back.save"))
    export_archive(open_archive(save.archive), parquet)
    import_archive(parquet, mounted, moved_roots={Path("/"): Path("/mnt/backup")})
    archive = open_archive(mounted)
    assert {row.path for row in archive.video_rows()} == {f"/mnt/backup{spoken.folder}/{name}.mp4" for name in "ab"}
    export_archive(archive, save.home / "again")
    import_archive(save.home / "again", back, moved_roots={Path("/mnt/backup"): Path("/")})
    assert rows(back) == rows(save.archive)


def damaged(parquet: Path, how: str) -> None:
    path = parquet / "clips.parquet"
    facts = json.loads((parquet / EXPORT_FILE).read_text())
    manifest = json.loads((parquet / "archive.json").read_text())
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "a byte":
        data = bytearray(path.read_bytes())
        data[40] ^= 0xFF
        path.write_bytes(data)
    elif how == "missing":
        path.unlink()
    elif how == "fewer rows":
        pq.write_table(pq.read_table(path).slice(1), path)
    elif how == "other columns":
        pq.write_table(pq.read_table(path).drop_columns(["text"]), path)
    elif how == "newer format":
        (parquet / EXPORT_FILE).write_text(json.dumps(facts | {"format": 99}))
    elif how == "escape":
        (parquet / EXPORT_FILE).write_text(json.dumps(facts | {"files": {"../../evil": 1}}))
    elif how == "newer schema":
        (parquet / "archive.json").write_text(json.dumps(manifest | {"schema_version": 99}))
    else:
        (parquet / "archive.json").write_text(json.dumps(manifest | {"schema_version": 1}))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut", "clips.parquet is damaged"),
        ("a byte", "clips.parquet is damaged"),
        ("missing", "clips.parquet is damaged: it is missing"),
        ("fewer rows", "it has 1 rows instead of 2"),
        ("other columns", "does not fit this version"),
        ("newer format", "exported by a newer version"),
        ("escape", "it names '../../evil'"),
        ("newer schema", "written by a newer version"),
        ("older schema", "exported by an older version"),
    ],
)
def test_a_damaged_export_is_refused_and_leaves_nothing(save: Save, spoken: Library, how: str, told: str) -> None:
    parquet = save.home / "parquet"
    export_archive(open_archive(save.archive), parquet)
    damaged(parquet, how)
    before = set(save.home.iterdir())
    with pytest.raises(SaveError) as error:
        import_archive(parquet, save.home / "again.save")
    assert told in str(error.value)
    assert error.value.fix
    assert set(save.home.iterdir()) == before


def test_nothing_is_overwritten(save: Save, spoken: Library, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    archive = open_archive(save.archive)
    export_archive(archive, tmp_path / "empty")
    for taken in (tmp_path / "empty", spoken.folder / "a.mp4"):
        with pytest.raises(UsageError, match="not empty"):
            export_archive(archive, taken)
    with pytest.raises(UsageError, match="a disk is mounted there"):
        export_archive(archive, Path("/"))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export_archive(archive, tmp_path / "link")
    assert (tmp_path / "real" / EXPORT_FILE).exists()
    with pytest.raises(UsageError, match="not empty"):
        import_archive(tmp_path / "empty", save.archive)
    with pytest.raises(UsageError, match="is not an exported archive"):
        import_archive(spoken.folder, tmp_path / "new.save")
    with writing(save.archive):
        assert "is busy" in save("archive", "export", tmp_path / "new", code=1).err
    assert "there is no archive" in save("archive", "info", "--archive", tmp_path / "none", code=1).err


def test_a_full_disk_leaves_no_half_export(save: Save, spoken: Library, tmp_path: Path) -> None:
    done = save.on_a_full_disk("archive", "export", tmp_path / "parquet", most_bytes=1500)
    assert f"the disk of {tmp_path / 'parquet'} is full" in done.err
    assert "every video indexed" not in done.err
    assert not list(tmp_path.glob("parquet*"))


def test_a_failure_to_write_is_not_told_as_a_damaged_export(save: Save, spoken: Library, tmp_path: Path) -> None:
    export_archive(open_archive(save.archive), tmp_path / "parquet")
    archive = create_archive(tmp_path / "new.save")
    shutil.rmtree(tmp_path / "new.save/clips.lance/data", ignore_errors=True)
    (tmp_path / "new.save/clips.lance/data").write_text("no folder")
    with pytest.raises(SaveError, match="cannot be written"):
        _read_table(archive, "clips", tmp_path / "parquet/clips.parquet", str)


def test_vectors_that_an_export_leaves_out_are_told(save: Save, spoken: Library, command: Command) -> None:
    record = EncoderRecord(name="any", label="any", fingerprint="0123456789abcdef", dimension=8)
    archive = open_archive(save.archive)
    archive.set_manifest(replace(archive.manifest, encoder=record))
    table = archive.make_vector_table(record)
    assert table is not None
    assert "Left out" not in command("archive", "export", save.home / "whole")
    table.drop_columns(["said"])  # as if it were of an older form
    assert "Left out the vectors of `any`" in command("archive", "export", save.home / "parquet")


def test_a_damaged_calibration_is_made_anew(save: Save, library: Library, command: Command) -> None:
    library.add("a.mp4", "zebra")
    command("index", library.folder, "--speech", "subtitles", "--encoder", make_checkpoint(save.home / "ours"))
    (path,) = save.archive.glob("background_*.npz")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"best_seen.npy") + 300] ^= 0xFF
    for content in (b"", whole[: len(whole) // 2], bytes(len(whole)), bytes(flipped)):
        path.write_bytes(content)
        assert not json.loads(command("archive", "info", "--json"))["is_calibrated"]
        assert json.loads(command("query", "zebra", "--all", "--json"))["videos"]
    command("index", "--speech", "subtitles")
    assert path.read_bytes() == whole


def test_info_counts_what_there_is(save: Save, spoken: Library, command: Command) -> None:
    facts = json.loads(command("archive", "info", "--json"))
    assert (facts["videos"], facts["failed"], facts["clips"]) == (2, 1, 2)
    assert facts["encoder"]["name"] == "words"
    assert facts["next_encoder"] is None
    assert facts["bytes_per_clip"] == round(facts["size_bytes"] / 2)
    tables = {table["name"]: table for table in facts["tables"]}
    assert tables["clips"]["num_rows"] == 2
    assert [index["kind"] for index in tables["videos"]["indexes"]] == ["FTS", "FTS"]
    text = command("archive", "info")
    assert "2 videos · 4 s · 2 clips" in text
    assert "videos.transcript" in text


def test_optimize_gives_back_the_room_of_deleted_videos(save: Save, spoken: Library, command: Command) -> None:
    for number in range(3):
        spoken.add(f"c{number}.mp4", f"lion {number}|" + "|".join(f"roar{n}" for n in range(60)), duration_s=3)
        command("index", "--speech", "subtitles", code=3)
    command("remove", spoken.folder / "c0.mp4")
    before = json.loads(command("archive", "info", "--json"))
    assert "Compacted: " in command("archive", "optimize")
    after = json.loads(command("archive", "info", "--json"))
    assert after["size_bytes"] < before["size_bytes"]
    assert {table["num_versions"] for table in after["tables"]} == {1}
    assert len(json.loads(command("query", "lion", "--json"))["videos"]) == 2

"""`save index` through the real command: what is new, changed, moved, gone, broken, and what that costs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from tests.cli.conftest import Library, Save


def test_new_videos_are_found_by_their_words(save: Save, library: Library) -> None:
    library.add("talks/neuro.mp4", "a man explains|stiff person syndrome")
    library.add("beach.mkv", "waves and seagulls")
    outcome = save.index(library.folder)
    assert "Plan: 2 new" in outcome.err
    assert "Indexed 2 videos, 2 clips." in outcome.err
    assert outcome.out == ""
    (hit,) = save.videos("stiff person syndrome")
    assert hit["path"] == str(library.folder / "talks/neuro.mp4")
    assert hit["moments"][0]["ranks"] == {"seen": None, "said": 1, "named": None}


def test_plan_writes_nothing(save: Save, library: Library) -> None:
    library.add("a.mp4", "hello")
    outcome = save.index(library.folder, "--plan")
    assert outcome.out.startswith("Plan: 1 new · 2 s to index · encoder: words")
    assert not save.archive.exists()
    save.index(library.folder)
    before = _versions(save.archive)
    library.add("b.mp4", "there")
    assert "1 new, 1 unchanged" in save.index(library.folder, "--plan").out
    assert _versions(save.archive) == before


def test_a_second_run_has_nothing_to_do(save: Save, library: Library) -> None:
    library.add("a.mp4", "hello")
    save.index(library.folder)
    before = _versions(save.archive)
    outcome = save.index(library.folder)
    assert "1 unchanged · nothing to index" in outcome.err
    assert _versions(save.archive) == before


def test_without_folders_known_roots_are_looked_at_again(save: Save, library: Library) -> None:
    library.add("a.mp4", "hello")
    save.index(library.folder)
    library.add("b.mp4", "goodbye")
    assert "Plan: 1 new, 1 unchanged" in save.index().err


def test_a_moved_file_keeps_its_rows_and_is_not_decoded(save: Save, library: Library) -> None:
    path = library.add("old name.mp4", "zebra crossing")
    save.index(library.folder)
    (library.folder / "sub").mkdir()
    path.rename(library.folder / "sub/new.mp4")
    path.with_suffix(".srt").unlink()  # were the file indexed again, its words would be lost
    outcome = save.index(library.folder)
    assert "Plan: 1 moved · nothing to index" in outcome.err
    (hit,) = save.videos("zebra")
    assert hit["path"] == str(library.folder / "sub/new.mp4")
    assert save.videos("old name") == []


def test_a_moved_file_with_another_date_is_known_by_its_content(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra crossing")
    save.index(library.folder)
    moved = library.folder / "b.mp4"
    shutil.copyfile(path, moved)
    path.unlink()
    path.with_suffix(".srt").unlink()
    assert "1 moved" in save.index(library.folder).err
    assert save.videos("zebra")[0]["path"] == str(moved)


def test_a_copy_shares_its_rows_and_is_shown_once(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra crossing")
    save.index(library.folder)
    shutil.copyfile(path, library.folder / "copy.mp4")
    assert "1 copied" in save.index(library.folder).err
    (hit,) = save.videos("zebra")
    assert hit["path"] == str(path)
    assert hit["also_at"] == [str(library.folder / "copy.mp4")]


def test_copies_in_one_run_are_one_video(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra crossing")
    shutil.copyfile(path, library.folder / "b.mp4")
    shutil.copyfile(path.with_suffix(".srt"), library.folder / "b.srt")
    save.index(library.folder)
    (hit,) = save.videos("zebra")
    assert len(hit["also_at"]) == 1
    assert save("status", "--json").json["clips"] == 1


def test_of_copies_in_one_run_the_one_with_subtitles_has_the_words_of_all(save: Save, library: Library) -> None:
    original = library.add("b.mp4", "zebra crossing")
    for name in ("a.mp4", "c.mp4", "d.mp4"):
        shutil.copyfile(original, library.folder / name)
    save.index(library.folder)
    (row,) = {(hit["path"], *hit["also_at"]) for hit in save.videos("zebra")}
    assert sorted(Path(path).name for path in row) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_changed_content_with_the_same_name_size_and_folder_is_indexed_again(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "first words", scenes=("red",))
    save.index(library.folder)
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF  # in the last box of the file: it still decodes
    path.write_bytes(data)
    library.subtitle(path, "second text")
    assert "Plan: 1 changed" in save.index(library.folder).err
    assert save.videos("second")
    assert save.videos("first") == []
    assert save("status", "--json").json["clips"] == 1


def test_a_new_date_alone_costs_no_decoding(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra")
    save.index(library.folder)
    path.with_suffix(".srt").unlink()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert "1 unchanged · nothing to index" in save.index(library.folder).err
    assert save.videos("zebra", "--before", "2002")


def test_an_unplugged_drive_deletes_nothing_and_every_hit_returns(save: Save, library: Library) -> None:
    library.add("a.mp4", "zebra")
    library.add("b.mp4", "zebra")
    save.index(library.folder)
    away = library.folder.with_name("unplugged")
    library.folder.rename(away)
    outcome = save.index(library.folder, code=3)
    assert "2 offline" in outcome.err
    assert "its videos stay in the archive" in outcome.err
    hits = save.videos("zebra")
    assert len(hits) == 2
    assert not any(hit["available"] for hit in hits)
    assert "its drive is not connected" in save("query", "zebra").out
    assert "(offline)" in save("status").out

    library.folder.mkdir()  # the empty mount point of a drive that is not there
    assert "2 offline" in save.index(code=3).err
    library.folder.rmdir()
    away.rename(library.folder)
    assert "2 unchanged" in save.index(library.folder).err
    assert all(hit["available"] for hit in save.videos("zebra"))


def test_a_deleted_file_is_hidden_until_it_returns(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra")
    library.add("b.mp4", "lion")
    save.index(library.folder)
    away = path.with_suffix(".away")
    path.rename(away)
    assert "1 unchanged, 1 missing" in save.index(library.folder).err
    assert save.videos("zebra") == []
    away.rename(path)
    save.index(library.folder)
    assert save.videos("zebra")
    path.unlink()
    save.index(library.folder)
    assert "Removed 1 video" in save("remove", "--missing").err
    assert save("status", "--json").json["videos"] == 1


def test_remove_forgets_a_folder_and_leaves_its_files(save: Save, library: Library) -> None:
    path = library.add("old/a.mp4", "zebra")
    library.add("new/b.mp4", "lion")
    save.index(library.folder)
    assert "Removed 1 video" in save("remove", library.folder / "old").err
    assert path.exists()
    assert save.videos("zebra") == []
    assert save.videos("lion")
    outcome = save("remove", library.folder / "nowhere", code=2)
    assert "the archive has nothing at" in outcome.err


def test_broken_files_are_skipped_with_their_reasons(save: Save, library: Library) -> None:
    library.add("good.mp4", "zebra")
    (library.folder / "empty.mp4").write_bytes(b"")
    (library.folder / "text.mp4").write_text("I am a letter, not a video. " * 50)
    whole = library.add("whole.mp4", duration_s=2)
    (library.folder / "truncated.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    library.add("sound.mp4", codec=None, audio="tone")
    outcome = save.index(library.folder, code=3)
    assert "Indexed 2 videos, 2 clips. Skipped 4 (save status --failed)" in outcome.err
    reasons = {Path(row["path"]).name: row["reason"] for row in save("status", "--failed", "--json").json["failed"]}
    assert set(reasons) == {"empty.mp4", "text.mp4", "truncated.mp4", "sound.mp4"}
    assert len(set(reasons.values())) == 4, reasons
    assert "no video stream" in reasons["sound.mp4"]
    assert save.videos("zebra")

    again = save.index(library.folder, code=3)
    assert "2 unchanged, 4 failed before · nothing to index" in again.err
    assert "Plan: 4 new" in save.index(library.folder, "--retry-failed", code=3).err

    shutil.copyfile(whole, library.folder / "truncated.mp4")
    assert "copied" in save.index(library.folder, code=3).err


def test_a_file_that_breaks_keeps_its_old_content_unseen(save: Save, library: Library) -> None:
    path = library.add("a.mp4", "zebra")
    save.index(library.folder)
    whole = path.read_bytes()
    path.write_bytes(b"broken")
    save.index(library.folder, code=3)
    assert save.videos("zebra") == []
    path.write_bytes(whole)
    path.with_suffix(".srt").unlink()
    assert "nothing to index" in save.index(library.folder).err
    assert save.videos("zebra")


def test_any_file_name_works_everywhere(save: Save, library: Library) -> None:
    names = [
        "with space.mp4",
        "quote'and\"double.mp4",
        "new\nline.mp4",
        "ünïcødé 日本.mp4",
        "-leading-dash.mp4",
        "percent%20.mp4",
        b"odd\xff.mp4".decode("utf-8", "surrogateescape"),
    ]
    for number, name in enumerate(names):
        plain = library.add(f"plain{number}.mp4", "zebra")
        plain.rename(library.folder / name)
        plain.with_suffix(".srt").rename((library.folder / name).with_suffix(".srt"))
    paths = {str(library.folder / name) for name in names}
    save.index(library.folder)
    listed = save("query", "zebra", "-0", "--all").out.split("\0")
    assert sorted(listed) == ["", *sorted(paths)]
    assert len(save.within("query", "zebra", "--all").out.splitlines()) == 2 * len(names)
    lines = save.within("query", "zebra", "--jsonl", "--all").out.splitlines()
    assert {json.loads(line)["path"] for line in lines} == paths
    save.env["PATH"] = _fake_player(save.home)
    played = [save.within("open", str(hit), "--print").out for hit in range(1, len(names) + 1)]
    assert {shlex.split(command)[-1] for command in played} == paths
    save("remove", "--", *paths)
    assert save("status", "--json").json["videos"] == 0


def test_excluded_files_are_not_indexed_and_known_ones_stay(save: Save, library: Library) -> None:
    library.add("raw/a.mp4", "zebra")
    library.add("b.mp4", "lion")
    assert "Plan: 1 new" in save.index(library.folder, "--exclude", "raw", "--plan").out
    save.index(library.folder)
    assert "missing" not in save.index(library.folder, "--exclude", "raw").err
    assert save.videos("zebra")


def test_mistakes_get_a_cause_a_fix_and_the_right_code(save: Save, library: Library) -> None:
    assert "there is no" in save.index("/nowhere", code=2).err
    assert "there is nothing to index" in save.index(code=2).err
    assert not save.archive.exists()
    library.add("a.mp4")
    assert "unknown encoder `clap`" in save.index(library.folder, "--encoder", "clap", code=2).err
    assert "are not on this machine" in save.index(library.folder, "--encoder", "clip", code=1).err
    assert "No such option" in save.index("--frobnicate", code=2).err
    stranger = library.folder.with_name("stranger")
    stranger.mkdir()
    (stranger / "letter.txt").write_text("mine")
    outcome = save.index(library.folder, "--archive", stranger, code=1)
    assert "is not an archive" in outcome.err
    assert "Traceback" not in outcome.err


def test_the_language_of_the_speech_decides_the_stemming(save: Save, library: Library) -> None:
    for number in range(3):
        path = library.add(f"clip{number}.mp4")
        library.subtitle(path, "les élèves couraient|vers les maisons").rename(path.with_suffix(".fr.srt"))
    save.index(library.folder)
    assert save("status", "--json").json["language"] == "French"
    assert len(save.videos("maison eleve")) == 3
    assert len(save.videos("maison", "--lang", "fr")) == 3
    assert save.videos("maison", "--lang", "en") == []


def _versions(archive: Path) -> list[str]:
    return sorted(str(path) for path in archive.rglob("*.manifest"))


def _fake_player(home: Path) -> str:
    """A PATH whose `mpv` exists: `save open --print` only needs to find it."""
    folder = home / "bin"
    folder.mkdir(exist_ok=True)
    player = folder / "mpv"
    player.write_text("#!/bin/sh\n")
    player.chmod(0o755)
    return str(folder)


def test_files_that_swapped_names_keep_everything(save: Save, library: Library) -> None:
    first, second = library.add("a.mp4", "zebra crossing"), library.add("b.mp4", "lion king")
    save.index(library.folder)
    first.with_suffix(".srt").unlink()
    second.with_suffix(".srt").unlink()
    aside = library.folder / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    save.index(library.folder, "--jobs", "2")
    assert [hit["path"] for hit in save.videos("zebra")] == [str(second)]
    assert [hit["path"] for hit in save.videos("lion")] == [str(first)]


def test_remove_missing_spares_what_came_back(save: Save, library: Library) -> None:
    path = library.add("sub/a.mp4", "zebra")
    library.add("b.mp4", "lion")
    save.index(library.folder)
    away = library.folder.with_name("away")
    path.parent.rename(away)
    save.index(library.folder)
    away.rename(path.parent)
    assert "Removed 0 videos" in save("remove", "--missing").err
    save.index(library.folder)
    assert save.videos("zebra")

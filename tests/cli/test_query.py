"""`save query`: what is printed where, in which form, with which exit code, and what it costs to find it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cli.conftest import SAVE, Library, Save
from tests.search.hand_made import EAST, make_archive, record


@pytest.fixture
def talks(save: Save, library: Library) -> Save:
    """An archive of four videos."""
    library.add("talks/neurology-03.mp4", "well|SPS, or stiff person syndrome,|is a rare disease", duration_s=4)
    library.add("talks/cooking.mp4", "boil the potatoes|for twenty minutes", duration_s=30, rate_hz=5)
    library.add("trips/2019_LakeComo-ferry.mp4", "", duration_s=2)
    library.add("trips/café.mp4", "un café crème|s'il vous plaît", duration_s=2)
    save.index(library.folder)
    return save


def test_a_hit_shows_path_span_confidence_signals_and_words(talks: Save) -> None:
    lines = talks("query", "man explaining stiff person syndrome").out.splitlines()
    assert lines[0].split() == ["1", "talks/neurology-03.mp4", "0:00–0:04", "medium", "said", "1"]
    assert lines[1].strip() == "well SPS, or stiff person syndrome, is a rare disease"


def test_json_has_the_documented_shape(talks: Save) -> None:
    document = talks("query", "stiff person", "--json").json
    assert list(document) == ["schema", "query", "encoder", "videos"]
    assert (document["schema"], document["query"], document["encoder"]) == (1, "stiff person", "words")
    (video,) = document["videos"]
    assert {"rank", "path", "video_id", "score", "moments"} <= set(video)
    (moment,) = video["moments"]
    assert {"start_s", "end_s", "score", "confidence", "ranks", "snippet"} <= set(moment)
    text, matches = moment["snippet"]["text"], moment["snippet"]["matches"]
    assert [text[start:end] for start, end in matches] == ["stiff person"]


def test_jsonl_paths_and_nul_forms(talks: Save) -> None:
    (line,) = talks("query", "potatoes", "--jsonl").out.splitlines()
    assert json.loads(line)["path"].endswith("cooking.mp4")
    assert talks("query", "potatoes", "--paths").out.endswith("talks/cooking.mp4\n")
    assert talks("query", "potatoes", "-0").out.endswith("talks/cooking.mp4\0")


def test_no_match_exits_1_with_an_empty_stdout(talks: Save) -> None:
    for form in ([], ["--json"], ["--paths"]):
        outcome = talks("query", "purple elephant", *form, code=1)
        assert outcome.out == ""
        assert outcome.err == "No match.\n"
    outcome = talks("query", "purple elephants boil on saturn", code=1)
    assert outcome.out == ""
    assert outcome.err == "No confident match (best: cooking.mp4 0:00–0:15; --all shows it)\n" or (
        "No confident match (best: cooking.mp4" in outcome.err
    )
    assert "low" in talks("query", "purple elephants boil on saturn", "--all").out


def test_words_of_the_file_name_find_it(talks: Save) -> None:
    (hit,) = talks.videos("como ferry")
    assert hit["path"].endswith("2019_LakeComo-ferry.mp4")
    assert hit["moments"][0]["ranks"]["named"] == 1
    assert hit["moments"][0]["snippet"] is None


def test_stems_and_accents_match(talks: Save) -> None:
    (hit,) = talks.videos("boiling potato")
    snippet = hit["moments"][0]["snippet"]
    marked = [snippet["text"][start:end] for start, end in snippet["matches"]]
    assert marked == ["boil", "potatoes"] or marked == ["boil the potatoes"]
    assert talks.videos("cafe creme")[0]["path"].endswith("café.mp4")


def test_a_phrase_gives_word_times_across_utterances_and_wants_exact_words(talks: Save) -> None:
    (hit,) = talks.videos("the potatoes for twenty", "--phrase")
    moment = hit["moments"][0]
    assert moment["start_s"] == pytest.approx(0.5 + 1 * 5 / 17, abs=0.3)
    assert moment["end_s"] == pytest.approx(1.5 + 1 * 10 / 18, abs=0.3)
    assert talks.videos("potatoes the", "--phrase") == []
    assert talks.videos("potato", "--phrase") == [], "stems are not exact words"
    assert talks.videos("CAFE CREME", "--phrase"), "case and accents do not count"


def test_filters_apply_before_the_best_are_picked(save: Save, library: Library) -> None:
    for number in range(25):
        library.add(f"many/{number:02}.mp4", "zebra zebra zebra", duration_s=0.4, rate_hz=5)
    for number in range(10):
        library.add(f"few/{number:02}.mp4", "one zebra among very many other animals", duration_s=0.4, rate_hz=5)
    save.index(library.folder)
    assert len(save.videos("zebra", "--in", "few")) == 10
    assert len(save.videos("zebra", "--not-in", "many/*")) == 10
    assert len(save.videos("zebra", "--in", "few/0*", "--limit", "3")) == 3
    assert save.videos("zebra", "--longer", "10") == []
    assert len(save.videos("zebra", "--shorter", "0:05", "--limit", "100")) == 35
    assert save.videos("zebra", "--before", "2001") == []
    assert len(save.videos("zebra", "--after", "2001", "--limit", "100")) == 35
    assert len(save.videos("zebra")) == 10


def test_at_most_three_moments_a_video_and_neighbours_are_one(save: Save, library: Library) -> None:
    library.add("long.mp4", "zebra", duration_s=110, rate_hz=2)
    path = library.folder / "long.mp4"
    cues = [(2, "zebra one"), (12, "zebra two"), (45, "zebra three"), (66, "zebra four"), (88, "zebra five")]
    path.with_suffix(".srt").write_text(
        "\n".join(
            f"{n}\n00:{s // 60:02}:{s % 60:02},000 --> 00:{s // 60:02}:{s % 60 + 3:02},000\n{text}\n"
            for n, (s, text) in enumerate(cues, 1)
        )
    )
    save.index(library.folder)
    (hit,) = save.videos("zebra")
    moments = sorted((moment["start_s"], moment["end_s"]) for moment in hit["moments"])
    assert len(moments) == 3
    assert all(end <= start for (_, end), (start, _) in pairwise(moments))
    joined = [moment for moment in hit["moments"] if moment["start_s"] == 0]
    assert not joined or joined[0]["end_s"] > 12


def test_piped_output_has_no_escapes_and_survives_a_closed_pipe(talks: Save) -> None:
    assert "\x1b" not in talks("query", "potatoes").out
    done = subprocess.run(
        ["sh", "-c", f"'{SAVE}' query word zebra potatoes stiff cafe ferry person --all | head -1"],
        env=talks.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_terminal_gets_bold_words(talks: Save) -> None:
    pty = pytest.importorskip("pty")
    main, side = pty.openpty()
    process = subprocess.Popen(
        [SAVE, "query", "potatoes"], stdout=side, stderr=side, stdin=side, env=talks.environment(TERM="xterm")
    )
    process.wait(timeout=60)
    os.close(side)
    text = os.read(main, 65536).decode()
    assert "\x1b[1mpotatoes\x1b[0m" in text


def test_a_query_of_words_loads_neither_torch_nor_open_clip(talks: Save) -> None:
    script = (
        "import os, sys\n"
        "os._exit = lambda code: None\n"
        "from savecli.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'pandas', 'faster_whisper', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    for arguments in (["query", "potatoes"], ["query", "--phrase", "twenty minutes"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=talks.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr


def test_open_prints_the_players_command_at_the_second(talks: Save, tmp_path: Path) -> None:
    player = tmp_path / "bin/mpv"
    player.parent.mkdir()
    player.write_text("#!/bin/sh\n")
    player.chmod(0o755)
    assert "there is no last query" in talks("open", "1", code=1).err
    (hit,) = talks.videos("twenty minutes", "--phrase")
    start_s = hit["moments"][0]["start_s"]
    outcome = talks("open", "1", "--print", PATH=str(player.parent))
    assert outcome.out == f"mpv --start={start_s:.2f} -- {hit['path']}\n"
    assert "there is no hit 2" in talks("open", "2", code=2).err


def test_mistakes_get_a_cause_and_a_fix(talks: Save) -> None:
    assert "there is nothing to look for" in talks("query", "?!", code=2).err
    assert "cannot be searched by sight" in talks("query", "dog", "--see", code=2).err
    assert "is not a date" in talks("query", "dog", "--after", "soon", code=2).err
    assert "is not a length of time" in talks("query", "dog", "--longer", "ages", code=2).err
    missing = talks("query", "dog", "--archive", "/nowhere/x.save", code=1)
    assert "there is no archive" in missing.err
    assert "save index" in missing.err


def test_names_with_brackets_and_names_of_copies(save: Save, library: Library) -> None:
    path = library.add("Talk [k7Tn].mp4", "zebra")
    library.add("other.mp4", "zebra")
    save.index(library.folder)
    copy = library.folder / "animal wedding.mp4"  # of which the subtitles are not: what is known of the content stays
    copy.write_bytes(path.read_bytes())
    save.index(library.folder)
    assert [Path(hit["path"]).name for hit in save.videos("zebra", "--in", "Talk [k7Tn].mp4")] == ["Talk [k7Tn].mp4"]
    assert len(save.videos("wedding")) == 1


def test_an_exact_phrase_is_found_behind_many_stems(save: Save, library: Library) -> None:
    for number in range(8):
        library.add(f"{number}.mp4", "running running running", duration_s=0.4, rate_hz=5)
    library.add("exact.mp4", "and then we all have to run away from it", duration_s=0.4, rate_hz=5)
    save.index(library.folder)
    assert [Path(hit["path"]).name for hit in save.videos("run", "--phrase", "--limit", "1")] == ["exact.mp4"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks spell names their own way")
def test_folders_are_named_in_any_spelling(save: Save, library: Library) -> None:
    decomposed, odd = "Cafe\N{COMBINING ACUTE ACCENT}", os.fsdecode(b"caf\xe9")
    library.add(f"{decomposed}/a.mp4", "zebra", rate_hz=5)
    library.add(f"{odd}/b.mp4", "zebra", rate_hz=5, metadata={"comment": "b"})
    save.index(library.folder)

    def found(*arguments: str) -> list[str]:
        return [Path(hit["path"]).name for hit in save.videos("zebra", *arguments)]

    for spelling in ("Café", decomposed, "Caf?/*.mp4"):
        assert found("--in", spelling) == ["a.mp4"]
    assert found("--not-in", odd) == ["a.mp4"]


def test_an_archive_without_its_vectors_says_that_only_words_answer(save: Save) -> None:
    make_archive(save.archive, record("own"), [("a zebra", EAST)])
    (vectors,) = save.archive.glob("vectors_*.lance")
    shutil.rmtree(vectors)
    command = f"save index --archive {save.archive}"
    for outcome in (save("query", "zebra", "--json"), save.piped("zebra\n", "--json")):
        assert len(outcome.json["videos"]) == 1
        assert outcome.err == f"Only words were searched, as vectors are not complete: {command}\n"
    refused = save("query", "zebra", "--see", code=2).err
    assert "cannot be searched by sight" in refused
    assert command in refused

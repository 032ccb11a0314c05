"""`save shell`: a query a line, in one process that follows the archive."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from savecli.cli.shell import Line, read_line
from tests.cli.conftest import SAVE, Library, Save
from tests.make_checkpoint import make_checkpoint


@contextmanager
def talking(save: Save, *arguments: str) -> Iterator[Any]:
    """Asks a shell one line and gives the document that comes back, as often as it is called."""
    process = subprocess.Popen(
        [SAVE, "shell", "--json", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=save.environment(),
        text=True,
    )
    lines, answers = process.stdin, process.stdout
    assert lines is not None
    assert answers is not None

    def ask(line: str) -> Any:
        lines.write(line + "\n")
        lines.flush()
        return json.loads(answers.readline())

    try:
        yield ask
        lines.close()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """An archive of two videos. Tests only read it."""
    top = tmp_path_factory.mktemp("talks")
    for name in ("home", "videos"):
        (top / name).mkdir()
    library, save = Library(top / "videos"), Save(top / "home", top / "test.save")
    library.add("neurology.mp4", "stiff person syndrome", rate_hz=5)
    library.add("cooking.mp4", "boil the potatoes and open 1 door", rate_hz=5)
    save.index(library.folder)
    return save


def names(document: Any) -> list[str]:
    return [Path(video["path"]).name for video in document["videos"]]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a dog\n", Line("query", "a dog")),
        ("  open 2\r\n", Line("open", "2")),
        ("why 2.3", Line("why", "2.3")),
        ("open 1 door", Line("query", "open 1 door")),
        ("open door", Line("query", "open door")),
        ("? open 1", Line("query", "open 1")),
        ('"open 1"', Line("query", '"open 1"')),
        ("like 1", Line("like", "1")),
        ("?", Line("help")),
        ("quit", Line("quit")),
        ("quit smoking", Line("query", "quit smoking")),
        (" \n", None),
    ],
)
def test_only_a_whole_line_is_a_command(text: str, meant: Line | None) -> None:
    assert read_line(text) == meant


def test_lines_from_a_pipe_are_answered_and_hits_opened(talks: Save, tmp_path: Path) -> None:
    player, opened = tmp_path / "bin/mpv", tmp_path / "opened"
    player.parent.mkdir()
    player.write_text(f'#!/bin/sh\necho "$@" > {opened}.part\nmv {opened}.part {opened}\n')
    player.chmod(0o755)
    lines = 'potatoes\nopen 1\nhelp\n"open 1"\nwhy 1\nquit\nstiff person\n'
    outcome = talks.piped(lines, PATH=f"{player.parent}:{os.environ['PATH']}")
    assert outcome.code == 0
    assert "neurology" not in outcome.out, "nothing comes after quit"
    first, words, again, _, explained, _, score, said, *_ = outcome.out.splitlines()
    assert first.split()[:2] == again.split()[:2] == explained.split()[:2] == ["1", "cooking.mp4"]
    assert "potatoes" in words
    assert score.split()[0] == "score"
    assert said.split()[:4] == ["said", "1.000", "rank", "1,"]
    assert said.endswith("open, 1")
    assert outcome.err.startswith("a line of text"), "no prompt and no greeting off a terminal"
    deadline = time.monotonic() + 10
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert opened.read_text().endswith("cooking.mp4\n")
    assert talks("open", "1", "--print").out.endswith("cooking.mp4\n"), "other commands know the last hits as well"

    told = talks.piped("potatoes\nopen 1\nhelp\n", "--json", PATH=f"{player.parent}:{os.environ['PATH']}")
    answer, played, helped = map(json.loads, told.out.splitlines())
    assert played == {"schema": 1, "opened": answer["videos"][0]["path"]}
    assert list(helped) == ["schema", "help"]


def test_a_bad_line_is_told_and_the_shell_goes_on(talks: Save) -> None:
    outcome = talks.piped("why 1\n?!\n\npotatoes\nopen 7\n\udcff\udcfe\n", "--limit", "1")
    assert outcome.code == 3
    assert len(outcome.out.splitlines()) == 2
    for told in ("there is no last query", "there is nothing to look for", "there is no hit 7"):
        assert told in outcome.err
    assert "SAVE_DEBUG" not in outcome.err
    assert names(json.loads(talks.piped("boil - stiff\n", "--json").out)) == ["cooking.mp4"]
    documents = [json.loads(line) for line in talks.piped("?!\npotatoes\n", "--json").out.splitlines()]
    assert documents[0]["error"]["what"] == "there is nothing to look for"
    assert names(documents[1]) == ["cooking.mp4"]


def test_the_exit_code_of_a_pipe_says_whether_anything_was_found(talks: Save) -> None:
    assert talks.piped("potatoes\nelephants\n").code == 0
    nothing = talks.piped("elephants\nzebras\n")
    assert (nothing.code, nothing.out, nothing.err) == (1, "", "No match.\nNo match.\n")
    missing = talks.piped("potatoes\n", "--archive", "/nowhere/x.save")
    assert missing.code == 1
    assert "there is no archive" in missing.err


def test_videos_and_encoders_that_come_meanwhile_are_found(save: Save, library: Library, tmp_path: Path) -> None:
    library.add("lion.mp4", "a lion", rate_hz=5)
    save.index(library.folder)
    with talking(save, "--all") as ask:
        assert names(ask("zebra")) == []
        library.add("zebra.mp4", "a zebra crossing", rate_hz=5)
        save.index(library.folder)
        found = ask("zebra")
        assert (found["encoder"], names(found)) == ("words", ["zebra.mp4"])
        model = make_checkpoint(tmp_path / "ours")
        save.index(library.folder, "--encoder", model, "--rebuild")
        found = ask("zebra crossing")
        assert found["encoder"] == str(model)
        assert found["videos"][0]["moments"][0]["ranks"]["matched"] is not None
        assert "explanation" in ask("why 1")["videos"][0]["moments"][0]
        shown = found["videos"][0]
        like = ask("like 1")
        assert like["examples"] == [{"kind": "hit", "name": "1", "weight": 1.0}]
        assert shown["path"] not in [video["path"] for video in like["videos"]], "a hit is not like itself"


def test_a_query_of_words_loads_no_model(talks: Save) -> None:
    script = (
        "import os, sys\n"
        "os._exit = lambda code: None\n"
        "from savecli.cli.main import main\n"
        "main(['shell'])\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'pandas', 'onnxruntime', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="potatoes\nwhy 1\n",
        env=talks.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_on_a_terminal_ctrl_c_cancels_the_line_and_ctrl_d_ends(talks: Save) -> None:
    pty = pytest.importorskip("pty")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(SAVE, ["save", "shell"], talks.environment(TERM="dumb"))
    seen = ""

    def comes(text: str, *, times: int, within_s: float) -> bool:
        nonlocal seen
        deadline = time.monotonic() + within_s
        while seen.count(text) < times and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 65536).decode()
        return seen.count(text) >= times

    def wait_for(text: str, *, times: int = 1) -> None:
        assert comes(text, times=times, within_s=30), seen

    try:
        wait_for("save> ")
        os.write(terminal, b"elephants on the mo")
        wait_for("on the mo")
        for _ in range(6):
            os.write(terminal, b"\x03")
            # CPython's readline sees a signal that comes while it takes a key only at the next: press it again then.
            if comes("save> ", times=2, within_s=5):
                break
        num_prompts = seen.count("save> ")
        assert num_prompts >= 2, seen
        os.write(terminal, b"potatoes\n")
        wait_for("cooking.mp4")
        wait_for("save> ", times=num_prompts + 1)
        os.write(terminal, b"\x04")
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "Stopped" not in seen
    assert "No match" not in seen, "the cancelled line was asked"
    if sys.platform == "linux":
        history = talks.home / ".local/state/save/shell_history"
        assert history.read_text().splitlines() == ["potatoes"]

"""`save shell`: an archive kept open, and a query a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.asking import offline_option, print_answer, request_options, show_answer, show_notes, text_side
from savecli.cli.options import archive_option, json_option
from savecli.core.errors import SaveError

if TYPE_CHECKING:
    from savecli.cli.last_query import LastQuery
    from savecli.search.query import Request
    from savecli.search.session import Session

HELP = """\
a line of text    search for it, as `save query` does: dog + 2:running - "the beach"
open N            play hit N at its second; 2.3 is the third moment of the second video
why N             what the score of hit N is made of
like N            moments that are like hit N
? open 1          search for the words "open 1", as in quotes
quit              leave, as Ctrl-D does; Ctrl-C only cancels a line"""

_PROMPT = "save> "
_COMMAND = re.compile(r"(open|why|like)\s+(\d+(?:\.\d+)?)")
_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*")+')
_WORDS = {"help": "help", "?": "help", "quit": "quit", "exit": "quit"}
_MOST_LINES_OF_HISTORY = 1000
_DONE, _FAILED, _SOME_FAILED = 0, 1, 3


@click.command(epilog="Example: printf 'a dog\\nopen 1\\n' | save shell --in holidays")
@archive_option
@request_options
@json_option
@offline_option
def shell(archive_folder: Path, asked: Request, as_json: bool, offline: bool) -> int:
    """Answer a query a line, with the archive and its encoder kept ready; the line `help` lists commands.

    The options hold for every line. From a pipe, exits with 1 when no line found anything, and with 3 when some lines
    failed.
    """
    from savecli.search.session import Session

    session = Session(archive_folder, partial(text_side, offline=offline, for_many=True))
    session.text_side(replace(asked, text="any line"))
    answers = Shell(session, asked, as_json=as_json)
    is_typed = sys.stdin.isatty()
    if is_typed:
        click.echo(f"{archive_folder.name} · `help` lists the commands", err=True)
    with _lines(is_typed=is_typed) as lines:
        for line in lines:
            try:
                if not answers.take(line):
                    break
            except KeyboardInterrupt:
                if not is_typed:
                    raise
                click.echo("Stopped.", err=True)
            sys.stdout.flush()
    return _DONE if is_typed else answers.exit_code


@dataclass(frozen=True)
class Line:
    """What a line asks: `kind` is `query`, `help`, `quit`, or a command about the hit that `rest` says."""

    kind: str
    rest: str = ""


def read_line(text: str) -> Line | None:
    """What is meant; None by an empty line.

    Only a line that is a command as a whole is one: `open 1` plays a hit, `open 1 door` is looked for.
    """
    text = text.strip()
    if not text:
        return None
    if command := _COMMAND.fullmatch(text):
        return Line(command[1], command[2])
    if text in _WORDS:
        return Line(_WORDS[text])
    if text.startswith("? "):
        return Line("query", text[2:])
    return Line("query", text)


class Shell:
    """Takes lines one after the other and remembers what was shown last."""

    def __init__(self, session: Session, asked: Request, *, as_json: bool) -> None:
        self._session = session
        self._asked = asked
        self._form = "json-line" if as_json else None
        self._last: LastQuery | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        self._num_queries = self._num_found = self._num_failed = 0

    @property
    def exit_code(self) -> int:
        """For lines from a pipe."""
        if self._num_failed:
            return _SOME_FAILED if self._num_found else _FAILED
        return _FAILED if self._num_queries and not self._num_found else _DONE

    def take(self, text: str) -> bool:
        """Do what a line asks, and tell what goes wrong; False ends the shell."""
        from savecli.cli.errors import error_text, our_own_fault

        line = read_line(text)
        if line is None or line.kind == "quit":
            return line is None
        try:
            self._do(line)
        except BrokenPipeError:
            raise
        except Exception as error:
            known = error if isinstance(error, SaveError) else our_own_fault(error)
            self._num_failed += 1
            click.echo(error_text(known), err=True)
            self._tell(error={"what": known.what, "why": known.why, "fix": known.fix})
        return True

    def _tell(self, **news: Any) -> None:
        """A document of what is no answer, for programs."""
        from savecli.cli.render import JSON_SCHEMA

        if self._form is not None:
            click.echo(json.dumps({"schema": JSON_SCHEMA, **news}))

    def _do(self, line: Line) -> None:
        if line.kind == "help":
            click.echo(HELP, err=True)
            self._tell(help=HELP)
        elif line.kind == "query":
            self._search(self._text_request(line.rest))
        elif line.kind == "like":
            self._search(self._like_request(line.rest))
        elif line.kind == "open":
            from savecli.cli.open import play

            self._players = [player for player in self._players if player.poll() is None]  # reaps those that ended
            hit = self._shown().hit(line.rest)
            self._players.append(play(hit))
            self._tell(opened=str(hit.path))
        else:
            from savecli.cli.why import show_why

            show_why(self._session, self._shown(), line.rest, form=self._form)

    def _text_request(self, text: str) -> Request:
        """The line as the arguments of `save query`; only double quotes keep words together, as in "it's"."""
        from savecli.search.terms import parse_terms

        words = [argument.replace('"', "") for argument in _ARGUMENT.findall(text)]
        terms = () if self._asked.is_phrase else parse_terms(words)
        return replace(self._asked, text=" ".join(words), terms=terms)

    def _like_request(self, number: str) -> Request:
        from savecli.search.example import like_moment

        hit = self._shown().hit(number)
        self._session.follow()
        example = like_moment(self._session.archive, hit.video_id, hit.start_s, hit.end_s, name=number)
        return replace(self._asked, text="", examples=(example,), is_phrase=False)

    def _search(self, request: Request) -> None:
        from savecli.cli.last_query import remember

        answer = self._session.search(request)
        self._last = remember(answer, request, self._session.folder)
        if self._form is None:
            show_answer(answer, None)
        else:
            show_notes(answer)
            print_answer(answer, self._form)
        self._num_queries += 1
        self._num_found += bool(answer.videos)

    def _shown(self) -> LastQuery:
        if self._last is None:
            raise SaveError(
                "there is no last query", why="nothing was asked in this shell yet", fix="ask for something"
            )
        return self._last


@contextmanager
def _lines(*, is_typed: bool) -> Iterator[Iterator[str]]:
    """Lines of stdin until it ends; typed ones after a prompt, with a history that is kept."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    if not is_typed:
        yield iter(sys.stdin.readline, "")
    else:
        with _history():
            yield _typed_lines()


def _typed_lines() -> Iterator[str]:
    while True:
        try:
            if sys.stdout.isatty():
                yield input(_PROMPT)
                continue
            click.echo(_PROMPT, nl=False, err=True)  # stdout is results only
            text = sys.stdin.readline()
        except EOFError:
            text = ""
        except KeyboardInterrupt:
            click.echo(err=True)
            continue
        if not text:
            click.echo(err=True)
            return
        yield text


@contextmanager
def _history() -> Iterator[None]:
    """Lines of earlier shells within reach of the arrow keys, where Python has readline.

    A home that cannot be written to only loses this comfort.
    """
    try:
        import readline
    except ImportError:
        yield
        return
    from savecli.cli.last_query import state_folder

    path = state_folder() / "shell_history"
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(_MOST_LINES_OF_HISTORY)
    try:
        yield
    finally:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)

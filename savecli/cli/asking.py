"""What commands that search share: how to ask, the text side of an archive, and how an answer is printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from savecli.cli.options import Date, Seconds

if TYPE_CHECKING:
    from savecli.archive.store import Archive
    from savecli.search.candidates import Signal
    from savecli.search.query import EncodeText
    from savecli.search.results import Answer

Command = TypeVar("Command", bound=Callable[..., Any])

FOUND, NOTHING_FOUND = 0, 1

_OPTIONS = (
    click.option(
        "--limit", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Videos at most."
    ),
    click.option("--see", is_flag=True, help="Use only what is seen."),
    click.option("--say", is_flag=True, help="Use only what is said."),
    click.option("--phrase", is_flag=True, help="Exactly these words in this order; loads no model, gives word times."),
    click.option("--all", "show_all", is_flag=True, help="Also show matches of low confidence."),
    click.option(
        "--in", "inside", multiple=True, metavar="GLOB", help="Only files in this folder or matching (repeatable)."
    ),
    click.option(
        "--not-in", "outside", multiple=True, metavar="GLOB", help="No file in this folder or matching (repeatable)."
    ),
    click.option("--after", type=Date(), metavar="DATE", help="Only files modified on or after this date."),
    click.option("--before", type=Date(), metavar="DATE", help="Only files modified before this date."),
    click.option("--longer", type=Seconds(), metavar="TIME", help="Only videos at least this long: 90, 5m, 1h30m."),
    click.option("--shorter", type=Seconds(), metavar="TIME", help="Only videos at most this long."),
    click.option(
        "--lang", "languages", multiple=True, metavar="CODE", help="Only speech in this language, e.g. en (repeatable)."
    ),
)


def request_options(command: Command) -> Command:
    """How to search, and which files may be found; the command gets them as `asked`, a request without a text."""

    @wraps(command)
    def gathered(
        *,
        limit: int,
        see: bool,
        say: bool,
        phrase: bool,
        show_all: bool,
        inside: tuple[str, ...],
        outside: tuple[str, ...],
        after: int | None,
        before: int | None,
        longer: float | None,
        shorter: float | None,
        languages: tuple[str, ...],
        **others: Any,
    ) -> Any:
        from savecli.search.filters import Filters
        from savecli.search.query import Request

        filters = Filters(
            inside=tuple(map(_pattern, inside)),
            outside=tuple(map(_pattern, outside)),
            after_ns=after,
            before_ns=before,
            longer_s=longer,
            shorter_s=shorter,
            languages=tuple(code.lower() for code in languages),
        )
        asked = Request(
            text="",
            limit=limit,
            signals=_signals(see=see, say=say),
            is_phrase=phrase,
            show_all=show_all,
            filters=filters,
        )
        return command(asked=asked, **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return cast(Command, gathered)


def offline_option(command: Command) -> Command:
    """`--offline`."""
    return click.option("--offline", is_flag=True, help="Never use the network, not even to look for model weights.")(
        command
    )


def text_side(archive: Archive, *, offline: bool, for_many: bool = False) -> EncodeText:
    """The text side of the archive's own encoder."""
    from savecli.cli.progress_bar import shown_progress
    from savecli.model.hub import Hub
    from savecli.search.text_encoder import load_query_encoder

    with shown_progress() as progress:
        return load_query_encoder(archive, hub=Hub(offline=offline), for_many=for_many, progress=progress)


def show_answer(answer: Answer, form: str | None) -> int:
    """Print an answer and its notes; the exit code says whether anything was found."""
    show_notes(answer)
    if not answer.videos:
        click.echo(_nothing_found(answer), err=True)
        return NOTHING_FOUND
    print_answer(answer, form)
    return FOUND


def show_notes(answer: Answer) -> None:
    """What the user should know of an answer, on stderr."""
    for note in answer.notes:
        click.echo(note, err=True)


def _signals(*, see: bool, say: bool) -> frozenset[Signal]:
    """The kinds of evidence to use."""
    if not see and not say:
        return frozenset({"seen", "said", "named"})
    asked: set[Signal] = set()
    if see:
        asked.add("seen")
    if say:
        asked.add("said")
    return frozenset(asked)


def _pattern(text: str) -> str:
    """A path the shell or the user wrote relative to here or to home is meant as the place itself."""
    expanded = str(Path(text).expanduser())
    if text.startswith(("./", "../", "~")) or text in (".", ".."):
        return os.path.abspath(expanded)
    return expanded


def _nothing_found(answer: Answer) -> str:
    from savecli.cli.render import clock, one_line

    if answer.best is None:
        return "No match."
    moment = answer.best.moments[0]
    place = f"{one_line(Path(answer.best.path).name)} {clock(moment.start_s)}–{clock(moment.end_s)}"
    return f"No confident match (best: {place}; --all shows it)"


def print_answer(answer: Answer, form: str | None) -> None:
    """Print hits for people, or as `json`, `json-line` (the same on one line), `jsonl`, `paths` or `paths0`."""
    from savecli.cli import render

    if form in ("json", "json-line"):
        click.echo(json.dumps(render.answer_json(answer), indent=2 if form == "json" else None))
    elif form == "jsonl":
        for line in render.answer_jsonl(answer):
            click.echo(line)
    elif form in ("paths", "paths0"):
        end = "\0" if form == "paths0" else "\n"
        for hit in answer.videos:
            sys.stdout.write(hit.path + end)
    else:
        on_terminal = render.is_terminal()
        width = render.terminal_width() if on_terminal else None
        colour = on_terminal and "NO_COLOR" not in os.environ
        for line in render.answer_lines(answer, colour=colour, width=width):
            click.echo(line)

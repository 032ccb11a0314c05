"""`save query`: ranked videos with the moment and the words."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savecli.cli.options import Date, Seconds, archive_option

if TYPE_CHECKING:
    from savecli.archive.store import Archive
    from savecli.search.query import EncodeText, Signal
    from savecli.search.results import Answer

FOUND, NOTHING_FOUND = 0, 1


@click.command(epilog='Example: save query "a dog catches a frisbee" --in holidays --limit 3')
@click.argument("text", nargs=-1, required=True)
@archive_option
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Videos at most.")
@click.option("--see", is_flag=True, help="Use only what is seen.")
@click.option("--say", is_flag=True, help="Use only what is said.")
@click.option("--phrase", is_flag=True, help="Exactly these words in this order; loads no model, gives word times.")
@click.option("--all", "show_all", is_flag=True, help="Also show matches of low confidence.")
@click.option(
    "--in", "inside", multiple=True, metavar="GLOB", help="Only files in this folder or matching (repeatable)."
)
@click.option(
    "--not-in", "outside", multiple=True, metavar="GLOB", help="No file in this folder or matching (repeatable)."
)
@click.option("--after", type=Date(), metavar="DATE", help="Only files modified on or after this date.")
@click.option("--before", type=Date(), metavar="DATE", help="Only files modified before this date.")
@click.option("--longer", type=Seconds(), metavar="TIME", help="Only videos at least this long: 90, 5m, 1h30m.")
@click.option("--shorter", type=Seconds(), metavar="TIME", help="Only videos at most this long.")
@click.option(
    "--lang", "languages", multiple=True, metavar="CODE", help="Only speech in this language, e.g. en (repeatable)."
)
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print one JSON object a moment.")
@click.option("--paths", "form", flag_value="paths", help="Print only paths, best first.")
@click.option(
    "-0", "--print0", "form", flag_value="paths0", help="Print only paths, each ended by a NUL byte, for xargs -0."
)
@click.option("--offline", is_flag=True, help="Never use the network, not even to look for model weights.")
def query(
    text: tuple[str, ...],
    archive_folder: Path,
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
    form: str | None,
    offline: bool,
) -> int:
    """Find videos that match TEXT, best first, and show where they match.

    Exits with 1 and prints nothing to stdout when there is no confident match.
    """
    from savecli.archive.store import open_archive
    from savecli.cli.last_query import remember
    from savecli.search.filters import Filters
    from savecli.search.query import Request, needs_text_encoder, search_videos

    request = Request(
        text=" ".join(text),
        limit=limit,
        signals=_signals(see=see, say=say),
        is_phrase=phrase,
        show_all=show_all,
        filters=Filters(
            inside=tuple(map(_pattern, inside)),
            outside=tuple(map(_pattern, outside)),
            after_ns=after,
            before_ns=before,
            longer_s=longer,
            shorter_s=shorter,
            languages=tuple(code.lower() for code in languages),
        ),
    )
    archive = open_archive(archive_folder)
    encode_text = _text_encoder(archive, offline=offline) if needs_text_encoder(archive, request) else None
    answer = search_videos(archive, request, encode_text=encode_text)
    remember(answer)
    for note in answer.notes:
        click.echo(note, err=True)
    if not answer.videos:
        click.echo(_nothing_found(answer), err=True)
        return NOTHING_FOUND
    _print(answer, form)
    return FOUND


def _signals(*, see: bool, say: bool) -> frozenset[Signal]:
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


def _text_encoder(archive: Archive, *, offline: bool) -> EncodeText:
    """The text side of the archive's own encoder."""
    from savecli.cli.progress_bar import shown_progress
    from savecli.model.hub import Hub
    from savecli.search.text_encoder import load_query_encoder

    with shown_progress() as progress:
        return load_query_encoder(archive, hub=Hub(offline=offline), progress=progress)


def _nothing_found(answer: Answer) -> str:
    from savecli.cli.render import clock, one_line

    if answer.best is None:
        return "No match."
    moment = answer.best.moments[0]
    place = f"{one_line(Path(answer.best.path).name)} {clock(moment.start_s)}–{clock(moment.end_s)}"
    return f"No confident match (best: {place}; --all shows it)"


def _print(answer: Answer, form: str | None) -> None:
    from savecli.cli import render

    if form == "json":
        click.echo(json.dumps(render.answer_json(answer), indent=2))
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

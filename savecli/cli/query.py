"""`save query`: ranked videos with the moment and the words."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savecli.cli.asking import offline_option, request_options, text_side
from savecli.cli.options import archive_option

if TYPE_CHECKING:
    from savecli.search.query import Request
    from savecli.search.results import Answer

FOUND, NOTHING_FOUND = 0, 1


@click.command(epilog='Example: save query "a dog catches a frisbee" --in holidays --limit 3')
@click.argument("text", nargs=-1, required=True)
@archive_option
@request_options
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print one JSON object a moment.")
@click.option("--paths", "form", flag_value="paths", help="Print only paths, best first.")
@click.option(
    "-0", "--print0", "form", flag_value="paths0", help="Print only paths, each ended by a NUL byte, for xargs -0."
)
@offline_option
def query(
    text: tuple[str, ...],
    archive_folder: Path,
    asked: Request,
    form: str | None,
    offline: bool,
) -> int:
    """Find videos that match TEXT, best first, and show where they match.

    Exits with 1 and prints nothing to stdout when there is no confident match.
    """
    from savecli.archive.store import open_archive
    from savecli.cli.last_query import remember
    from savecli.search.query import needs_text_encoder, search_videos

    request = replace(asked, text=" ".join(text))
    archive = open_archive(archive_folder)
    encode_text = text_side(archive, offline=offline) if needs_text_encoder(archive, request) else None
    answer = search_videos(archive, request, encode_text=encode_text)
    remember(answer, request, archive_folder)
    for note in answer.notes:
        click.echo(note, err=True)
    if not answer.videos:
        click.echo(_nothing_found(answer), err=True)
        return NOTHING_FOUND
    _print(answer, form)
    return FOUND


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

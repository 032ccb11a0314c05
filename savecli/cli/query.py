"""`save query`: ranked videos with the moment and the words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savecli.cli.asking import offline_option, request_options, show_answer, text_side
from savecli.cli.example import Named, example_options, read_examples
from savecli.cli.options import archive_option

if TYPE_CHECKING:
    from savecli.search.query import Request


@click.command(epilog='Example: save query "a dog catches a frisbee" --in holidays --limit 3')
@click.argument("text", nargs=-1)
@example_options
@archive_option
@request_options
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print one JSON object a moment.")
@click.option("--paths", "form", flag_value="paths", help="Print only paths, best first.")
@click.option(
    "-0", "--print0", "form", flag_value="paths0", help="Print only paths, each ended by a NUL byte, for xargs -0."
)
@click.option("--explain", is_flag=True, help="Show what each hit's score is made of.")
@offline_option
def query(
    text: tuple[str, ...],
    named: Named,
    archive_folder: Path,
    asked: Request,
    form: str | None,
    explain: bool,
    offline: bool,
) -> int:
    """Find videos that match TEXT, best first, and show where they match.

    A lone + or - between words adds and subtracts terms, and 2:WORD weighs one: save query dog + 2:running - beach.
    Examples are added to the text, or stand for it.

    Exits with 1 and prints nothing to stdout when there is no confident match.
    """
    from savecli.cli.last_query import remember
    from savecli.search.session import Session
    from savecli.search.terms import parse_terms

    if not text and not named:
        raise click.UsageError("Missing argument 'TEXT...', --image, --clip or --like.")
    request = replace(asked, text=" ".join(text), terms=() if asked.is_phrase else parse_terms(text))
    session = Session(archive_folder, partial(text_side, offline=offline))
    request = replace(request, examples=read_examples(session.archive, named, offline=offline))
    answer = session.search(request)
    remember(answer, request, archive_folder)
    return show_answer(session.explain(request, answer) if explain else answer, form)

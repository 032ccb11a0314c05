"""`save why`: what the score of a hit is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from savecli.cli.asking import offline_option, print_answer, text_side
from savecli.cli.options import json_option
from savecli.core.errors import SaveError

if TYPE_CHECKING:
    from savecli.cli.last_query import Hit, LastQuery
    from savecli.search.results import Answer
    from savecli.search.session import Session


@click.command(epilog="Example: save why 2")
@click.argument("number")
@json_option
@offline_option
def why(number: str, as_json: bool, offline: bool) -> int:
    """Show what the score of hit NUMBER of the last query is made of; 2.3 is the third moment of the second video.

    The query is answered again by the archive as it is now.
    """
    from savecli.cli.last_query import last_query
    from savecli.search.session import Session

    last = last_query()
    if last.request is None or last.archive_folder is None:
        raise SaveError(
            "it is not known what was asked",
            why="another version of save kept the last query",
            fix="run the query again",
        )
    session = Session(last.archive_folder, partial(text_side, offline=offline))
    show_why(session, last, number, form="json" if as_json else None)
    return 0


def show_why(session: Session, last: LastQuery, number: str, *, form: str | None) -> None:
    """Print why a hit was found.

    Args:
        last: what was asked of the session's archive, with its request.
        form: as for `show_answer`.

    Raises:
        UsageError: there was no such hit.
        SaveError: the hit is not found any more.
    """
    assert last.request is not None
    hit = last.hit(number)
    answer = _of_hit(session.search(last.request), hit)
    if answer is None:
        raise SaveError(
            f"hit {number} is not found any more",
            why="the archive or the file has changed since the query",
            fix="run the query again",
        )
    if last.request.is_phrase:
        click.echo("A phrase is there or is not: exactly these words are said.", err=True)
    print_answer(session.explain(last.request, answer), form)


def _of_hit(answer: Answer, hit: Hit) -> Answer | None:
    """The answer with that moment alone; None when it is not there."""
    for video in answer.videos:
        for moment in video.moments:
            if (video.video_id, moment.start_s, moment.end_s) == (hit.video_id, hit.start_s, hit.end_s):
                return replace(answer, videos=(replace(video, moments=(moment,)),))
    return None

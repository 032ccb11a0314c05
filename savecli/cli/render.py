"""How answers look: aligned text for people, JSON and paths for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from savecli.search.results import Answer, Moment, VideoHit

JSON_SCHEMA = 1

# So many names of a list are shown.
_SHOWN = 10
_GAP = "   "
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def clock(seconds: float) -> str:
    """`12:41`, with hours only where there are some: `1:02:03`."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def length(seconds: float) -> str:
    """A length of time as it is spoken: `1 h 42 min`, `3 min`, `12 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 video`, `2 videos`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}".replace(",", " ")


def some_names(names: Sequence[str], *, rest: str = "") -> str:
    """The first ten, and how many more there are; `rest` says where these can be seen."""
    shown = ", ".join(map(one_line, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more{rest}"


def one_line(text: str) -> str:
    """A file name that cannot break the layout: control characters are shown as escapes."""
    return "".join(
        c if c.isprintable() or 0xDC80 <= ord(c) <= 0xDCFF else c.encode("unicode_escape").decode() for c in text
    )


def answer_lines(answer: Answer, *, colour: bool, width: int | None = None) -> Iterator[str]:
    """Ranked videos for a person: a line a moment, the words under it."""
    names = {hit.rank: _shown_path(hit) for hit in answer.videos}
    number_width = len(str(len(answer.videos)))
    path_width = max((len(name) for name in names.values()), default=0)
    if width is not None:
        path_width = min(path_width, max(24, width - 48))
    time_width = max((len(_span(moment)) for hit in answer.videos for moment in hit.moments), default=0)
    for hit in answer.videos:
        for place, moment in enumerate(hit.moments):
            number = str(hit.rank) if place == 0 else ""
            name = _shortened(names[hit.rank], path_width) if place == 0 else ""
            name = f"{name:<{path_width}}"
            head = f"{number:>{number_width}}  {_BOLD + name + _RESET if colour else name}"
            confidence = () if moment.confidence is None else (f"{moment.confidence:<6}",)
            facts = (f"{_span(moment):<{time_width}}", *confidence, _evidence(moment))
            yield _GAP.join((head, *facts)).rstrip()
            indent = " " * (number_width + 2)
            for line in snippet_lines(moment, width=width and width - len(indent), colour=colour):
                yield indent + line
            if moment.explanation is not None:
                from savecli.cli.explanations import explanation_lines

                yield from (indent + line for line in explanation_lines(moment.explanation))
        yield from (f"{'':{number_width}}  also at {one_line(path)}" for path in hit.also_at)
        if not hit.is_available:
            text = "its drive is not connected, or the file is gone"
            yield " " * (number_width + 2) + (f"{_DIM}{text}{_RESET}" if colour else text)


def snippet_lines(moment: Moment, *, width: int | None, colour: bool) -> Iterator[str]:
    """The snippet, broken between words where a width is given, matched words in bold where colour is."""
    if moment.snippet is None:
        return
    text = "".join(c if c.isprintable() else " " for c in moment.snippet.text)  # of the same length: offsets hold
    matches = moment.snippet.matches if colour else ()
    for start, end in _broken(text, max(width, 20)) if width else [(0, len(text))]:
        parts, cursor = [], start
        for low, high in ((max(low, start), min(high, end)) for low, high in matches):
            if low < high:
                parts += [text[cursor:low], _BOLD, text[low:high], _RESET]
                cursor = high
        yield "".join([*parts, text[cursor:end]])


def _broken(text: str, width: int) -> Iterator[tuple[int, int]]:
    """`(start, end)` of lines of at most `width` characters, broken at spaces where there are any."""
    start = 0
    while len(text) - start > width:
        at = text.rfind(" ", start + 1, start + width + 1)
        end = at if at > start else start + width
        yield start, end
        start = end + 1 if at > start else end
    yield start, len(text)


def answer_json(answer: Answer) -> dict[str, Any]:
    """The whole answer as one document; `matches` are character offsets into `text`.

    `terms` and `examples` are there when a query adds and subtracts, or asks for what something is like.
    """
    terms = [{"text": term.text, "weight": term.weight} for term in answer.terms]
    examples = [{"kind": item.kind, "name": item.name, "weight": item.weight} for item in answer.examples]
    return {
        "schema": JSON_SCHEMA,
        "query": answer.query,
        **({"terms": terms} if terms else {}),
        **({"examples": examples} if examples else {}),
        "encoder": answer.encoder,
        "videos": [
            {
                "rank": hit.rank,
                "path": hit.path,
                "video_id": hit.video_id,
                "score": hit.score,
                "available": hit.is_available,
                "also_at": list(hit.also_at),
                "moments": [moment_json(moment) for moment in hit.moments],
            }
            for hit in answer.videos
        ],
    }


def moment_json(moment: Moment) -> dict[str, Any]:
    """A moment; a kind of evidence it lacks is null, and so is the confidence of what is like an example.

    `matched`, `logit` and `shares`, of each sense in the match, only come from a model of ours.
    """
    snippet = moment.snippet
    return {
        "start_s": round(moment.start_s, 3),
        "end_s": round(moment.end_s, 3),
        "score": moment.score,
        "confidence": moment.confidence,
        **({} if moment.logit is None else {"logit": round(moment.logit, 6)}),
        **({"shares": {part.sense: round(part.share, 6) for part in moment.senses}} if moment.senses else {}),
        "ranks": {
            **({} if moment.ranks.matched is None else {"matched": moment.ranks.matched}),
            "seen": moment.ranks.seen,
            "said": moment.ranks.said,
            "named": moment.ranks.named,
        },
        "snippet": snippet and {"text": snippet.text, "matches": [list(match) for match in snippet.matches]},
        **_explained(moment),
    }


def _explained(moment: Moment) -> dict[str, Any]:
    if moment.explanation is None:
        return {}
    from savecli.cli.explanations import explanation_json

    return {"explanation": explanation_json(moment.explanation)}


def answer_jsonl(answer: Answer) -> Iterator[str]:
    """A moment a line, each with its video."""
    for hit in answer.videos:
        for moment in hit.moments:
            video = {"schema": JSON_SCHEMA, "rank": hit.rank, "path": hit.path, "video_id": hit.video_id}
            yield json.dumps(video | moment_json(moment))


def terminal_width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def _span(moment: Moment) -> str:
    return f"{clock(moment.start_s)}–{clock(moment.end_s)}"


def _evidence(moment: Moment) -> str:
    """`said 1 · seen 4`, the strongest first; `matched 1 (heard, seen)` names the senses that a match is from."""
    ranks = moment.ranks
    found = [
        (place, name)
        for name, place in (
            ("matched", ranks.matched),
            ("seen", ranks.seen),
            ("said", ranks.said),
            ("name", ranks.named),
        )
        if place is not None
    ]
    places = [f"{name} {place}" + _senses(moment) * (name == "matched") for place, name in sorted(found)]
    return " · ".join(places)


def _senses(moment: Moment) -> str:
    """` (heard, seen)`, or nothing where that is not known."""
    if not moment.senses:
        return ""
    from savecli.search.senses import named_senses

    names = ", ".join(named_senses(moment.senses))
    return f" ({names})" if names else ""


def _shown_path(hit: VideoHit) -> str:
    """The path below its indexed folder, as the user thinks of it."""
    path, root = Path(hit.path), Path(hit.root)
    return one_line(str(path.relative_to(root)) if path != root and path.is_relative_to(root) else path.name)


def _shortened(text: str, width: int) -> str:
    """The end of a long path says more than its beginning."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]

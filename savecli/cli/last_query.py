"""The last query and its hits, kept so that `save open 2` knows what 2 is, and `save why 2` what was asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savecli.core.errors import SaveError, UsageError

if TYPE_CHECKING:
    from savecli.search.query import Request
    from savecli.search.results import Answer


@dataclass(frozen=True)
class Hit:
    """One moment that was shown; `video_id` is "" in a file of an older version."""

    path: Path
    start_s: float
    end_s: float
    video_id: str = ""


@dataclass(frozen=True)
class LastQuery:
    """What was asked, where, and what was shown.

    Args:
        hits: by video, its moments.
        request: None, as `archive_folder`, when another version of save kept it.
    """

    hits: tuple[tuple[Hit, ...], ...]
    request: Request | None = None
    archive_folder: Path | None = None

    def hit(self, number: str) -> Hit:
        """The hit a user calls `2`, or `2.3` for the third moment of the second video.

        Raises:
            UsageError: no such hit.
        """
        video, _, moment = number.partition(".")
        try:
            video_idx, moment_idx = int(video) - 1, int(moment or 1) - 1
            if min(video_idx, moment_idx) < 0:
                raise IndexError
            return self.hits[video_idx][moment_idx]
        except (ValueError, IndexError) as error:
            allowed = f"1 to {len(self.hits)}, or 1.2 for the second moment of the first"
            why = f"allowed: {allowed}" if self.hits else "the last query found nothing"
            raise UsageError(f"there is no hit {number}", why=why, fix="run the query again") from error


def state_folder() -> Path:
    """Where the user's last query and the history of the shell lie."""
    from platformdirs import user_state_path

    return user_state_path("save", appauthor=False)


def remember(answer: Answer, request: Request, archive_folder: Path) -> LastQuery:
    """Keep an answer to a request; a home that cannot be written to only loses this comfort."""
    last = LastQuery(
        tuple(
            tuple(Hit(Path(hit.path), moment.start_s, moment.end_s, hit.video_id) for moment in hit.moments)
            for hit in answer.videos
        ),
        request,
        archive_folder,
    )
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(_to_json(last)), encoding="utf-8")
        draft.replace(path)
    except OSError:
        pass
    return last


def last_query() -> LastQuery:
    """What `remember` kept last, also by an older version.

    Raises:
        SaveError: there was no query yet.
    """
    try:
        return _from_json(json.loads(_path().read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SaveError(
            "there is no last query", why="nothing was found or asked yet", fix='save query "a dog on a beach"'
        ) from error


def recall(number: str) -> Hit:
    """A hit of the last query; see `LastQuery.hit`."""
    return last_query().hit(number)


def _to_json(last: LastQuery) -> dict[str, Any]:
    assert last.request is not None
    return {
        "query": last.request.text,
        "hits": [[[str(hit.path), hit.start_s, hit.end_s] for hit in moments] for moments in last.hits],
        "video_ids": [moments[0].video_id for moments in last.hits],
        "archive": str(last.archive_folder),
        "request": {
            **asdict(replace(last.request, examples=())),
            "signals": sorted(last.request.signals),
            "examples": [example.as_dict() for example in last.request.examples],
        },
    }


def _from_json(data: dict[str, Any]) -> LastQuery:
    ids = data.get("video_ids") or [""] * len(data["hits"])
    hits = tuple(
        tuple(Hit(Path(path), start_s, end_s, video_id) for path, start_s, end_s in moments)
        for moments, video_id in zip(data["hits"], ids, strict=True)
    )
    try:
        return LastQuery(hits, _request(data["request"]), Path(data["archive"]))
    except (KeyError, TypeError):  # of another version: the hits can still be played
        return LastQuery(hits)


def _request(data: dict[str, Any]) -> Request:
    from savecli.search.example import Example
    from savecli.search.filters import Filters
    from savecli.search.query import Request
    from savecli.search.terms import Term

    filters: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data["filters"].items()
    }
    held = {
        "terms": tuple(Term(**term) for term in data["terms"]),
        "examples": tuple(Example.from_dict(example) for example in data["examples"]),
        "signals": frozenset(data["signals"]),
        "filters": Filters(**filters),
    }
    return Request(**{**data, **held})


def _path() -> Path:
    return state_folder() / "last_query.json"

"""The hits of the last query, kept so that `save open 2` knows what 2 is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from savecli.core.errors import SaveError, UsageError
from savecli.search.results import Answer


@dataclass(frozen=True)
class Hit:
    """One moment that was shown."""

    path: Path
    start_s: float
    end_s: float


def remember(answer: Answer) -> None:
    """Keep the hits of an answer; a home that cannot be written to only loses this comfort."""
    hits = [[[hit.path, moment.start_s, moment.end_s] for moment in hit.moments] for hit in answer.videos]
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps({"query": answer.query, "hits": hits}), encoding="utf-8")
        draft.replace(path)
    except OSError:
        return


def recall(number: str) -> Hit:
    """The hit a user calls `2`, or `2.3` for the third moment of the second video.

    Raises:
        UsageError: no such hit.
        SaveError: there was no query yet.
    """
    try:
        hits = json.loads(_path().read_text(encoding="utf-8"))["hits"]
    except (OSError, ValueError, KeyError) as error:
        raise SaveError(
            "there is no last query", why="nothing was found or asked yet", fix='save query "a dog on a beach"'
        ) from error
    video, _, moment = number.partition(".")
    try:
        video_idx, moment_idx = int(video) - 1, int(moment or 1) - 1
        if min(video_idx, moment_idx) < 0:
            raise IndexError
        path, start_s, end_s = hits[video_idx][moment_idx]
    except (ValueError, IndexError) as error:
        allowed = f"1 to {len(hits)}, or 1.2 for the second moment of the first"
        raise UsageError(f"there is no hit {number}", why=f"allowed: {allowed}", fix="run the query again") from error
    return Hit(Path(path), start_s, end_s)


def _path() -> Path:
    from platformdirs import user_state_path

    return user_state_path("save", appauthor=False) / "last_query.json"

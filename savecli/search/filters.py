"""Which videos a query may find. Filters apply before the best are picked, so ten that qualify give ten hits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from pathlib import PurePath

from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive, sql_in

_COLUMNS = ("path", "video_id", "root", "title", "duration_s", "mtime_ns", "language", "is_missing")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on a file; all of them must hold.

    Args:
        inside: path patterns of which one must match; see `matches_path`.
        outside: path patterns of which none may match.
        after_ns: modified at or after this time (nanoseconds since 1970).
        before_ns: modified before this time.
        longer_s: at least this long.
        shorter_s: at most this long.
        languages: ISO 639-1 codes of the transcript.
    """

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    after_ns: int | None = None
    before_ns: int | None = None
    longer_s: float | None = None
    shorter_s: float | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Eligible:
    """The videos that may be found.

    Args:
        filters: what was asked for; files that are gone never qualify.
        condition: SQL over `video_id` that says the same, or None when every video may be found.
        own_clips: ids of clips that the query itself was taken from; no answer to it.
    """

    filters: Filters
    condition: str | None
    own_clips: frozenset[str] = frozenset()

    def files(self, archive: Archive, video_ids: Iterable[str]) -> dict[str, list[VideoRow]]:
        """The files that qualify, by content and in order of path; a content without any is left out."""
        rows = archive.video_rows(sql_in("video_id", set(video_ids)), columns=_COLUMNS)
        files: dict[str, list[VideoRow]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row.path):
            if _is_allowed(row, self.filters):
                files[row.video_id].append(row)
        return dict(files)


def eligible_videos(archive: Archive, filters: Filters) -> Eligible:
    """What `filters` leave, as a condition of as few ids as possible: long lists slow a search down."""
    if filters == Filters():
        gone = _ids(archive, "is_missing = true")
        out = gone - _ids(archive, f"is_missing = false AND {sql_in('video_id', gone)}") if gone else gone
        return Eligible(filters, f"NOT ({sql_in('video_id', out)})" if out else None)
    rows = archive.video_rows(columns=_COLUMNS)
    kept = {row.video_id for row in rows if _is_allowed(row, filters)}
    out = {row.video_id for row in rows} - kept
    if not out:
        return Eligible(filters, None)
    shorter = sql_in("video_id", kept) if len(kept) <= len(out) else f"NOT ({sql_in('video_id', out)})"
    return Eligible(filters, shorter)


def _ids(archive: Archive, where: str) -> set[str]:
    return {row.video_id for row in archive.video_rows(where, columns=("path", "video_id"))}


def matches_path(path: str, root: str, pattern: str) -> bool:
    """Whether a file lies where `pattern` says.

    A pattern may name a folder or file as it is: `talks` matches `talks/a.mp4` and `x/talks/a.mp4`, and `a [x].mp4`
    itself. As a glob it must match the whole path below the root, the whole absolute path, or the file name.
    """
    relative = path[len(root) :].lstrip("/\\") if path.startswith(root) else path
    wanted, parts = PurePath(pattern).parts, PurePath(path).parts
    if any(parts[start : start + len(wanted)] == wanted for start in range(len(parts))):
        return True
    match = _compiled(pattern)
    return any(match.fullmatch(text) for text in (relative or PurePath(path).name, path, PurePath(path).name))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _is_allowed(row: VideoRow, filters: Filters) -> bool:
    return not row.is_missing and _fits(row, filters) and _path_fits(row, filters)


def _fits(row: VideoRow, filters: Filters) -> bool:
    return (
        (filters.after_ns is None or row.mtime_ns >= filters.after_ns)
        and (filters.before_ns is None or row.mtime_ns < filters.before_ns)
        and (filters.longer_s is None or row.duration_s >= filters.longer_s)
        and (filters.shorter_s is None or row.duration_s <= filters.shorter_s)
        and (not filters.languages or row.language in filters.languages)
    )


def _path_fits(row: VideoRow, filters: Filters) -> bool:
    def matches_any(patterns: Sequence[str]) -> bool:
        return any(matches_path(row.path, row.root, pattern) for pattern in patterns)

    return (not filters.inside or matches_any(filters.inside)) and not matches_any(filters.outside)

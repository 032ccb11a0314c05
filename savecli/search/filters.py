"""Which videos a query may find. Filters apply before the best are picked, so ten that qualify give ten hits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from pathlib import PurePath

from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive, sql_in

_COLUMNS = ("path", "video_id", "root", "title", "duration_s", "mtime_ns", "language")


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
        rows: files by content; several files may share one.
        condition: SQL over `video_id` that says the same, or None when every video may be found.
    """

    rows: dict[str, list[VideoRow]]
    condition: str | None


def eligible_videos(archive: Archive, filters: Filters) -> Eligible:
    """Apply `filters` to the files of the archive; files that are gone never qualify."""
    known = archive.video_rows(_condition(filters), columns=_COLUMNS)
    kept = [row for row in known if _path_allowed(row, filters)]
    rows: dict[str, list[VideoRow]] = defaultdict(list)
    for row in sorted(kept, key=lambda row: row.path):
        rows[row.video_id].append(row)
    num_files = archive.videos.count_rows()
    if len(kept) == num_files:
        return Eligible(rows, None)
    return Eligible(rows, sql_in("video_id", rows))


def matches_path(path: str, root: str, pattern: str) -> bool:
    """Whether a file lies where `pattern` says.

    A pattern without wildcards names a folder or file: `talks` matches `talks/a.mp4` and `x/talks/a.mp4`. With
    wildcards it must match the whole path below the root, the whole absolute path, or the file name.
    """
    relative = path[len(root) :].lstrip("/\\") if path.startswith(root) else path
    if not set(pattern) & set("*?["):
        wanted = PurePath(pattern).parts
        parts = PurePath(path).parts
        return any(parts[start : start + len(wanted)] == wanted for start in range(len(parts)))
    match = _compiled(pattern)
    return any(match.fullmatch(text) for text in (relative or PurePath(path).name, path, PurePath(path).name))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _condition(filters: Filters) -> str:
    parts = ["is_missing = false"]
    if filters.after_ns is not None:
        parts.append(f"mtime_ns >= {filters.after_ns}")
    if filters.before_ns is not None:
        parts.append(f"mtime_ns < {filters.before_ns}")
    if filters.longer_s is not None:
        parts.append(f"duration_s >= {filters.longer_s}")
    if filters.shorter_s is not None:
        parts.append(f"duration_s <= {filters.shorter_s}")
    if filters.languages:
        parts.append(sql_in("language", filters.languages))
    return " AND ".join(parts)


def _path_allowed(row: VideoRow, filters: Filters) -> bool:
    def matches_any(patterns: Sequence[str]) -> bool:
        return any(matches_path(row.path, row.root, pattern) for pattern in patterns)

    return (not filters.inside or matches_any(filters.inside)) and not matches_any(filters.outside)

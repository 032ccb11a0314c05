"""Which videos a query may find. Filters apply before the best are picked, so ten that qualify give ten hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from savecli.archive.schema import VideoRow, video_from_dict
from savecli.archive.store import Archive
from savecli.archive.tables import sql_in
from savecli.search.catalogue import COLUMNS, Catalogue, Mask, catalogue_of, read_catalogue


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on a file; all of them must hold.

    Args:
        inside: path patterns of which one must match; see `savecli.search.catalogue.path_matcher`.
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
        most_clips: they have at most so many; None where that is not known.
        own_clips: ids of clips that the query itself was taken from; no answer to it.
    """

    filters: Filters
    condition: str | None
    most_clips: int | None = None
    own_clips: frozenset[str] = frozenset()

    @property
    def is_nobody(self) -> bool:
        """Whether no video may be found."""
        return self.condition == sql_in("video_id", ())

    def files(self, archive: Archive, video_ids: Iterable[str]) -> dict[str, list[VideoRow]]:
        """The files that qualify, by content and in order of path; a content without any is left out."""
        found = archive.videos.search().where(sql_in("video_id", set(video_ids))).select([*COLUMNS, "title"]).to_arrow()
        files: dict[str, list[VideoRow]] = defaultdict(list)
        rows = zip(found.to_pylist(), _allowed(catalogue_of(found), self.filters), strict=True)
        for row in sorted((video_from_dict(row) for row, is_allowed in rows if is_allowed), key=lambda row: row.path):
            files[row.video_id].append(row)
        return dict(files)


def eligible_videos(archive: Archive, filters: Filters) -> Eligible:
    """What `filters` leave, as a condition of as few ids as possible: long lists slow a search down."""
    return archive.of_videos(_eligible, filters)


def _eligible(archive: Archive, filters: Filters) -> Eligible:
    if filters == Filters():
        gone = _gone(archive.videos)
        return Eligible(filters, f"NOT ({sql_in('video_id', gone)})" if gone else None)
    files = archive.of_videos(read_catalogue)
    allowed = _allowed(files, filters)
    kept = set(files.video_ids[allowed])
    out = set(files.video_ids[~allowed]) - kept
    if not out:
        return Eligible(filters, None)
    shorter = sql_in("video_id", kept) if len(kept) <= len(out) else f"NOT ({sql_in('video_id', out)})"
    return Eligible(filters, shorter, int(files.num_clips[allowed].sum()))


def _gone(videos: Any) -> frozenset[str]:
    """Contents that no file has any more."""
    gone = _ids(videos, "is_missing = true")
    return gone - _ids(videos, f"is_missing = false AND {sql_in('video_id', gone)}") if gone else gone


def _ids(videos: Any, where: str) -> frozenset[str]:
    return frozenset(videos.search().where(where).select(["video_id"]).to_arrow().column("video_id").to_pylist())


def _allowed(files: Catalogue, filters: Filters) -> Mask:
    """`(N,)`: which files qualify."""
    allowed = ~files.is_missing
    if filters.after_ns is not None:
        allowed &= files.mtime_ns >= filters.after_ns
    if filters.before_ns is not None:
        allowed &= files.mtime_ns < filters.before_ns
    if filters.longer_s is not None:
        allowed &= files.duration_s >= filters.longer_s
    if filters.shorter_s is not None:
        allowed &= files.duration_s <= filters.shorter_s
    if filters.languages:
        allowed &= np.isin(files.languages.astype(str), filters.languages)
    if filters.inside:
        allowed &= np.logical_or.reduce([files.inside(pattern) for pattern in filters.inside])
    for pattern in filters.outside:
        allowed &= ~files.inside(pattern)
    return allowed

"""Files that need no decoding: moved, copied, touched, gone or back again, written into the archive in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from savecli.archive.disk import writing_errors
from savecli.archive.paths import real_path, stored_path
from savecli.archive.plan import IndexPlan, Todo, is_gone
from savecli.archive.prepare import moved_row
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.archive.tables import sql_in


def apply_renewals(archive: Archive, plan: IndexPlan) -> bool:
    """Write what needs no decoding: moves, copies, new dates, files that went or came back. One commit.

    Returns whether there was anything to write.
    """
    renewals = (*plan.moved, *plan.copied, *plan.touched)
    newly_missing = [row for row in plan.missing if not row.is_missing]
    full = full_rows(archive, [row.path for row in (*(r.row for r in renewals), *plan.returned, *newly_missing)])
    rows = [moved_row(full[renewal.row.path], Todo(renewal.file, renewal.root)) for renewal in renewals]
    rows += [replace(full[row.path], is_missing=False) for row in plan.returned]
    rows += [replace(full[row.path], is_missing=True) for row in newly_missing]
    with writing_errors(archive.folder):
        archive.put_videos(rows, gone=[renewal.row.path for renewal in plan.moved])
        archive.drop_failures(_settled_failures(archive, plan))
    return bool(rows)


def _settled_failures(archive: Archive, plan: IndexPlan) -> list[str]:
    """Failures of files that are as the archive knows them again, or that were deleted."""
    settled = {row.path for row in (*plan.unchanged, *plan.returned)}
    settled |= {stored_path(renewal.file.path) for renewal in (*plan.moved, *plan.copied, *plan.touched)}
    paths = [failure.path for failure in archive.failure_rows()]
    return [path for path in paths if path in settled or _was_deleted(real_path(path))]


def _was_deleted(path: Path) -> bool:
    """Whether the file is gone from a folder that is there, which tells a deletion from an unplugged drive."""
    return is_gone(path) and not is_gone(path.parent)


def full_rows(archive: Archive, paths: Sequence[str]) -> dict[str, VideoRow]:
    """Rows with their transcripts: they are written back whole."""
    if not paths:
        return {}
    rows = archive.video_rows(sql_in("path", paths), columns=archive.videos.schema.names)
    return {row.path: row for row in rows}

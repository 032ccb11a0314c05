"""Deleting from an archive on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from savecli.archive.paths import real_path
from savecli.archive.plan import is_below, is_gone
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.archive.upkeep import optimise
from savecli.core.errors import UsageError


def remove_videos(archive: Archive, paths: Sequence[Path], *, missing: bool = False) -> int:
    """Forget the videos, failures and roots at or below `paths`; returns how many videos that were.

    Needs the write lock.

    Args:
        missing: also every video whose file was gone at the last index run and still is.

    Raises:
        UsageError: nothing of the archive lies there.
    """
    rows = archive.video_rows(columns=["path", "video_id", "is_missing"])
    chosen = [row.path for row in rows if is_below(row.path, paths) or (missing and _is_lost(row))]
    failures = [failure.path for failure in archive.failure_rows() if is_below(failure.path, paths)]
    kept_roots = tuple(root for root in archive.manifest.roots if not is_below(root.path, paths))
    if not (chosen or failures or missing or len(kept_roots) < len(archive.manifest.roots)):
        named = ", ".join(map(str, paths))
        raise UsageError(
            "nothing was removed",
            why=f"the archive has nothing at {named}" if paths else "no path was given",
            fix="`save query WORDS --paths` prints paths as the archive knows them",
        )
    archive.drop_videos(chosen)
    archive.drop_failures(failures)
    if len(kept_roots) < len(archive.manifest.roots):
        archive.set_manifest(replace(archive.manifest, roots=kept_roots))
    optimise(archive)
    return len(chosen)


def _is_lost(row: VideoRow) -> bool:
    return row.is_missing and is_gone(real_path(row.path))

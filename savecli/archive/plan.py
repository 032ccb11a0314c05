"""What an index run would do, decided from two lists: the files on disk and the rows of the archive.

An unchanged file costs the `stat` the scan made. Contents are read only where a decision needs them: when a known
file has a new date but its old size, and when a new file has the size of one the archive knows.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from savecli.archive.paths import real_path, stored_path
from savecli.archive.schema import FailureRow, VideoRow
from savecli.core.hashing import content_hash, sample_hash
from savecli.core.records import Scan, VideoFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Todo:
    """A file to decode and index; `replaces` is the row that its path has now."""

    file: VideoFile
    root: Path
    replaces: VideoRow | None = None


@dataclass(frozen=True)
class Renewal:
    """Content that is known, in a file that is new or has a new date: `row` is the row to take over."""

    file: VideoFile
    root: Path
    row: VideoRow


@dataclass(frozen=True)
class IndexPlan:
    """The work of one run, by kind.

    Args:
        new: files the archive does not know.
        changed: files with other content than their row says.
        moved: known content whose old path is gone.
        copied: known content at one more path.
        touched: the same content with a new date.
        returned: unchanged files that were marked missing.
        unchanged: rows that are right as they are.
        missing: rows whose file is gone, though its root is there.
        offline: rows below a root that cannot be seen; they are left alone.
        failed_before: files that failed in an earlier run and have not changed since.
    """

    new: tuple[Todo, ...] = ()
    changed: tuple[Todo, ...] = ()
    moved: tuple[Renewal, ...] = ()
    copied: tuple[Renewal, ...] = ()
    touched: tuple[Renewal, ...] = ()
    returned: tuple[VideoRow, ...] = ()
    unchanged: tuple[VideoRow, ...] = ()
    missing: tuple[VideoRow, ...] = ()
    offline: tuple[VideoRow, ...] = ()
    failed_before: tuple[FailureRow, ...] = ()

    @property
    def todo(self) -> tuple[Todo, ...]:
        """Everything that must be decoded, short files first: results come early and a batch never waits long."""
        return tuple(sorted((*self.new, *self.changed), key=lambda todo: (todo.file.size_bytes, todo.file.path)))


@dataclass
class _Draft:
    """The plan while it is being written."""

    new: list[Todo] = field(default_factory=list)
    changed: list[Todo] = field(default_factory=list)
    moved: list[Renewal] = field(default_factory=list)
    copied: list[Renewal] = field(default_factory=list)
    touched: list[Renewal] = field(default_factory=list)
    returned: list[VideoRow] = field(default_factory=list)
    unchanged: list[VideoRow] = field(default_factory=list)
    failed_before: list[FailureRow] = field(default_factory=list)


def plan_index(
    scan: Scan,
    roots: Sequence[Path],
    known: Iterable[VideoRow],
    failures: Iterable[FailureRow] = (),
    *,
    retry_failed: bool = False,
) -> IndexPlan:
    """What to do so that the archive describes `scan`.

    Args:
        scan: the files below `roots`.
        roots: the folders and files of this run, absolute.
        known: every row of the archive's `videos`.
        failures: what could not be indexed before; such a file is left alone until it changes.
        retry_failed: try those again all the same.
    """
    rows = {row.path: row for row in known}
    on_disk = {stored_path(file.path) for file in scan.files}
    online = [root for root in roots if root not in scan.offline_roots]
    gone = [row for row in rows.values() if row.path not in on_disk and is_below(row.path, online)]
    missing = [row for row in gone if is_gone(real_path(row.path))]  # one that is there is only excluded now
    failed = {} if retry_failed else {failure.path: failure for failure in failures}

    draft = _Draft()
    fresh: list[Todo] = []
    for file in scan.files:
        path = stored_path(file.path)
        root = _root_of(file.path, online)
        if path in failed and _same_stat(file, failed[path]):
            draft.failed_before.append(failed[path])
        elif path in rows:
            _place_known(draft, Todo(file, root, rows[path]), rows[path])
        else:
            fresh.append(Todo(file, root))
    moved_away = _place_fresh(draft, fresh, rows.values(), missing)
    return IndexPlan(
        new=tuple(draft.new),
        changed=tuple(draft.changed),
        moved=tuple(draft.moved),
        copied=tuple(draft.copied),
        touched=tuple(draft.touched),
        returned=tuple(draft.returned),
        unchanged=tuple(draft.unchanged),
        missing=tuple(row for row in missing if row.path not in moved_away),
        offline=tuple(row for row in rows.values() if is_below(row.path, scan.offline_roots)),
        failed_before=tuple(draft.failed_before),
    )


def is_gone(path: Path) -> bool:
    """Whether there is certainly no such file; one behind a folder that may not be read is not gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _place_known(draft: _Draft, todo: Todo, row: VideoRow) -> None:
    if _same_stat(todo.file, row):
        (draft.returned if row.is_missing else draft.unchanged).append(row)
    elif todo.file.size_bytes == row.size_bytes and _hash_or_none(content_hash, todo.file.path) == row.video_id:
        draft.touched.append(Renewal(todo.file, todo.root, row))
    else:
        draft.changed.append(todo)


def _place_fresh(
    draft: _Draft, fresh: list[Todo], rows: Iterable[VideoRow], missing: Sequence[VideoRow]
) -> frozenset[str]:
    """Sort files at unknown paths into new, moved and copied; returns the paths that were moved away from."""
    by_size: dict[int, list[VideoRow]] = defaultdict(list)
    missing_paths = {row.path for row in missing}
    # Missing rows first: a file with known content rather moved here than was copied.
    for row in sorted(rows, key=lambda row: (row.path not in missing_paths and not row.is_missing, row.path)):
        by_size[row.size_bytes].append(row)
    moved_away: set[str] = set()
    for todo in fresh:
        candidates = [row for row in by_size[todo.file.size_bytes] if row.path not in moved_away]
        twin = _same_content(todo.file, candidates) if candidates else None
        if twin is None:
            draft.new.append(todo)
        elif twin.path in missing_paths:
            draft.moved.append(Renewal(todo.file, todo.root, twin))
            moved_away.add(twin.path)
        else:
            draft.copied.append(Renewal(todo.file, todo.root, twin))
    return frozenset(moved_away)


def _same_content(file: VideoFile, candidates: Sequence[VideoRow]) -> VideoRow | None:
    """The first candidate that holds the same bytes as `file`.

    Equal samples and an equal modification time (to the nanosecond, which a move keeps) are proof enough; with
    another time the whole file is read.
    """
    sample = _hash_or_none(sample_hash, file.path)
    alike = [row for row in candidates if row.sample_hash == sample]
    same_time = [row for row in alike if row.mtime_ns == file.mtime_ns]
    if same_time or not alike:
        return same_time[0] if same_time else None
    content = _hash_or_none(content_hash, file.path)
    return next((row for row in alike if row.video_id == content), None)


def _hash_or_none(hash_file: Callable[[Path], str], path: Path) -> str | None:
    """None for a file that cannot be read: it counts as new, and indexing it will tell the reason."""
    try:
        return hash_file(path)
    except OSError as error:
        log.debug("cannot hash %s: %s", path, error)
        return None


def _same_stat(file: VideoFile, row: VideoRow | FailureRow) -> bool:
    return (file.size_bytes, file.mtime_ns) == (row.size_bytes, row.mtime_ns)


def is_below(path: str, roots: Iterable[Path]) -> bool:
    """Whether a stored path is one of `roots` or lies inside one."""
    return any(path == text or path.startswith(text.rstrip(os.sep) + os.sep) for text in map(stored_path, roots))


def _root_of(path: Path, roots: Sequence[Path]) -> Path:
    """The innermost root that holds `path`."""
    holders = [root for root in roots if path == root or path.is_relative_to(root)]
    return max(holders, key=lambda root: len(root.parts), default=path.parent)

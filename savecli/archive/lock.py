"""One writer at a time, and the knowledge whether the last one finished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from savecli.archive.disk import writing_errors
from savecli.core.errors import SaveError, UsageError


class ArchiveBusy(SaveError):
    """Another process is writing to this archive."""


@contextmanager
def writing(folder: Path) -> Iterator[bool]:
    """Hold the archive's write lock; yields True when the writer before died half way.

    The lock is the operating system's and ends with its process, so a kill never leaves it behind. The file
    `writing` exists while a writer works: finding it under a free lock tells of a death.

    Raises:
        ArchiveBusy: somebody else holds the lock.
        SaveError: the folder cannot be written.
    """
    mark = _mark(folder)
    with writing_errors(folder):
        lock = _locked(folder)
    try:
        was_torn = mark.exists()
        with writing_errors(folder):
            mark.write_text(str(os.getpid()), encoding="ascii")
        try:
            yield was_torn
        except UsageError:  # raised before anything is written
            if not was_torn:
                mark.unlink()
            raise
        mark.unlink()
    finally:
        lock.release()


@contextmanager
def keeping_still(folder: Path) -> Iterator[bool]:
    """Keep writers away while the archive is read; yields the same as `writing`, and leaves the mark as it is.

    An archive that cannot be written, as on a read-only disk, is read without the lock.

    Raises:
        ArchiveBusy: somebody else holds the lock.
        SaveError: it cannot be locked, and its mark says that a writer is at work or died.
    """
    try:
        lock = _locked(folder)
    except OSError as error:
        if _mark(folder).exists():
            raise SaveError(
                f"nobody can tell whether the archive {folder} is whole",
                why=f"it cannot be locked ({error.strerror}), and its last writer is at work or died half way",
                fix="wait until it is done, or copy the archive to where you can write and use the copy",
            ) from error
        lock = None
    try:
        yield _mark(folder).exists()
    finally:
        if lock is not None:
            lock.release()


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / "write.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ArchiveBusy(
            f"the archive {folder} is busy",
            why=f"another `save` (process {_holder(_mark(folder))}) is writing to it",
            fix="wait until it is done, then run the same command again",
        ) from error
    return lock


def _mark(folder: Path) -> Path:
    return folder / "writing"


def _holder(mark: Path) -> str:
    try:
        return mark.read_text(encoding="ascii") or "unknown"
    except OSError:
        return "unknown"

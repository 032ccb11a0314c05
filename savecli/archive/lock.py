"""One writer at a time, and the knowledge whether the last one finished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

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
    """
    mark = folder / "writing"
    lock = FileLock(folder / "write.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ArchiveBusy(
            f"the archive {folder} is busy",
            why=f"another `save` (process {_holder(mark)}) is writing to it",
            fix="wait until it is done, then run the same command again",
        ) from error
    try:
        was_torn = mark.exists()
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


def _holder(mark: Path) -> str:
    try:
        return mark.read_text(encoding="ascii") or "unknown"
    except OSError:
        return "unknown"

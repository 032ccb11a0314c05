"""What an archive takes on its disk, and what the disk can do to a write, told so that a person can mend it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from savecli.core.errors import SaveError

# LanceDB passes the system's words on: ENOSPC, EDQUOT and EFBIG (a file size limit).
_SIGNS_OF_A_FULL_DISK = ("No space left", "Disk quota", "File too large", "os error 28", "os error 122", "os error 27")
_KEPT = "every video indexed so far is kept"


def size_on_disk(folder: Path) -> int:
    """Bytes of all files below a folder; one that another process removes at this moment counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).stat().st_size
    return total


@contextmanager
def full_disk_told(folder: Path, *, disk: str = "of the archive", kept: str = _KEPT) -> Iterator[None]:
    """Turns a write that failed for want of space into an error with a cause and a fix; lets others through.

    Args:
        disk: which one it is.
        kept: what has become of what was written.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_A_FULL_DISK):
            raise
        raise SaveError(
            f"the disk {disk} is full",
            why=f"{folder}: {_first_line(error)}",
            fix=f"free some space, then run the same command again; {kept}",
        ) from error


@contextmanager
def writing_errors(folder: Path) -> Iterator[None]:
    """The same around a single write, where whatever else goes wrong is told as well."""
    try:
        with full_disk_told(folder):
            yield
    except (OSError, RuntimeError, ValueError) as error:
        raise SaveError(
            "the archive cannot be written",
            why=f"{folder}: {_first_line(error)}",
            fix=f"run `save doctor`; {_KEPT}",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

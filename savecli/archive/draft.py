"""A folder that is there when all of it is written, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from savecli.archive.disk import full_disk_told
from savecli.core.errors import SaveError, UsageError


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A draft that becomes `folder` when all went well, and vanishes otherwise.

    Raises:
        UsageError: the folder is not empty, or is where a disk is mounted.
        SaveError: it cannot be written, or its disk is full.
    """
    with writing_told(folder):
        folder = folder.resolve()  # an empty folder behind a link is filled where it is
        if folder.is_mount():
            raise UsageError(
                f"{folder} cannot be written as a whole",
                why="a disk is mounted there, and a draft beside it would lie on another disk",
                fix=f"name a new folder in it, e.g. {folder / 'archive'}",
            )
        is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if is_taken:
            raise UsageError(
                f"{folder} is not empty", why="nothing is overwritten", fix="name a new or an empty folder"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        draft.mkdir()
    try:
        with _full_disk_told(folder):
            yield draft
        with writing_told(folder):
            draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def writing_told(folder: Path) -> Iterator[None]:
    """Turns whatever goes wrong with a write into an error with a cause and a fix."""
    try:
        with _full_disk_told(folder):
            yield
    except (OSError, RuntimeError, ValueError) as error:
        raise SaveError(
            f"{folder} cannot be written", why=str(error).splitlines()[0], fix="name a folder you can write to"
        ) from error


def _full_disk_told(folder: Path) -> AbstractContextManager[None]:
    return full_disk_told(folder, disk=f"of {folder}", kept="nothing was left there")

"""Giving back the room of entries that count no longer."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from savecli.core.errors import SaveError
from savecli.training.cache_store import DATA, PART, PartReader, PartWriter

_log = logging.getLogger(__name__)


def compact(folder: Path) -> None:
    """Write a part anew without what counts no longer, where that is more than half of it.

    The copy takes the part's place only when it is whole; a run that is killed between both steps is put right by
    `restore`. Where there is no room for a copy, or the part is in use on a system that keeps it so, it stays as it is.
    """
    part = PartReader(folder)
    live_bytes = sum(entry.size_bytes for entry in part.entries())
    if not (folder / DATA).exists() or (folder / DATA).stat().st_size <= 2 * live_bytes:
        return
    copy, old = _places(folder)
    try:
        copy.mkdir()
        with PartWriter(copy) as writer:
            for entry in part.entries():
                writer.take(part, entry)
        shutil.copyfile(folder / PART, copy / PART)
        folder.rename(old)
        copy.rename(folder)
    except (OSError, SaveError) as error:
        _log.warning("%s: more than half of it counts no longer, and cannot be given back: %s", folder, error)
    restore(folder)


def restore(folder: Path) -> None:
    """Put right what a killed `compact` has left: either part is whole, and just one stays."""
    copy, old = _places(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for place in (copy, old):
        shutil.rmtree(place, ignore_errors=True)


def _places(folder: Path) -> tuple[Path, Path]:
    """Where the copy is made, and where the part waits until the copy has its place; no other part has such a name."""
    return folder.with_name(f".{folder.name}.copy"), folder.with_name(f".{folder.name}.old")

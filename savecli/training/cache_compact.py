"""Giving back the room of entries that count no longer."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

from savecli.core.errors import SaveError
from savecli.training.cache_keys import VERSIONS
from savecli.training.cache_store import DATA, PART, PartReader, PartWriter, waiting_place

_log = logging.getLogger(__name__)

# What a killed `compact` leaves of a part; a person's own folder in the cache never has such a name.
_LEFT = re.compile(rf"\.((?:{'|'.join(VERSIONS)})-[0-9a-f]{{16}})\.(?:copy|old)")


def compact(folder: Path) -> None:
    """Write a part anew without what counts no longer, where that is more than half of it.

    The copy takes the part's place only when it is whole; a run that is killed between both steps is put right by
    `restore`. Where there is no room for a copy, or the part is in use on a system that keeps it so, it stays as it is.
    """
    part = PartReader(folder)
    live_bytes = sum(entry.size_bytes for entry in part.entries())
    if not (folder / DATA).exists() or (folder / DATA).stat().st_size <= 2 * live_bytes:
        return
    copy, old = _copy_place(folder), waiting_place(folder)
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


def restore_all(cache: Path) -> None:
    """Put right what a killed `compact` has left of any part of a cache, whichever model it is for."""
    for name in {left[1] for path in cache.iterdir() if (left := _LEFT.fullmatch(path.name))}:
        restore(cache / name)


def restore(folder: Path) -> None:
    """Put right what a killed `compact` has left: either part is whole, and just one stays."""
    copy, old = _copy_place(folder), waiting_place(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for place in (copy, old):
        shutil.rmtree(place, ignore_errors=True)


def _copy_place(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.copy")

"""Files of one run that hold the same bytes: one of them is read first, the others share what came of it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from savecli.archive.plan import Todo
from savecli.core.hashing import sample_hash
from savecli.transcript.sidecar import find_sidecars

log = logging.getLogger(__name__)


def copies_last(todo: Sequence[Todo]) -> tuple[tuple[Todo, ...], tuple[Todo, ...]]:
    """`todo` in two turns: files that may be read at the same time, then those that look like copies of one of them.

    Of files that look alike the one with subtitles beside it goes first, else the first by path, as whichever is read
    first decides the words of all. Only files of equal size are opened; what looks alike and is not is read later.
    """
    alike: dict[tuple[int, str], list[Todo]] = defaultdict(list)
    for same_size in _by_size(todo):
        for item in same_size if len(same_size) > 1 else ():
            alike[item.file.size_bytes, _sample(item.file.path)].append(item)
    waiting: set[Path] = set()
    for group in alike.values():
        first = min(group, key=lambda item: (not find_sidecars(item.file.path), item.file.path))
        waiting |= {item.file.path for item in group if item is not first}
    return (
        tuple(item for item in todo if item.file.path not in waiting),
        tuple(item for item in todo if item.file.path in waiting),
    )


def _by_size(todo: Sequence[Todo]) -> list[list[Todo]]:
    groups: dict[int, list[Todo]] = defaultdict(list)
    for item in todo:
        groups[item.file.size_bytes].append(item)
    return list(groups.values())


def _sample(path: Path) -> str:
    """A file that cannot be read is like no other: indexing it will tell the reason."""
    try:
        return sample_hash(path)
    except OSError as error:
        log.debug("cannot hash %s: %s", path, error)
        return str(path)

"""The index of a part of a cache: which entries there are, where their bytes lie, and which of its lines are whole.

A line an entry, the last of a name counts. Each line tells its own checksum; those of older caches have none.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

_log = logging.getLogger(__name__)

# Arrays begin at multiples of this, as processors and pages like it.
ALIGNMENT = 64

# By name: dtype, shape and place within the entry's bytes.
Places = Mapping[str, tuple[str, tuple[int, ...], int]]


@dataclass(frozen=True)
class Entry:
    """A line of the index.

    Args:
        stamp: what the entry was made from; see `cache_keys.stamp_of`.
        arrays: what the entry's bytes are.
        failure: why there is nothing, "" where all is well.
        is_dropped: the entry of this name before it counts no longer.
    """

    name: str
    stamp: str
    offset: int = 0
    size_bytes: int = 0
    crc32: int = 0
    arrays: Places | None = None
    failure: str = ""
    is_dropped: bool = False


@dataclass(frozen=True)
class Index:
    """What an index tells.

    Args:
        entries: by name, those that count.
        end, data_end: where what is whole ends in the index and in the data.
        is_damaged: a line before the end cannot be believed.
    """

    entries: dict[str, Entry]
    end: int = 0
    data_end: int = 0
    is_damaged: bool = False


def read_index(path: Path, *, data_bytes: int) -> Index:
    """The index in a file; empty where there is none.

    A line that is damaged costs its own entry only. What is behind the last whole line a kill left unfinished.

    Args:
        data_bytes: how long the data is; a line that tells of bytes beyond it is not whole.
    """
    entries: dict[str, Entry] = {}
    place = end = data_end = num_bad = num_bad_before_end = 0
    if not path.exists():
        return Index(entries)
    with path.open("rb") as file:
        for line in file:
            place += len(line)
            entry = _parsed(line)
            if entry is None or entry.offset + entry.size_bytes > data_bytes:
                num_bad += 1
                continue
            end, num_bad_before_end = place, num_bad
            data_end = max(data_end, entry.offset + entry.size_bytes)
            if entry.is_dropped:
                entries.pop(entry.name, None)
            else:
                entries[entry.name] = entry
    if num_bad_before_end:
        _log.warning("%s: damaged lines (%d) are passed over; their clips will be made anew", path, num_bad_before_end)
    return Index(entries, end, data_end, num_bad_before_end > 0)


def index_line(entry: Entry) -> bytes:
    """`["name", "stamp", offset, size, crc32, {array: [dtype, shape, place]}, "failure", dropped, its own crc32]`"""
    row = [entry.name, entry.stamp, entry.offset, entry.size_bytes, entry.crc32, entry.arrays or {}, entry.failure]
    text = json.dumps([*row, entry.is_dropped], separators=(",", ":")).encode()
    return text[:-1] + b",%d]\n" % zlib.crc32(text)


def aligned(num_bytes: int) -> int:
    """The next place at which an array may begin."""
    return -(-num_bytes // ALIGNMENT) * ALIGNMENT


def _parsed(line: bytes) -> Entry | None:
    """None where the line is not as it was written."""
    if not line.endswith(b"\n"):
        return None
    try:
        name, stamp, offset, size_bytes, crc32, arrays, failure, is_dropped, *own = json.loads(line)
        if own and own != [zlib.crc32(line.rpartition(b",")[0] + b"]")]:
            return None
        places = {key: (str(dtype), tuple(shape), int(at)) for key, (dtype, shape, at) in arrays.items()}
        if _packed_bytes(places) != size_bytes:
            return None
        return Entry(name, stamp, int(offset), int(size_bytes), int(crc32), places, failure, bool(is_dropped))
    except (ValueError, TypeError, AttributeError):
        return None


def _packed_bytes(places: Places) -> int:
    """Bytes of the arrays as they are packed.

    Raises:
        ValueError: they do not lie one behind the other.
    """
    end = 0
    for dtype, shape, at in places.values():
        if at != aligned(end):
            raise ValueError(f"an array is at {at}; expected: {aligned(end)}")
        end = at + np.dtype(dtype).itemsize * prod(shape)
    return aligned(end)

"""One part of a cache on disk: arrays by name, written once, read through memory mapping, checked by checksums.

part.json     what decides the content; another setting is another part
index.jsonl   a line an entry, the last of a name counts
data          the entries' bytes, one behind the other

Both files only grow, until `cache_compact` writes a part anew. An entry's line is written behind its bytes, so whatever
a kill leaves unfinished is at the end, and is cut off by the next writer; readers pass over it. What is damaged before
the end costs its own entry only.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.core.errors import SaveError, is_disk_full
from savecli.training.cache_index import Entry, aligned, index_line, read_index

_log = logging.getLogger(__name__)

PART, INDEX, DATA = "part.json", "index.jsonl", "data"
_WAITING = ".old"

AnyArray = npt.NDArray[Any]


class DamagedEntry(SaveError):
    """What lies on disk is not what was written."""


class PartReader:
    """The entries of a part that were there when it was opened. Safe to use from several threads and processes.

    Args:
        folder: holds `part.json`.

    Raises:
        SaveError: its files cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        data = folder / DATA
        try:
            self._index = read_index(folder / INDEX, data_bytes=data.stat().st_size if data.exists() else 0)
            self._map = _mapped(data)
        except OSError as error:
            raise SaveError(
                "the cache cannot be read",
                why=f"{folder}: {(error.strerror or str(error)).lower()}",
                fix="give yourself the right to read it, or name another with `--cache`",
            ) from error
        self._entries = self._index.entries
        self._checked: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry | None:
        """The entry of this name, also one that says why there is nothing."""
        return self._entries.get(name)

    def entries(self) -> Iterator[Entry]:
        """All entries, in the order in which they were first written."""
        return iter(tuple(self._entries.values()))

    def content(self, entry: Entry) -> memoryview:
        """The entry's bytes as they are, damaged or not."""
        return memoryview(self._map)[entry.offset : entry.offset + entry.size_bytes]

    def arrays(self, entry: Entry) -> dict[str, AnyArray]:
        """The entry's arrays, which lie in the file and cannot be written to; its checksum is compared the first time.

        Raises:
            DamagedEntry: the bytes are not those that were written.
        """
        place = self.content(entry)
        if entry.name not in self._checked:
            if len(place) < entry.size_bytes or zlib.crc32(place) != entry.crc32:
                raise DamagedEntry(
                    f"the cache is damaged at `{entry.name}`",
                    why=f"{self.folder / DATA}: the checksum of bytes {entry.offset} on is another",
                    fix="`save data prepare … --verify` makes damaged entries anew",
                )
            with self._lock:
                self._checked.add(entry.name)
        held = {}
        for name, (dtype, shape, at) in (entry.arrays or {}).items():
            count = int(np.prod(shape, dtype=np.int64))
            held[name] = np.frombuffer(place, np.dtype(dtype), count=count, offset=at).reshape(shape)
        return held


class PartWriter(PartReader):
    """A part that entries are added to, by one process at a time; see `prepare.writing`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._index_end, self._data_end = self._index.end, self._index.data_end
        try:
            if self._index.is_damaged:
                self._index_end = _write_index(folder, self._entries.values())
            self._data_file = FileIO(folder / DATA, "a")
            self._index_file = FileIO(folder / INDEX, "a")
            self._cut()
        except OSError as error:
            raise _not_written(folder, error) from error

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, name: str, stamp: str, arrays: Mapping[str, AnyArray]) -> None:
        """Write an entry; without arrays it says that there is nothing.

        Raises:
            SaveError: the disk is full, or cannot be written; what was there before is whole.
        """
        blob, places = _packed(arrays)
        crc32 = zlib.crc32(blob)
        self._append(Entry(name, stamp, self._data_end, len(blob), crc32, places), blob)

    def take(self, part: PartReader, entry: Entry) -> None:
        """Write an entry of another part as it is there. Raises as `add`."""
        self._append(replace(entry, offset=self._data_end), part.content(entry))

    def restamp(self, name: str, stamp: str) -> None:
        """Let an entry be of another stamp. Raises as `add`."""
        self._append(replace(self._entries[name], stamp=stamp), b"")

    def fail(self, name: str, stamp: str, reason: str) -> None:
        """Write down why there is nothing. Raises as `add`."""
        self._append(Entry(name, stamp, failure=reason), b"")

    def drop(self, name: str) -> None:
        """Let an entry count no longer. Raises as `add`."""
        self._append(Entry(name, "", is_dropped=True), b"")

    def close(self) -> None:
        """Bring everything to the disk. Raises as `add`."""
        for file in (self._data_file, self._index_file):
            if not file.closed:
                try:
                    os.fsync(file.fileno())
                except OSError as error:
                    raise _not_written(self.folder, error) from error
                finally:
                    file.close()

    def _append(self, entry: Entry, blob: bytes | memoryview) -> None:
        line = index_line(entry)
        try:
            _write(self._data_file, blob)
            _write(self._index_file, line)
        except OSError as error:
            self._cut()
            raise _not_written(self.folder, error) from error
        self._data_end += len(blob)
        self._index_end += len(line)
        if entry.is_dropped:
            self._entries.pop(entry.name, None)
        else:
            self._entries[entry.name] = entry
        if blob:
            self._checked.add(entry.name)

    def _cut(self) -> None:
        """Back to what is whole."""
        self._data_file.truncate(self._data_end)
        self._index_file.truncate(self._index_end)


def part_folder(cache: Path, name: str) -> Path | None:
    """The part of this name in a cache, also where a kill left it waiting; None when nothing has been written to it."""
    folder = cache / name
    return next((place for place in (folder, waiting_place(folder)) if (place / PART).is_file()), None)


def part_folders(cache: Path, kind: str) -> list[Path]:
    """The parts of a kind in a cache, by name, each as `part_folder` finds it."""
    waiting = (path.parent.name[1 : -len(_WAITING)] for path in cache.glob(f".{kind}-*{_WAITING}/{PART}"))
    names = {*waiting, *(path.parent.name for path in cache.glob(f"{kind}-*/{PART}"))}
    return [folder for name in sorted(names) if (folder := part_folder(cache, name)) is not None]


def waiting_place(folder: Path) -> Path:
    """Where a part waits until the copy that `cache_compact` made has its place; no other part has such a name."""
    return folder.with_name(f".{folder.name}{_WAITING}")


def make_part(cache: Path, name: str, settings: Mapping[str, Any]) -> Path:
    """The folder of a part, made where it is not there; what tells its settings is mended where it is damaged.

    Raises:
        SaveError: it cannot be written.
    """
    folder, text = cache / name, json.dumps(settings, indent=2) + "\n"
    try:
        if not (folder / PART).is_file() or (folder / PART).read_bytes() != text.encode():
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{PART}.{os.getpid()}"
            part.write_bytes(text.encode())
            part.replace(folder / PART)
    except OSError as error:
        why = f"{folder}: {(error.strerror or str(error)).lower()}"
        raise SaveError("the cache cannot be written", why=why, fix="choose another place with `--cache`") from error
    return folder


def damaged_entries(part: PartReader) -> list[str]:
    """Names of entries whose bytes are not those that were written; reads everything."""
    damaged = []
    for entry in part.entries():
        try:
            part.arrays(entry)
        except DamagedEntry as error:
            _log.warning("%s", error)
            damaged.append(entry.name)
    return damaged


def _packed(arrays: Mapping[str, AnyArray]) -> tuple[bytes, dict[str, tuple[str, tuple[int, ...], int]]]:
    """All arrays in one, each where processors like it, and where each is."""
    blob, places = bytearray(), {}
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, len(blob))
        blob += np.ascontiguousarray(array).tobytes()
        blob += bytes(aligned(len(blob)) - len(blob))
    return bytes(blob), places


def _write_index(folder: Path, entries: Iterable[Entry]) -> int:
    """Put an index of these entries in the place of the one there is, whole or not at all; returns its bytes."""
    text = b"".join(map(index_line, entries))
    part = folder / f".{INDEX}.{os.getpid()}"
    with part.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / INDEX)
    return len(text)


def _mapped(path: Path) -> mmap.mmap | bytes:
    if not path.exists() or not path.stat().st_size:
        return b""  # an empty file cannot be mapped
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _not_written(folder: Path, error: OSError) -> SaveError:
    is_full = is_disk_full(error)
    do = "free some space" if is_full else "give yourself the right to write there, or name another with `--cache`"
    return SaveError(
        "the cache cannot be written",
        why=f"{folder}: {(error.strerror or str(error)).lower()}",
        fix=f"{do}, then run the same command again; every clip prepared so far is kept",
    )


def _write(file: FileIO, content: bytes | memoryview) -> None:
    """All of it: a raw file may take less at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) or 0 :]

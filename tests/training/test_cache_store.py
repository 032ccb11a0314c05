"""A part of a cache: what was written is read, and no kill or damage goes unnoticed."""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from savecli.core.errors import SaveError
from savecli.training.cache_compact import compact, restore
from savecli.training.cache_store import (
    DATA,
    INDEX,
    DamagedEntry,
    PartReader,
    PartWriter,
    damaged_entries,
    make_part,
    part_folder,
)

ARRAYS = {
    "pixels": np.arange(300, dtype=np.uint8).reshape(2, 5, 30),
    "mask": np.array([[True, False]]),
    "half": np.linspace(0, 1, 7, dtype=np.float16),
}


def part(tmp_path: Path) -> Path:
    return make_part(tmp_path, "frames-1", {"kind": "frames"})


def fill(folder: Path, names: str) -> None:
    with PartWriter(folder) as writer:
        for name in names:
            writer.add(name, f"{name}@", {**ARRAYS, "own": np.array([ord(name)])})


def own(reader: PartReader, name: str) -> int:
    entry = reader.entry(name)
    assert entry is not None
    return int(reader.arrays(entry)["own"][0])


def test_what_was_written_is_read_in_place(tmp_path):
    folder = part(tmp_path)
    fill(folder, "ab")
    reader = PartReader(folder)
    for name in "ab":
        held = reader.arrays(reader.entry(name))
        for key, array in ARRAYS.items():
            np.testing.assert_array_equal(held[key], array)
            assert held[key].dtype == array.dtype
            assert held[key].ctypes.data % 64 == 0
            assert not held[key].flags.writeable
        assert own(reader, name) == ord(name)
    assert part_folder(tmp_path, "frames-2") is None


def test_the_last_of_a_name_counts(tmp_path):
    folder = part(tmp_path)
    with PartWriter(folder) as writer:
        writer.add("a", "old", {"own": np.array([1])})
        writer.fail("b", "old", "broken")
        writer.add("a", "new", {"own": np.array([2])})
        writer.add("b", "new", {})
        writer.fail("c", "new", "no picture")
        writer.add("d", "new", {})
        writer.drop("d")
    reader = PartReader(folder)
    assert own(reader, "a") == 2
    assert reader.entry("a").stamp == "new"
    assert (reader.entry("b").failure, reader.arrays(reader.entry("b"))) == ("", {})
    assert reader.entry("c").failure == "no picture"
    assert reader.entry("d") is None


def test_a_kill_at_any_byte_loses_only_what_was_unfinished(tmp_path):
    folder = part(tmp_path)
    fill(folder, "abc")
    index, data = (folder / INDEX).read_bytes(), (folder / DATA).read_bytes()
    ends = [place + 1 for place, byte in enumerate(index) if byte == ord("\n")]
    entries = [PartReader(folder).entry(name) for name in "abc"]
    data_ends = [entry.offset + entry.size_bytes for entry in entries]
    cuts = [(size, len(data)) for size in (0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[2] - 1, ends[2])]
    cuts += [(len(index), size) for size in (0, data_ends[0] - 1, data_ends[0], data_ends[1] + 7, len(data) - 1)]
    for index_size, data_size in cuts:
        (folder / INDEX).write_bytes(index[:index_size])
        (folder / DATA).write_bytes(data[:data_size])
        whole = sum(end <= index_size and data_end <= data_size for end, data_end in zip(ends, data_ends, strict=True))
        assert len(PartReader(folder)) == whole
        fill(folder, "abcd"[whole:])
        reader = PartReader(folder)
        assert [own(reader, name) for name in "abcd"] == [ord(name) for name in "abcd"]
        assert (folder / DATA).stat().st_size == 4 * entries[0].size_bytes  # nothing unfinished is left between


def test_a_part_whose_making_was_killed_is_made_again(tmp_path):
    (tmp_path / "frames-1").mkdir()
    assert part_folder(tmp_path, "frames-1") is None
    assert part_folder(tmp_path, part(tmp_path).name) is not None


def test_damage_is_found_when_it_is_read_and_by_looking_for_it(tmp_path):
    folder = part(tmp_path)
    fill(folder, "ab")
    data = bytearray((folder / DATA).read_bytes())
    data[3] ^= 1
    (folder / DATA).write_bytes(data)
    reader = PartReader(folder)
    with pytest.raises(DamagedEntry, match=r"the cache is damaged at `a`: .*the checksum of bytes 0 on is another"):
        reader.arrays(reader.entry("a"))
    assert own(reader, "b") == ord("b")
    assert damaged_entries(PartReader(folder)) == ["a"]


def test_a_broken_line_costs_its_own_entry_only(tmp_path):
    folder = part(tmp_path)
    fill(folder, "abc")
    lines = (folder / INDEX).read_bytes().splitlines(keepends=True)
    (folder / INDEX).write_bytes(lines[0] + b"{" + lines[1][1:] + lines[2])
    reader = PartReader(folder)
    assert reader.entry("b") is None
    assert (own(reader, "a"), own(reader, "c")) == (ord("a"), ord("c"))


@pytest.mark.parametrize("damage", [(b",512,512,", b",912,512,"), (b"[2,5,30]", b"[2,5,20]"), (b"b@", b"c@")])
def test_a_damaged_digit_costs_its_own_entry_only(tmp_path, damage):
    folder = part(tmp_path)
    fill(folder, "abcd")
    lines = (folder / INDEX).read_bytes().splitlines(keepends=True)
    assert damage[0] in lines[1]
    (folder / INDEX).write_bytes(lines[0] + lines[1].replace(*damage) + lines[2] + lines[3])
    assert PartReader(folder).entry("b") is None
    fill(folder, "b")
    assert [own(PartReader(folder), name) for name in "abcd"] == [ord(name) for name in "abcd"]
    assert len((folder / INDEX).read_bytes().splitlines()) == 4  # nothing damaged is left to be believed later


def test_lines_of_older_caches_have_no_checksum(tmp_path):
    folder = part(tmp_path)
    fill(folder, "abc")
    lines = [json.loads(line)[:-1] for line in (folder / INDEX).read_bytes().splitlines()]
    lines[1][5]["pixels"][1] = [90, 5, 30]
    (folder / INDEX).write_text("".join(json.dumps(line) + "\n" for line in lines))
    reader = PartReader(folder)
    assert reader.entry("b") is None
    assert [own(reader, name) for name in "ac"] == [ord(name) for name in "ac"]


def test_what_cannot_be_opened_is_told(tmp_path):
    folder = part(tmp_path)
    (folder / DATA).symlink_to(tmp_path / "gone" / DATA)
    with pytest.raises(SaveError, match="the cache cannot be written") as raised:
        PartWriter(folder)
    assert raised.value.fix.startswith("give yourself the right to write there")
    (folder / INDEX).mkdir()
    with pytest.raises(SaveError, match="the cache cannot be read"):
        PartReader(folder)


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path):
    folder = part(tmp_path)
    fill(folder, "ab")
    size = (folder / DATA).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with PartWriter(folder) as writer, pytest.raises(SaveError) as raised:
            writer.add("c", "c@", ARRAYS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "file too large" in raised.value.why
    assert raised.value.fix.startswith("free some space")
    assert (folder / DATA).stat().st_size == size
    fill(folder, "c")
    reader = PartReader(folder)
    assert [own(reader, name) for name in "abc"] == [ord(name) for name in "abc"]


def test_many_threads_and_processes_read_at_once_while_one_writes(tmp_path):
    folder = part(tmp_path)
    fill(folder, "abcdefgh")
    reader, wrong = PartReader(folder), []

    def read_all() -> None:
        for name in "abcdefgh" * 20:
            if own(reader, name) != ord(name):
                wrong.append(name)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    fill(folder, "xyz")
    for thread in threads:
        thread.join()
    assert wrong == []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_read_elsewhere, [folder, folder]) == [list(map(ord, "abcdefghxyz"))] * 2


def _read_elsewhere(folder: Path) -> list[int]:
    reader = PartReader(folder)
    return [own(reader, entry.name) for entry in reader.entries()]


def test_what_counts_no_longer_is_given_back(tmp_path):
    folder = part(tmp_path)
    fill(folder, "abcd")
    fill(folder, "abc")
    reader, size = PartReader(folder), (folder / DATA).stat().st_size
    compact(folder)
    assert (folder / DATA).stat().st_size == size  # less than half is dead
    fill(folder, "ab")
    compact(folder)
    assert (folder / DATA).stat().st_size == size * 4 // 7
    assert [own(PartReader(folder), name) for name in "abcd"] == [ord(name) for name in "abcd"]
    assert own(reader, "a") == ord("a")  # opened before
    assert part(tmp_path) == folder
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_kill_while_room_is_given_back_costs_nothing(tmp_path):
    folder = part(tmp_path)
    fill(folder, "ab")
    copy, old = (tmp_path / f".{folder.name}.{name}" for name in ("copy", "old"))
    shutil.copytree(folder, copy)
    (copy / DATA).write_bytes(b"half")
    restore(folder)  # killed while it was copied
    assert [own(PartReader(folder), name) for name in "ab"] == [ord(name) for name in "ab"]
    shutil.copytree(folder, copy)
    folder.rename(old)
    restore(folder)  # killed between both renames
    assert [own(PartReader(folder), name) for name in "ab"] == [ord(name) for name in "ab"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_copied_cache_is_the_same(tmp_path):
    folder = part(tmp_path)
    fill(folder, "a")
    copied = shutil.copytree(tmp_path / folder.name, tmp_path / "elsewhere" / folder.name)
    assert own(PartReader(Path(copied)), "a") == ord("a")

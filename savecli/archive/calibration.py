"""How similar is similar: what this encoder says, on this very archive, to queries that mean nothing in particular.

A cosine of 0.27 may be a perfect match for one encoder and chance for another, and a large archive holds a better
chance match than a small one. So when an index run ends, a bank of background queries is compared with the clips, and
what is kept is the similarity of the best clip of each. A query is believed when its own best clip is better than
theirs. docs/search.md describes the rule; `savecli.search.confidence` applies it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from savecli.archive.manifest import EncoderRecord
from savecli.archive.store import Archive
from savecli.core.encoder import Encoder

# Every clip of a small archive, a sample of a large one, which takes a fraction of a second to read.
MAX_CLIPS = 20_000
# Parts of a sample whose best tell how much the best of all grows with their number.
_NUM_PARTS = 4
# Raise it when the file or the bank changes: files of before then count as missing, and the next index run makes them.
_VERSION = 2

_SUBJECTS = (
    "a man", "a woman", "two children", "a dog", "a cat", "a car", "a crowd of people", "a computer screen",
    "a bird", "food on a plate", "a building", "a mountain",
)  # fmt: skip
_SCENES = (
    "in a kitchen", "on a beach", "at night", "in the snow", "talking about politics", "playing music",
    "running fast", "explaining how something works", "seen from above", "in an office",
)  # fmt: skip


def background_texts() -> list[str]:
    """120 plain queries: every subject in every scene."""
    return [f"{subject} {scene}" for subject in _SUBJECTS for scene in _SCENES]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How similar the best clip of each background query is, `(K,)` float32 cosines; empty without such vectors.

    Args:
        best_seen: by the pooled vectors.
        best_said: by the vectors of speech.
    """

    best_seen: npt.NDArray[np.float32]
    best_said: npt.NDArray[np.float32]


def calibrate(archive: Archive, encoder: Encoder, record: EncoderRecord, table: Any) -> None:
    """Measure the background on this archive and keep it beside the vectors."""
    path = _path(archive.folder, record)
    held = _read(path)
    # The bank's vectors stay with the file, as encoding them takes longer than the rest.
    bank = encoder.encode_text(background_texts()).astype(np.float32) if held is None else held["bank"]
    sample = sampled_vectors(table)
    best = {column: best_per_query(vectors, bank, num_all) for column, (vectors, num_all) in sample.items()}
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        np.savez(file, version=_VERSION, bank=bank, best_seen=best["seen"], best_said=best["said"])
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_calibration(archive: Archive, record: EncoderRecord) -> Calibration | None:
    """The calibration of an encoder on this archive; None when no run has finished yet."""
    held = _read(_path(archive.folder, record), "best_seen", "best_said")
    return None if held is None else Calibration(held["best_seen"], held["best_said"])


def best_per_query(
    vectors: npt.NDArray[np.float32], bank: npt.NDArray[np.float32], num_all: int
) -> npt.NDArray[np.float32]:
    """`(K,)` ascending: the cosine of each query of the bank with its nearest clip.

    Of a sample the nearest of all clips is extrapolated. What four times as many clips add to the best is seen inside
    the sample; every further factor of four is taken to add as much. That is a little too much, as tails grow thinner.

    Args:
        vectors: `(N, D)` unit, clips that are spread evenly over the archive.
        bank: `(K, D)` unit.
        num_all: clips of the archive; N where `vectors` are all of them.
    """
    if not len(vectors):
        return np.empty(0, np.float32)
    similarity = bank @ vectors.T
    best = similarity.max(axis=1)
    if num_all > len(vectors) >= _NUM_PARTS:
        of_parts = [similarity[:, part::_NUM_PARTS].max(axis=1) for part in range(_NUM_PARTS)]
        growth = float(np.mean(best - np.mean(of_parts, axis=0)))
        best = np.minimum(best + growth * np.log(num_all / len(vectors)) / np.log(_NUM_PARTS), 1.0)
    return np.sort(best).astype(np.float32)


def _path(folder: Path, record: EncoderRecord) -> Path:
    return folder / f"background_{record.fingerprint[:12]}.npz"


def _read(path: Path, *names: str) -> Mapping[str, npt.NDArray[np.float32]] | None:
    """Arrays of a calibration file, the bank unless others are named; None where none of this version can be read."""
    try:
        with np.load(path, allow_pickle=False) as data:
            if "version" not in data or data["version"] != _VERSION:
                return None
            return {name: data[name] for name in names or ("bank",)}
    except (BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError):
        return None


def sampled_vectors(table: Any, *, most: int = MAX_CLIPS) -> Mapping[str, tuple[npt.NDArray[np.float32], int]]:
    """By column, `(N, D)` vectors of rows spread evenly over the table, and about how many it has in all."""
    num_rows = table.count_rows()
    places = np.linspace(0, num_rows - 1, min(num_rows, most)).astype(int).tolist()
    rows = table.take_offsets(places).select(["seen", "said"]).to_arrow()
    sample = {}
    for name in ("seen", "said"):
        held = rows.column(name).drop_null().combine_chunks()
        vectors = np.asarray(held.flatten(), dtype=np.float32).reshape(len(held), held.type.list_size)
        sample[name] = vectors, round(num_rows * len(held) / max(1, len(rows)))
    return sample

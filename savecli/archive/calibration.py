"""How similar is similar: what this encoder says, on this very archive, to queries that mean nothing in particular.

A cosine of 0.27 may be a perfect match for one encoder and chance for another, and a large archive holds a better
chance match than a small one. So when an index run ends, a bank of background queries is compared with the clips,
and what is kept is (1) the bank's vectors, from which any clip's own mean and spread follow, and (2) how far the best
clip of each background query stood out. A query is believed when its hit stands out further than theirs.
docs/search.md describes the rule; `savecli.search.confidence` applies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.archive.manifest import EncoderRecord
from savecli.archive.store import Archive, VectorTables
from savecli.core.encoder import Encoder

# Every clip of a small archive, a sample of a large one: the best of 20,000 tells the tail well enough.
MAX_CLIPS = 20_000

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
    """What `background_texts` look like to an encoder and an archive.

    Args:
        bank: `(K, D)` float32, unit vectors of the background queries.
        best_seen: `(K,)` float32, ascending; by how many standard deviations the best frame match of each stood out.
        best_said: the same for the vectors of speech.
    """

    bank: npt.NDArray[np.float32]
    best_seen: npt.NDArray[np.float32]
    best_said: npt.NDArray[np.float32]


def standing_out(
    similarity: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], bank: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """By how many standard deviations `similarity` exceeds what each clip has with the bank.

    Args:
        similarity: `(N,)` or `(N, Q)`, cosine of clip and query.
        vectors: `(N, D)`, the clips.
        bank: `(K, D)`, the background queries.
    """
    background = vectors @ bank.T
    mean, spread = background.mean(axis=1), background.std(axis=1) + 1e-6
    if similarity.ndim == 2:
        mean, spread = mean[:, None], spread[:, None]
    return np.asarray((similarity - mean) / spread, dtype=np.float32)


def calibrate(archive: Archive, encoder: Encoder, record: EncoderRecord, tables: VectorTables) -> None:
    """Measure the background on this archive and keep it beside the vectors."""
    bank = encoder.encode_text(background_texts()).astype(np.float32)
    best = {column: _best_per_query(_sampled(tables.vectors, column), bank) for column in ("seen", "said")}
    path = _path(archive.folder, record)
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        np.savez(file, bank=bank, best_seen=best["seen"], best_said=best["said"])
    draft.replace(path)


def read_calibration(archive: Archive, record: EncoderRecord) -> Calibration | None:
    """The calibration of an encoder on this archive; None when no run has finished yet."""
    path = _path(archive.folder, record)
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as data:
        return Calibration(data["bank"], data["best_seen"], data["best_said"])


def _path(folder: Path, record: EncoderRecord) -> Path:
    return folder / f"background_{record.fingerprint[:12]}.npz"


def _sampled(table: Any, column: str) -> npt.NDArray[np.float32]:
    """`(N, D)` vectors spread evenly over the table."""
    num_rows = table.count_rows(f"{column} IS NOT NULL")
    step = max(1, -(-num_rows // MAX_CLIPS))
    query = table.search().where(f"{column} IS NOT NULL").select([column])
    rows = (batch.column(column) for batch in query.to_batches())
    parts = [np.asarray(part.flatten(), dtype=np.float32).reshape(len(part), -1)[::step] for part in rows if len(part)]
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def _best_per_query(vectors: npt.NDArray[np.float32], bank: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not len(vectors):
        return np.empty(0, np.float32)
    return np.sort(standing_out(vectors @ bank.T, vectors, bank).max(axis=0))

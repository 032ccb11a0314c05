"""What an archive keeps of a clip beyond its vector: its frames, and what sound and speech have added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.archive.packing import split_clip, unpack_vectors
from savecli.archive.tables import rows_of_clips

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SenseContribution:
    """What a sense has added to a clip's pooled vector.

    Args:
        vector: `(D,)`; its product with a query is the share of that sense in the cosine.
        gates: `(layers, 2)` in (-1, 1), of attention and of feed-forward.
    """

    vector: Floats
    gates: Floats


@dataclass(frozen=True, eq=False)
class Contributions:
    """One clip, as its encoder made it.

    Args:
        pooled: `(D,)` unit = `seen` + what sound adds + what speech adds.
        frames: `(F, D)` unit.
        frame_s: `(F,)` seconds from the video's start.
        audio, speech: None where the clip has no such sense, or the encoder does not take part in it.
    """

    pooled: Floats
    frames: Floats
    frame_s: Floats
    audio: SenseContribution | None
    speech: SenseContribution | None

    @property
    def seen(self) -> Floats:
        """`(D,)`: what is left without sound and speech."""
        return self.pooled - sum(
            (part.vector for part in (self.audio, self.speech) if part), np.zeros_like(self.pooled)
        )


def read_contributions(table: Any, clip_ids: Iterable[str]) -> Mapping[str, Contributions]:
    """By clip id; clips without a picture have none."""
    columns = [name for name in table.schema.names if name not in ("video_id", "said")]
    rows = rows_of_clips(table, clip_ids, columns, where="packed IS NOT NULL").to_pylist()
    return {row["clip_id"]: _contributions(row, np.asarray(row["seen"], np.float32)) for row in rows}


def _contributions(row: Mapping[str, Any], pooled: Floats) -> Contributions:
    packed = split_clip(row["packed"], len(pooled))
    return Contributions(
        pooled=pooled,
        frames=unpack_vectors(packed.frames, pooled),
        frame_s=np.asarray(row["frame_s"], np.float32),
        audio=_sense(packed.audio, row["audio_gates"], pooled),
        speech=_sense(packed.speech, row["speech_gates"], pooled),
    )


def _sense(packed: bytes, gates: list[float] | None, pooled: Floats) -> SenseContribution | None:
    if not packed or gates is None:
        return None
    return SenseContribution(unpack_vectors(packed, pooled)[0], np.asarray(gates, np.float32).reshape(-1, 2))

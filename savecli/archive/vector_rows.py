"""The embeddings of a video as rows of the table that its encoder fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.archive.packing import PackedClip, pack_vectors
from savecli.archive.schema import ClipRow
from savecli.core.records import ClipEmbedding, SensePart

Floats = npt.NDArray[np.float32]


def vector_rows(clips: Sequence[ClipRow], embeddings: Sequence[ClipEmbedding]) -> Iterator[dict[str, Any]]:
    """A row for each clip; see `savecli.archive.schema.vectors_schema`. What a clip has not is null."""
    for clip, embedding in zip(clips, embeddings, strict=True):
        yield {
            "clip_id": clip.clip_id,
            "video_id": clip.video_id,
            "seen": _halved(embedding.pooled),
            "said": _halved(embedding.speech),
            "packed": _packed(embedding),
            "frame_s": embedding.frame_s,
            "audio_gates": _gates(embedding.audio_part),
            "speech_gates": _gates(embedding.speech_part),
        }


def _packed(embedding: ClipEmbedding) -> bytes | None:
    if embedding.pooled is None or embedding.frames is None:
        return None
    base = embedding.pooled.astype(np.float16).astype(np.float32)  # as it will be read

    def part(sense: SensePart | None) -> bytes:
        return b"" if sense is None else pack_vectors(sense.vector[None], base)

    return PackedClip(
        pack_vectors(embedding.frames, base), part(embedding.audio_part), part(embedding.speech_part)
    ).joined()


def _gates(part: SensePart | None) -> Floats | None:
    return None if part is None else part.gates.flatten()


def _halved(vector: Floats | None) -> npt.NDArray[np.float16] | None:
    return None if vector is None else vector.astype(np.float16)

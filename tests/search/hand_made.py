"""An archive whose clips say and show what a test wants, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.archive.create import create_archive
from savecli.archive.manifest import EncoderRecord
from savecli.archive.schema import ClipRow, VideoRow
from savecli.archive.store import Archive
from savecli.core.records import ClipEmbedding

# Directions a clip or a query may have.
EAST, NORTH = np.eye(8, dtype=np.float32)[:2]

Vector = npt.NDArray[np.float32]


def record(name: str) -> EncoderRecord:
    """An encoder of pictures and of words."""
    return EncoderRecord(name=name, label=name, fingerprint=f"{name:0<12}", dimension=8)


def encode_text(texts: Sequence[str]) -> Vector:
    """Every text points east."""
    return np.stack([EAST] * len(texts))


def make_archive(folder: Path, encoder: EncoderRecord, clips: Sequence[tuple[str, Vector]]) -> Archive:
    """A video of one clip for each text and direction, both of its picture and of its words, named 0.mp4, 1.mp4, …"""
    archive = create_archive(folder)
    archive.set_manifest(replace(archive.manifest, encoder=encoder))
    table = archive.make_vector_table(encoder)
    ids = [f"{number:04}" for number in range(len(clips))]
    rows = [ClipRow(video_id, 0, 0.0, 4.0, text) for video_id, (text, _) in zip(ids, clips, strict=True)]
    embeddings = [ClipEmbedding(vector, vector[None], vector, np.zeros(1, np.float32)) for _, vector in clips]
    archive.commit_video(_video(ids[0], 0), rows, embeddings, table)
    archive.put_videos([_video(video_id, number) for number, video_id in enumerate(ids)])
    return archive


def _video(video_id: str, number: int) -> VideoRow:
    return VideoRow(path=f"/v/{number}.mp4", video_id=video_id, root="/v", duration_s=4.0, num_clips=1)

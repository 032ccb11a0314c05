"""The tables of an archive, their version, and the migrations between versions.

    videos          one row per media file; writing it is what commits a video
    clips           one row per clip: where it lies and what is said in it
    vectors_<fp>    one row per clip and encoder: the vectors that queries are compared with, and what is looked at of
                    candidates only: per-frame vectors, what sound and speech add to the clip's vector, gates
    failures        one row per file that could not be indexed, with the reason

Rows of `clips` and `vectors` belong to a `video_id` (content), rows of `videos` to a path, so
renaming a file touches one row, and two copies of one file share everything but that row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 3

VIDEOS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("root", pa.string()),
        pa.field("title", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("sample_hash", pa.string()),
        pa.field("duration_s", pa.float64()),
        pa.field("container", pa.string()),
        pa.field("video_codec", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("has_sound", pa.bool_()),
        pa.field("num_clips", pa.int32()),
        pa.field("speech_source", pa.string()),
        pa.field("language", pa.string()),
        pa.field("transcript", pa.string()),
        pa.field("indexed_at_s", pa.int64()),
        pa.field("is_missing", pa.bool_()),
    ]
)

CLIPS = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("clip_idx", pa.int32()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("text", pa.string()),
        pa.field(
            "words",
            pa.list_(
                pa.struct(
                    [
                        pa.field("start", pa.int32()),
                        pa.field("end", pa.int32()),
                        pa.field("start_s", pa.float32()),
                        pa.field("end_s", pa.float32()),
                    ]
                )
            ),
        ),
    ]
)

FAILURES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("failed_at_s", pa.int64()),
    ]
)


def vectors_schema(dimension: int) -> pa.Schema:
    """Table of what one encoder, whose vectors have `dimension` numbers, makes of clips; null is missing evidence.

    `packed` is what `savecli.archive.packing` writes, with `seen` as its base. Times are seconds from the video's
    start. Gates are `(layers, 2)` flattened.
    """
    vector = pa.list_(pa.float16(), dimension)
    return pa.schema(
        [
            pa.field("clip_id", pa.string(), nullable=False),
            pa.field("video_id", pa.string(), nullable=False),
            pa.field("seen", vector),
            pa.field("said", vector),
            pa.field("packed", pa.large_binary(), metadata={"lance-encoding:compression": "zstd"}),
            pa.field("frame_s", pa.list_(pa.float32())),
            pa.field("audio_gates", pa.list_(pa.float32())),
            pa.field("speech_gates", pa.list_(pa.float32())),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class VideoRow:
    """A row of `videos`: one media file of the archive. Times in seconds, `mtime_ns` as `stat` gives it."""

    path: str
    video_id: str
    root: str = ""
    title: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    sample_hash: str = ""
    duration_s: float = 0.0
    container: str = ""
    video_codec: str = ""
    width: int = 0
    height: int = 0
    has_sound: bool = False
    num_clips: int = 0
    speech_source: str = "none"
    language: str | None = None
    transcript: str = ""
    indexed_at_s: int = 0
    is_missing: bool = False


@dataclass(frozen=True)
class TimedSpan:
    """Characters `[start, end)` of a clip's text and when they are spoken."""

    start: int
    end: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class ClipRow:
    """A row of `clips`."""

    video_id: str
    clip_idx: int
    start_s: float
    end_s: float
    text: str = ""
    words: tuple[TimedSpan, ...] = ()

    @classmethod
    def bare(cls, clip_id: str) -> ClipRow:
        """A row of which nothing but the id has been read."""
        video_id, _, idx = clip_id.rpartition(":")
        return cls(video_id, int(idx), math.nan, math.nan)

    @property
    def is_bare(self) -> bool:
        return math.isnan(self.start_s)

    @property
    def clip_id(self) -> str:
        return f"{self.video_id}:{self.clip_idx}"


@dataclass(frozen=True)
class FailureRow:
    """A row of `failures`: what could not be indexed, as it was when it failed."""

    path: str
    size_bytes: int
    mtime_ns: int
    reason: str
    failed_at_s: int


def clip_to_dict(clip: ClipRow) -> dict[str, Any]:
    """The clip as LanceDB stores it."""
    return {"clip_id": clip.clip_id, **asdict(clip), "words": [asdict(word) for word in clip.words]}


def clip_from_dict(row: dict[str, Any]) -> ClipRow:
    """The clip a stored row describes."""
    words = tuple(TimedSpan(**word) for word in row["words"] or ())
    return ClipRow(row["video_id"], row["clip_idx"], row["start_s"], row["end_s"], row["text"], words)


def video_from_dict(row: dict[str, Any]) -> VideoRow:
    """The video a stored row describes; columns that were not fetched keep their defaults."""
    known = {field.name for field in fields(VideoRow)}
    return VideoRow(**{name: value for name, value in row.items() if name in known})


# Migration N rewrites the archive folder from version N to N + 1. Append; never edit one that was released.
# None where only `archive.json` differs: it is understood as it is, and the next index run writes it anew. A query must
# not: it may run beside a writer, or on a disk that cannot be written.
MIGRATIONS: tuple[Callable[[Path], None] | None, ...] = (
    None,  # 2: how an encoder scores, and what its vectors hold
    None,  # 3: vectors packed; tables of the old form count as missing, and the next index run makes them anew
)

"""An archive of any size with made-up rows in the true tables: what a model of the SAVE family would have written.

How the vectors are drawn. Directions of a real embedding space are unequal: here the i-th of 512 has a spread of
1 / sqrt(i), which gives an effective dimension (sum s^2)^2 / sum s^4 of about 28, as was measured of CLIP's. All share
a common part (0.9), as embeddings lie in a cone; on it lies a topic for each 20 videos (weight 0.6), within it videos
(0.5), within them clips of 10 s (0.35), within them 12 frames (0.6; one of 50,000 draws, as drawing takes longer than
writing). A clip's pooled vector is the unit mean of its frames. A query is what a clip was before its frames, with
another draw (0.5) and a part that all queries and no clips have, so that its cosine with the clip is as of a text.

Words follow Zipf's law over a vocabulary of 20,000, 25 a clip, each with its times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from savecli.archive.create import create_archive
from savecli.archive.manifest import EncoderRecord, ScoringRecord
from savecli.archive.packing import PackedClip, pack_vectors
from savecli.archive.schema import CLIPS, VIDEOS, vectors_schema
from savecli.archive.store import ROWS_PER_BATCH, Archive, open_archive
from savecli.archive.upkeep import finish

DIMENSION = 512
NUM_FRAMES = 12
CLIPS_PER_VIDEO = 60
CLIP_S = 10.0
WORDS_PER_CLIP = 25
VOCABULARY = 20_000
VIDEOS_PER_TOPIC = 20
FUSION_LAYERS = 4
SCORING = ScoringRecord(kind="joint", temperature=1.0, logit_scale=100.0)
# Rows of one addition to a table: enough to be fast, few enough to stay within some hundred megabytes.
_ROWS_AT_A_TIME = ROWS_PER_BATCH
_NUM_FRAME_DRAWS = 50_000

Floats = npt.NDArray[np.float32]
_SPREAD = (1 / np.sqrt(np.arange(1, DIMENSION + 1))).astype(np.float32)
_SPREAD /= np.linalg.norm(_SPREAD)
_LETTERS = np.array(list("bcdfghklmnprstvz"))


def fused(record: EncoderRecord) -> EncoderRecord:
    """The same encoder as if it were a model of ours: its text side stays what it is."""
    return replace(record, senses=("seen", "heard", "said"), scoring=SCORING)


def unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _draws(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.standard_normal((*shape, DIMENSION), dtype=np.float32) * _SPREAD


@dataclass(frozen=True, eq=False)
class MadeClips:
    """Vectors of some neighbouring clips: `inner` `(N, D)` before frames were drawn, `frames` `(N, F, D)` unit."""

    inner: Floats
    frames: Floats

    @property
    def pooled(self) -> Floats:
        """`(N, D)` unit, rounded as the archive keeps it."""
        return unit(self.frames.mean(axis=1)).astype(np.float16).astype(np.float32)


class MadeWorld:
    """Where every vector comes from; the same numbers in every run."""

    def __init__(self, num_clips: int) -> None:
        self.num_videos = -(-num_clips // CLIPS_PER_VIDEO)
        self.num_clips = self.num_videos * CLIPS_PER_VIDEO
        rng = np.random.default_rng(0)
        self._common, self._text_only = unit(_draws(rng)), unit(_draws(rng))
        topics = 0.6 * _draws(rng, max(8, self.num_videos // VIDEOS_PER_TOPIC))
        self._of_frames = 0.6 * _draws(rng, _NUM_FRAME_DRAWS)
        self._videos = topics[rng.integers(len(topics), size=self.num_videos)] + 0.5 * _draws(rng, self.num_videos)

    def clips(self, start: int, stop: int) -> MadeClips:
        """Clips by number; a chunk must always be asked for as the same chunk."""
        rng = np.random.default_rng([1, start])
        inner = self._videos[np.arange(start, stop) // CLIPS_PER_VIDEO] + 0.35 * _draws(rng, stop - start)
        drawn = self._of_frames[rng.integers(_NUM_FRAME_DRAWS, size=(stop - start, NUM_FRAMES))]
        frames = drawn + (0.9 * self._common + inner)[:, None]
        return MadeClips(inner, unit(frames))

    def chunks(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.num_clips, _ROWS_AT_A_TIME):
            yield start, min(start + _ROWS_AT_A_TIME, self.num_clips)

    def queries(self, count: int) -> Floats:
        """`(count, D)` unit, each near a clip, as a text is near its picture."""
        rng = np.random.default_rng(2)
        chunks = list(self.chunks())
        vectors = []
        for start, stop in (chunks[place] for place in rng.integers(len(chunks), size=count)):
            inner = self.clips(start, stop).inner[rng.integers(stop - start)]
            vectors.append(inner + 0.5 * _draws(rng) + 1.8 * self._text_only)
        return unit(np.stack(vectors))


class _Zipf:
    """Word numbers as they come in speech: the n-th most frequent with a share of 1 / (n + 2.7) (Mandelbrot 1953)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._shares = np.cumsum(1 / (np.arange(1, VOCABULARY + 1) + 2.7))

    def draw(self, *shape: int) -> npt.NDArray[np.int64]:
        return np.searchsorted(self._shares, self._rng.random(shape) * self._shares[-1])


def make_archive(folder: Path, num_clips: int, record: EncoderRecord) -> Archive:
    """The archive, with all its indexes; the pipeline that fills a real one is measured elsewhere."""
    world = MadeWorld(num_clips)
    archive = create_archive(folder)
    archive.set_manifest(replace(archive.manifest, encoder=record))
    vectors = archive.make_vector_table(record)
    assert vectors is not None
    rng = np.random.default_rng(3)
    vocabulary = np.array(["".join(rng.choice(_LETTERS, 3)) + str(number) for number in range(VOCABULARY)])
    spoken = _Zipf(rng)
    for start, stop in world.chunks():
        ids = _ids(start, stop)
        made = world.clips(start, stop)
        pooled = made.pooled
        texts = vocabulary[spoken.draw(stop - start, WORDS_PER_CLIP)]
        vectors.add(_vector_rows(ids, made.frames, pooled))
        archive.clips.add(_clip_rows(ids, start, texts))
    archive.videos.add(_video_rows(world.num_videos, vocabulary, spoken))
    for table in (archive.clips, vectors):  # as an archive that grew for long is
        table.optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)
    finish(archive)
    return archive


@contextmanager
def kept_folder(folder: Path | None) -> Iterator[Path]:
    """Where made archives lie: a folder that stays (`--keep`), or one that goes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def kept_archive(folder: Path, num_clips: int, record: EncoderRecord) -> Archive:
    """The made archive of that size in a folder, made unless it is there."""
    archive = folder / f"{num_clips}.save"
    return open_archive(archive) if (archive / "archive.json").exists() else make_archive(archive, num_clips, record)


def clip_id(number: int) -> str:
    video, idx = divmod(number, CLIPS_PER_VIDEO)
    return f"{video_id(video)}:{idx}"


def video_id(number: int) -> str:
    """As long as a content hash, in no order."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"


def _ids(start: int, stop: int) -> list[pa.Array]:
    numbers = range(start, stop)
    return [
        pa.array([clip_id(number) for number in numbers]),
        pa.array([video_id(number // CLIPS_PER_VIDEO) for number in numbers]),
    ]


def _vector_rows(ids: list[pa.Array], frames: Floats, pooled: Floats) -> pa.RecordBatch:
    """Half of the clips have sound, and half of these speech, with parts a third as long as the vector."""
    count, schema = len(frames), vectors_schema(DIMENSION)
    parts = [pack_vectors((frames[idx, :1] - base) / 2, base) if idx % 2 else b"" for idx, base in enumerate(pooled)]
    packed = [
        PackedClip(pack_vectors(rows, base), part, part if idx % 4 == 1 else b"").joined()
        for idx, (rows, base, part) in enumerate(zip(frames, pooled, parts, strict=True))
    ]
    gates = [0.3] * (2 * FUSION_LAYERS)
    columns = {
        "seen": pa.FixedSizeListArray.from_arrays(pa.array(pooled.astype(np.float16).ravel()), DIMENSION),
        "said": pa.nulls(count, schema.field("said").type),
        "packed": packed,
        "frame_s": [np.linspace(0.4, 9.6, NUM_FRAMES, dtype=np.float32)] * count,
        "audio_gates": [gates if idx % 2 else None for idx in range(count)],
        "speech_gates": [gates if idx % 4 == 1 else None for idx in range(count)],
    }
    arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
    return pa.RecordBatch.from_arrays([*ids, *arrays], schema=schema)


def _clip_rows(ids: list[pa.Array], start: int, words: npt.NDArray[np.str_]) -> pa.RecordBatch:
    count = len(words)
    numbers = np.arange(start, start + count) % CLIPS_PER_VIDEO
    lengths = np.char.str_len(words)
    ends = np.cumsum(lengths + 1, axis=1) - 1
    spoken = (numbers[:, None] * CLIP_S + np.arange(WORDS_PER_CLIP) * CLIP_S / WORDS_PER_CLIP).ravel()
    word_type = CLIPS.field("words").type.value_type
    fields = [
        pa.array((ends - lengths).ravel().astype(np.int32)),
        pa.array(ends.ravel().astype(np.int32)),
        pa.array(spoken.astype(np.float32)),
        pa.array((spoken + 0.3).astype(np.float32)),
    ]
    timings = pa.ListArray.from_arrays(
        pa.array(np.arange(0, count * WORDS_PER_CLIP + 1, WORDS_PER_CLIP, dtype=np.int32)),
        pa.StructArray.from_arrays(fields, fields=list(word_type)),
    )
    columns = [
        pa.array(numbers.astype(np.int32)),
        pa.array(numbers * CLIP_S),
        pa.array((numbers + 1) * CLIP_S),
        pa.array([" ".join(row) for row in words]),
        timings,
    ]
    return pa.RecordBatch.from_arrays([*ids, *columns], schema=CLIPS)


def _video_rows(num_videos: int, vocabulary: npt.NDArray[np.str_], spoken: _Zipf) -> pa.Table:
    rows = [
        {
            "path": f"/videos/folder{number % 50}/video {number}.mp4",
            "video_id": video_id(number),
            "root": "/videos",
            "title": f"folder {number % 50} video {number}",
            "duration_s": CLIPS_PER_VIDEO * CLIP_S,
            "num_clips": CLIPS_PER_VIDEO,
            "speech_source": "srt",
            "language": "en",
            "transcript": " ".join(vocabulary[spoken.draw(CLIPS_PER_VIDEO * WORDS_PER_CLIP)]),
            "is_missing": False,
        }
        for number in range(num_videos)
    ]
    return pa.Table.from_pylist(rows, schema=VIDEOS)

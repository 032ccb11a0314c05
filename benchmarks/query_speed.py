"""Time of a query, cold from the shell and warm in a process, on archives of 10,000 and 100,000 clips.

    python -m benchmarks.query_speed [--clips 10000 100000]

Vectors are drawn as real embeddings lie: clusters for topics, within them videos, within them clips, and a constant
part that all share. Words follow Zipf's law over a vocabulary of 20,000. The query's vector is a clip's with noise: a
text tower's own time is not part of these numbers (benchmarks/encode_speed.py has it).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

os.environ.setdefault("LANCEDB_LOG", "error")

from savecli.archive.create import create_archive
from savecli.archive.manifest import EncoderRecord
from savecli.archive.schema import CLIPS, VIDEOS, vectors_schema
from savecli.archive.store import ROWS_PER_BATCH, Archive, VectorTables, open_archive
from savecli.archive.upkeep import finish
from savecli.search.filters import Filters
from savecli.search.query import Request, search_videos

DIMENSION = 512
CLIPS_PER_VIDEO = 60
WORDS_PER_CLIP = 25
VOCABULARY = 20_000
RUNS = 15


def clustered_vectors(num_videos: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """`(num_videos * CLIPS_PER_VIDEO, DIMENSION)` unit vectors in topics, videos and clips."""
    common = rng.normal(size=DIMENSION)
    topics = rng.normal(size=(max(8, num_videos // 20), DIMENSION))
    videos = topics[rng.integers(len(topics), size=num_videos)] + 0.7 * rng.normal(size=(num_videos, DIMENSION))
    clips = np.repeat(videos, CLIPS_PER_VIDEO, axis=0)
    vectors = (common + clips + 0.5 * rng.standard_normal(clips.shape)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build(folder: Path, num_clips: int) -> Archive:
    """An archive of made-up rows; the pipeline that fills a real one is measured elsewhere."""
    rng = np.random.default_rng(0)
    num_videos = num_clips // CLIPS_PER_VIDEO
    record = EncoderRecord(name="words", label="benchmark", fingerprint="benchmark0000", dimension=DIMENSION)
    archive = create_archive(folder)
    archive.set_manifest(replace(archive.manifest, encoder=record))
    tables = archive.make_vector_tables(record)
    assert tables is not None
    vectors = clustered_vectors(num_videos, rng)
    texts = list(_texts(num_clips, rng))
    archive.clips.add(pa.Table.from_batches(list(_clip_batches(texts))))
    tables.vectors.add(pa.Table.from_batches(list(_vector_batches(vectors))))
    archive.videos.add(_video_table(num_videos, texts))
    finish(archive)
    return archive


def _texts(num_clips: int, rng: np.random.Generator) -> Iterator[str]:
    letters = np.array(list("bcdfghklmnprstvz"))
    words = ["".join(rng.choice(letters, 3)) + str(n) for n in range(VOCABULARY)]
    for _ in range(num_clips):
        picks = np.minimum(rng.zipf(1.3, WORDS_PER_CLIP), VOCABULARY) - 1
        yield " ".join(words[pick] for pick in picks)


def _clip_batches(texts: list[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(texts), ROWS_PER_BATCH):
        rows = [_clip(number, texts[number]) for number in range(start, min(start + ROWS_PER_BATCH, len(texts)))]
        yield pa.RecordBatch.from_pylist(rows, schema=CLIPS)


def _clip(number: int, text: str) -> dict[str, object]:
    video, idx = divmod(number, CLIPS_PER_VIDEO)
    words, cursor = [], 0
    for place, word in enumerate(text.split()):
        start_s = idx * 10 + place * 10 / WORDS_PER_CLIP
        words.append({"start": cursor, "end": cursor + len(word), "start_s": start_s, "end_s": start_s + 0.3})
        cursor += len(word) + 1
    return {
        "clip_id": f"v{video}:{idx}",
        "video_id": f"v{video}",
        "clip_idx": idx,
        "start_s": idx * 10.0,
        "end_s": idx * 10.0 + 10,
        "text": text,
        "words": words,
    }


def _vector_batches(vectors: npt.NDArray[np.float32]) -> Iterator[pa.RecordBatch]:
    schema = vectors_schema(DIMENSION)
    for start in range(0, len(vectors), ROWS_PER_BATCH):
        part = vectors[start : start + ROWS_PER_BATCH]
        places = [divmod(number, CLIPS_PER_VIDEO) for number in range(start, start + len(part))]
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIMENSION)
        ids = [pa.array([f"v{video}:{idx}" for video, idx in places]), pa.array([f"v{video}" for video, _ in places])]
        yield pa.RecordBatch.from_arrays([*ids, column, column], schema=schema)


def _video_table(num_videos: int, texts: list[str]) -> pa.Table:
    rows = [
        {
            "path": f"/videos/folder{number % 50}/video {number}.mp4",
            "video_id": f"v{number}",
            "root": "/videos",
            "title": f"folder {number % 50} video {number}",
            "duration_s": CLIPS_PER_VIDEO * 10.0,
            "num_clips": CLIPS_PER_VIDEO,
            "language": "en",
            "transcript": " ".join(texts[number * CLIPS_PER_VIDEO : (number + 1) * CLIPS_PER_VIDEO]),
            "is_missing": False,
        }
        for number in range(num_videos)
    ]
    return pa.Table.from_pylist(rows, schema=VIDEOS)


def timed(action: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Milliseconds of each run."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - started))
    return times


def shell(archive: Path, *arguments: str) -> Callable[[], object]:
    """The whole command as a user runs it."""
    save = Path(sys.executable).parent / "save"
    command = [save, "query", *arguments, "--archive", archive]
    return lambda: subprocess.run(command, capture_output=True, check=False)


def _import_lancedb() -> None:
    subprocess.run([sys.executable, "-c", "import lancedb"], check=True)


def measure(folder: Path, num_clips: int) -> None:
    started = time.perf_counter()
    archive = build(folder, num_clips)
    built_s = time.perf_counter() - started
    print(f"\n{num_clips:,} clips, {num_clips // CLIPS_PER_VIDEO:,} videos (built in {built_s:.0f} s)")
    tables = archive.vector_tables(archive.manifest.encoder)
    assert isinstance(tables, VectorTables)
    text = str(archive.clips.search().limit(1).to_list()[0]["text"])
    words = " ".join(sorted(set(text.split()), key=len)[-3:])
    phrase = " ".join(text.split()[3:7])
    rng = np.random.default_rng(1)
    row = np.asarray(tables.vectors.search().limit(1).to_list()[0]["seen"], np.float32)
    noisy = row + 0.02 * rng.standard_normal(DIMENSION).astype(np.float32)
    vector = noisy / np.linalg.norm(noisy)

    def warm(**settings: object) -> Callable[[], object]:
        request = replace(Request(text=words, show_all=True), **settings)  # type: ignore[arg-type]
        return lambda: search_videos(archive, request, encode_text=lambda texts: vector[None])

    plain = open_archive(folder)
    plain.manifest = replace(plain.manifest, encoder=None)
    rows = [
        ("warm: words", timed(lambda: search_videos(plain, Request(text=words, show_all=True)))),
        ("warm: words + vectors", timed(warm())),
        ("warm: words + vectors, --in folder7", timed(warm(filters=Filters(inside=("folder7",))))),
        ("warm: words + vectors, --not-in folder7", timed(warm(filters=Filters(outside=("folder7",))))),
        ("warm: phrase", timed(lambda: search_videos(plain, Request(text=phrase, is_phrase=True)))),
    ]
    archive.set_manifest(replace(archive.manifest, encoder=None))  # no weights are here for a vector from the shell
    rows += [
        ("cold: save query WORDS", timed(shell(folder, words, "--all"), runs=7)),
        ("cold: save query --phrase", timed(shell(folder, phrase, "--phrase"), runs=7)),
        (
            "  of it: python + import lancedb",
            timed(lambda: subprocess.run([sys.executable, "-c", "import lancedb"]), runs=7),
        ),
    ]
    for name, times in rows:
        print(f"  {name:<42} median {statistics.median(times):7.1f} ms   max {max(times):7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for num_clips in options.clips:
            measure(Path(folder) / f"{num_clips}.save", num_clips)


if __name__ == "__main__":
    main()

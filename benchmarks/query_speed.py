"""Time of a query, cold from the shell and warm in a process, on archives of 10,000 and 100,000 clips.

    python -m benchmarks.query_speed [--clips 10000 100000]

Vectors are drawn as real embeddings lie: clusters for topics, within them videos, within them clips, and a constant
part that all share. Words follow Zipf's law over a vocabulary of 20,000. Warm, the query's vector is a clip's with
noise: a text tower's own time is not part of these numbers. Cold, it comes from the text tower of a ViT-B/32 with
random weights, as `save index` exports it into the archive.
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

from benchmarks.random_clip import make_random_clip
from savecli.archive.create import create_archive
from savecli.archive.encoder import encoder_record, load_text_encoder, resolve_encoder
from savecli.archive.manifest import EncoderRecord
from savecli.archive.schema import CLIPS, VIDEOS, vectors_schema
from savecli.archive.store import ROWS_PER_BATCH, Archive, VectorTables, open_archive
from savecli.archive.text_side import keep_text_side
from savecli.archive.upkeep import finish
from savecli.model.hub import Hub
from savecli.search.filters import Filters
from savecli.search.query import Request, search_videos

DIMENSION = 512
CLIPS_PER_VIDEO = 60
WORDS_PER_CLIP = 25
VOCABULARY = 20_000
RUNS = 15
COLD_RUNS = 7
# The text encoder's part of a cold query: what it adds to a process that has lancedb.
TEXT_ENCODER = """
import sys, time
from pathlib import Path
import savecli.search.query
from savecli.archive.store import open_archive
archive = open_archive(Path(sys.argv[1]))
started = time.perf_counter()
from savecli.search.text_encoder import open_text_encoder
encoder = open_text_encoder(archive)
encoder.encode_text([sys.argv[2]])
print(1000 * (time.perf_counter() - started))
encoder.encode_text([sys.argv[2]])
started = time.perf_counter()
encoder.encode_text([sys.argv[2]])
print(1000 * (time.perf_counter() - started))
"""
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
Rows = list[tuple[str, list[float]]]


def clustered_vectors(num_videos: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """`(num_videos * CLIPS_PER_VIDEO, DIMENSION)` unit vectors in topics, videos and clips."""
    common = rng.normal(size=DIMENSION)
    topics = rng.normal(size=(max(8, num_videos // 20), DIMENSION))
    videos = topics[rng.integers(len(topics), size=num_videos)] + 0.7 * rng.normal(size=(num_videos, DIMENSION))
    clips = np.repeat(videos, CLIPS_PER_VIDEO, axis=0)
    vectors = (common + clips + 0.5 * rng.standard_normal(clips.shape)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build(folder: Path, num_clips: int, record: EncoderRecord) -> Archive:
    """An archive of made-up rows; the pipeline that fills a real one is measured elsewhere."""
    rng = np.random.default_rng(0)
    num_videos = num_clips // CLIPS_PER_VIDEO
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


def import_lancedb() -> None:
    """What every query pays."""
    subprocess.run([sys.executable, "-c", "import lancedb"], check=True)


def text_encoder_times(archive: Path, text: str) -> tuple[float, float]:
    """Milliseconds to open the text encoder and encode a query in a new process, and to encode another one."""
    done = subprocess.run(
        [sys.executable, "-c", TEXT_ENCODER, archive, text], capture_output=True, text=True, check=True
    )
    first, later = map(float, done.stdout.split())
    return first, later


def peak_megabytes(archive: Path, *arguments: str) -> float:
    """Most memory that a query from the shell has at a time, what it uses of files mapped into it included."""
    # Through a small process: a child counts from the size of the one that started it.
    command = [sys.executable, "-c", PEAK, Path(sys.executable).parent / "save", "query", *arguments]
    done = subprocess.run([*command, "--archive", archive], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def warm_times(archive: Archive, words: str, phrase: str) -> Rows:
    """A query in a process that has everything open."""
    tables = archive.vector_tables(archive.manifest.encoder)
    assert isinstance(tables, VectorTables)
    rng = np.random.default_rng(1)
    row = np.asarray(tables.vectors.search().limit(1).to_list()[0]["seen"], np.float32)
    noisy = row + 0.02 * rng.standard_normal(DIMENSION).astype(np.float32)
    vector = noisy / np.linalg.norm(noisy)

    def warm(**settings: object) -> Callable[[], object]:
        request = replace(Request(text=words, show_all=True), **settings)  # type: ignore[arg-type]
        return lambda: search_videos(archive, request, encode_text=lambda texts: vector[None])

    plain = open_archive(archive.folder)
    plain.manifest = replace(plain.manifest, encoder=None)
    return [
        ("warm: words", timed(lambda: search_videos(plain, Request(text=words, show_all=True)))),
        ("warm: words + vectors", timed(warm())),
        ("warm: words + vectors, --in folder7", timed(warm(filters=Filters(inside=("folder7",))))),
        ("warm: words + vectors, --not-in folder7", timed(warm(filters=Filters(outside=("folder7",))))),
        ("warm: phrase", timed(lambda: search_videos(plain, Request(text=phrase, is_phrase=True)))),
    ]


def cold_times(archive: Archive, words: str, phrase: str) -> Rows:
    """A query from the shell, and the parts of it that set its pace, taken in turns as the machine's load changes."""
    encoder = archive.manifest.encoder
    whole, base, first, later = [], [], [], []
    for _ in range(COLD_RUNS):
        whole += timed(shell(archive.folder, words, "--all"), runs=1)
        base += timed(import_lancedb, runs=1)
        times = text_encoder_times(archive.folder, words)
        first.append(times[0])
        later.append(times[1])
    goal = statistics.median(base) + statistics.median(first)
    print(f"  cold query / (python + import lancedb + text encoder): {statistics.median(whole) / goal:.2f}")
    print(f"  memory of a cold query: {peak_megabytes(archive.folder, words, '--all'):.0f} MB")
    archive.set_manifest(replace(archive.manifest, encoder=None))
    rows = [
        ("cold: save query, words + vectors", whole),
        ("  of it: python + import lancedb", base),
        ("  of it: text encoder", first),
        ("  text encoder, warm", later),
        ("cold: save query, words alone", timed(shell(archive.folder, words, "--all"), runs=COLD_RUNS)),
        ("cold: save query --phrase", timed(shell(archive.folder, phrase, "--phrase"), runs=COLD_RUNS)),
    ]
    archive.set_manifest(replace(archive.manifest, encoder=encoder))
    return rows


def measure(folder: Path, num_clips: int, encoder: str) -> None:
    started = time.perf_counter()
    hub = Hub(offline=True)
    record = encoder_record(resolve_encoder(encoder, hub=hub))
    archive = build(folder, num_clips, record)
    built_s = time.perf_counter() - started
    print(f"\n{num_clips:,} clips, {num_clips // CLIPS_PER_VIDEO:,} videos (built in {built_s:.0f} s)")
    started = time.perf_counter()
    keep_text_side(folder, record, lambda: load_text_encoder(record, hub=hub).branch)
    print(f"  text side exported in {time.perf_counter() - started:.1f} s")
    text = str(archive.clips.search().limit(1).to_list()[0]["text"])
    words = " ".join(sorted(set(text.split()), key=len)[-3:])
    phrase = " ".join(text.split()[3:7])
    for name, times in [*warm_times(archive, words, phrase), *cold_times(archive, words, phrase)]:
        print(f"  {name:<42} median {statistics.median(times):7.1f} ms   max {max(times):7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoder = make_random_clip(Path(folder) / "clip")
        for num_clips in options.clips:
            measure(Path(folder) / f"{num_clips}.save", num_clips, encoder)


if __name__ == "__main__":
    main()

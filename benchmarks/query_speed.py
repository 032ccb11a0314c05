"""Time, memory and size of a query: cold from the shell and warm in a process, at 100,000 and 1,000,000 clips.

    python -m benchmarks.query_speed [--clips 100000 1000000] [--keep FOLDER]

Archives are those of `benchmarks/made_archive.py`, which says how their vectors are drawn. Warm, each query is another
one: its vector is a made one (a text tower's own time is not part of these numbers), its words are said in some clip.
Cold, the vector comes from the text tower of a ViT-B/32 with random weights, as `save index` exports it into the
archive. With `--keep` archives stay in a folder and are not made again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("LANCEDB_LOG", "error")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command sets it, before numpy is imported

import numpy as np

from benchmarks.made_archive import CLIPS_PER_VIDEO, MadeWorld, clip_id, fused, kept_archive, kept_folder
from savecli.archive.store import Archive, open_archive
from savecli.archive.tables import sql_in
from savecli.search.filters import Filters
from savecli.search.query import Request, search_videos

WARM_QUERIES = 100
COLD_RUNS = 7
FILTERS = {
    "no filter": Filters(),
    "--in folder7 (2 % of the videos)": Filters(inside=("folder7",)),
    "--in 'folder1*' (22 %)": Filters(inside=("folder1*/*",)),
    "--not-in folder7": Filters(outside=("folder7",)),
    "--shorter 30s (nothing)": Filters(shorter_s=30),
    "--longer 30s (everything)": Filters(longer_s=30),
}
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


def timed(action: Callable[[], object], runs: int = COLD_RUNS) -> list[float]:
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


def warm_times(folder: Path, num_clips: int) -> Rows:
    """Different queries, one after the other, in a process that has everything open."""
    archive, world = open_archive(folder), MadeWorld(num_clips)
    vectors = world.queries(WARM_QUERIES)
    texts = _spoken(archive, world.num_clips)
    rows: Rows = []
    for name, filters in FILTERS.items():
        times = []
        for text, vector in zip(texts, vectors, strict=True):
            request = Request(text=text, show_all=True, filters=filters)
            times += timed(lambda: search_videos(archive, request, encode_text=lambda _: vector[None]), runs=1)  # noqa: B023
        rows.append((f"warm: words + vectors, {name}", times))
    encoder = archive.manifest.encoder
    archive.manifest = replace(archive.manifest, encoder=None)
    alone = [timed(lambda: search_videos(archive, Request(text=text, show_all=True)), runs=1) for text in texts]  # noqa: B023
    archive.manifest = replace(archive.manifest, encoder=encoder)
    phrases = [Request(text=text, is_phrase=True) for text in texts]
    exact = [timed(lambda: search_videos(archive, request), runs=1) for request in phrases]  # noqa: B023
    return [*rows, ("warm: words alone", [time for (time,) in alone]), ("warm: phrase", [time for (time,) in exact])]


def _spoken(archive: Archive, num_clips: int) -> list[str]:
    """Three neighbouring words of as many clips as there are queries: some rare, some in every second clip."""
    rng = np.random.default_rng(4)
    wanted = {clip_id(int(number)) for number in rng.integers(num_clips, size=2 * WARM_QUERIES)}
    rows = archive.clips.search().where(sql_in("clip_id", wanted)).select(["text"]).to_list()[:WARM_QUERIES]
    return [" ".join(row["text"].split()[10:13]) for row in rows]


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


def size_on_disk(folder: Path) -> int:
    """Bytes of all files that the present version needs, but for the encoder's text side, which does not grow."""
    archive = open_archive(folder)
    for name in archive.table_names():
        archive.open_table(name).optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.parent.name.startswith("text_")]
    return sum(path.stat().st_size for path in files)


def measure(folder: Path, num_clips: int, encoder: str) -> None:
    archive = made_archive(folder, num_clips, encoder)
    print(f"\n{num_clips:,} clips, {num_clips // CLIPS_PER_VIDEO:,} videos")
    print(f"  on disk, per clip: {size_on_disk(archive.folder) / num_clips:.0f} bytes (without the text side)")
    words = _spoken(archive, num_clips)[0]
    # A process of its own: this one has loaded torch to make the text side, which no process that queries does.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own:
        warm = own.submit(warm_times, archive.folder, num_clips).result()
    print(f"  {'':<54} {'median':>9} {'p95':>9}")
    for name, times in [*warm, *cold_times(archive, words, words)]:
        print(f"  {name:<54} {np.median(times):6.1f} ms {np.percentile(times, 95):6.1f} ms", flush=True)


def made_archive(folder: Path, num_clips: int, encoder: str) -> Archive:
    """One with the text side of an encoder, a folder."""
    from savecli.archive.encoder import encoder_record, load_text_encoder, resolve_encoder
    from savecli.archive.text_side import keep_text_side
    from savecli.model.hub import Hub

    hub = Hub(offline=True)
    record = encoder_record(resolve_encoder(encoder, hub=hub))
    archive = kept_archive(folder, num_clips, fused(record))
    keep_text_side(archive.folder, record, lambda: load_text_encoder(record, hub=hub).branch)
    return archive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    from benchmarks.random_clip import make_random_clip

    with kept_folder(options.keep) as folder:
        encoder = make_random_clip(folder / "clip")
        for num_clips in options.clips:
            measure(folder, num_clips, encoder)


if __name__ == "__main__":
    main()

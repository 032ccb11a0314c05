"""What `save index` takes when there is little to do, from the shell.

    python -m benchmarks.reindex_speed [--keep FOLDER]

- 10,000 files that have not changed, one clip each;
- one video of a minute added to an archive of 1,000,000 clips, and then a query that must see it. Beside it the same
  video added to an archive of one video: what loading and running the encoder take, a ViT-B/32 with random weights.

The large archive is that of `benchmarks/made_archive.py`; with `--keep` one that `query_speed` has left is used.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

os.environ.setdefault("LANCEDB_LOG", "error")

from benchmarks.made_archive import MadeWorld, fused, kept_archive, kept_folder
from benchmarks.random_clip import make_random_clip
from savecli.archive.create import create_archive
from savecli.archive.encoder import encoder_record, resolve_encoder
from savecli.archive.manifest import EncoderRecord
from savecli.archive.paths import stored_path
from savecli.archive.schema import CLIPS, ClipRow, VideoRow, clip_to_dict
from savecli.archive.upkeep import finish
from savecli.core.records import ClipEmbedding
from savecli.model.hub import Hub
from tests.make_media import make_video

NUM_FILES = 10_000
RUNS = 3
SPOKEN = "the quokka borrowed a theodolite"


def shell_s(*arguments: str | Path) -> float:
    """Seconds of a whole command, which must do what it is asked."""
    started = time.perf_counter()
    done = subprocess.run([Path(sys.executable).parent / "save", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"save {' '.join(map(str, arguments))}: {done.stderr}")
    return time.perf_counter() - started


def archive_of_files(folder: Path, videos: Path, record: EncoderRecord) -> None:
    """An archive in which every file of a folder of small files is indexed."""
    archive = create_archive(folder)
    archive.set_manifest(replace(archive.manifest.with_root(videos, is_offline=False), encoder=record))
    vectors = archive.make_vector_table(record)
    assert vectors is not None
    pooled = MadeWorld(NUM_FILES).clips(0, NUM_FILES).pooled
    rows, clips = [], []
    for number in range(NUM_FILES):
        path = videos / f"{number % 100}" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big"))
        stat = path.stat()
        rows.append(
            VideoRow(
                path=stored_path(path),
                video_id=f"{number:064x}",
                root=stored_path(videos),
                title=path.stem,
                size_bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                duration_s=10.0,
                num_clips=1,
            )
        )
        clips.append(ClipRow(rows[-1].video_id, 0, 0.0, 10.0, f"clip number {number}"))
    archive.add_vectors(clips, [ClipEmbedding(vector, vector[None], frame_s=np.zeros(1)) for vector in pooled], vectors)
    archive.clips.add(pa.Table.from_pylist([clip_to_dict(clip) for clip in clips], schema=CLIPS))
    archive.put_videos(rows)
    finish(archive)


def measure_unchanged(folder: Path, record: EncoderRecord) -> None:
    archive, videos = folder / "files.save", folder / "files"
    for left in (archive, videos):
        shutil.rmtree(left, ignore_errors=True)
    archive_of_files(archive, videos, record)
    shell_s("index", "--archive", archive)  # makes what is missing: text side and calibration
    times = [shell_s("index", "--archive", archive) for _ in range(RUNS)]
    help_s = shell_s("--help")
    print(f"re-index of {NUM_FILES:,} unchanged files: {np.median(times):.2f} s (of it `save --help`: {help_s:.2f} s)")


def measure_addition(folder: Path, large: Path, encoder: str) -> None:
    small = folder / "small.save"
    shutil.rmtree(small, ignore_errors=True)
    first = make_video(folder / "first.mp4", duration_s=20)
    shell_s("index", first, "--archive", small, "--encoder", encoder, "--speech", "subtitles")
    small_s, large_s, seen_s = [], [], []
    for run in range(RUNS):
        number = time.time_ns()
        video = make_video(folder / f"new-{number}.mp4", duration_s=60, scenes=("red", "blue"), audio=None)
        video.with_suffix(".srt").write_text(f"1\n00:00:02,000 --> 00:00:06,000\n{SPOKEN} {number}\n")
        video.write_bytes(video.read_bytes() + number.to_bytes(8, "big"))  # a content of its own
        small_s.append(shell_s("index", video, "--archive", small, "--speech", "subtitles"))
        large_s.append(shell_s("index", video, "--archive", large, "--speech", "subtitles"))
        started = time.perf_counter()
        command = [Path(sys.executable).parent / "save", "query", f"{SPOKEN} {number}", "--archive", large, "--json"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["videos"][0]["path"]
        assert Path(found) == video, f"run {run}: {found}"
        seen_s.append(time.perf_counter() - started)
    print(f"one video of 60 s added to 1 video:         {np.median(small_s):.2f} s")
    print(f"the same video added to the large archive:  {np.median(large_s):.2f} s")
    print(f"  more than that:                           {np.median(large_s) - np.median(small_s):.2f} s")
    print(f"a query from the shell that sees it:        {np.median(seen_s):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with kept_folder(options.keep) as folder:
        encoder = make_random_clip(folder / "clip")
        record = encoder_record(resolve_encoder(encoder, hub=Hub(offline=True)))
        measure_unchanged(folder, record)
        measure_addition(folder, kept_archive(folder, options.clips, fused(record)).folder, encoder)


if __name__ == "__main__":
    main()

"""How fast frames and sound come out of 1080p files: `python -m benchmarks.frame_speed [FOLDER]`.

Prints times realtime (seconds of video per second of processor time, all threads and children counted) for each way
to get 1.2 frames a second with a short side of 224 pixels, and the ratio to decoding everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from benchmarks.media import benchmark_media
from savecli.core.records import Frame
from savecli.media.audio import read_audio
from savecli.media.container import open_media, video_stream
from savecli.media.frames import read_frames
from savecli.media.plain import plain_frames
from savecli.media.probe import measured_duration_s
from savecli.media.source import open_pictures

SHORT_SIDE = 224
FRAMES_PER_S = 1.2
DURATION_S = 24.0
NUM_ROUNDS = 3

Way = Callable[[Path, list[float]], Iterator[Frame]]


def planned(path: Path, times_s: list[float]) -> Iterator[Frame]:
    """The product's reader."""
    return read_frames(path, times_s, short_side=SHORT_SIDE)


def everything(path: Path, times_s: list[float]) -> Iterator[Frame]:
    """Decode every frame, scale the wanted ones."""
    with open_pictures(path, short_side=SHORT_SIDE, num_threads=1) as source:
        yield from plain_frames(source, times_s)


def seek_each(path: Path, times_s: list[float]) -> Iterator[Frame]:
    """Seek to the key frame before each wanted frame and decode up to it."""
    with open_pictures(path, short_side=SHORT_SIDE, num_threads=1) as source:
        for time_s in times_s:
            source.seek(max(time_s - 0.5, 0.0))
            yield from plain_frames(source, [time_s])


def key_frames(path: Path, times_s: list[float]) -> Iterator[Frame]:
    """Key frames only: fast, and seconds off."""
    with open_pictures(path, short_side=SHORT_SIDE, num_threads=1) as source:
        source.context.skip_frame = "NONKEY"
        yield from plain_frames(source, times_s)


def ffmpeg_program(path: Path, times_s: list[float]) -> Iterator[Frame]:
    """The ffmpeg program with its fps and scale filters, one thread, raw pictures through a pipe."""
    width = round(SHORT_SIDE * 16 / 9)
    filters = f"fps={FRAMES_PER_S},scale={width}:{SHORT_SIDE}:flags=bicubic"
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", os.fspath(path), "-vf", filters, "-filter_threads", "1"]
    output = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    pictures = np.frombuffer(output.stdout, np.uint8).reshape(-1, SHORT_SIDE, width, 3)
    return (Frame(time_s, pixels) for time_s, pixels in zip(times_s, pictures, strict=False))


WAYS: dict[str, Way] = {
    "planned": planned,
    "everything": everything,
    "seek each": seek_each,
    "key frames": key_frames,
    "ffmpeg": ffmpeg_program,
}


def processor_s() -> float:
    """Processor time of this process and its finished children."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def measured(path: Path, way: Way, times_s: list[float]) -> tuple[float, float, list[Frame]]:
    """Processor seconds, wall seconds and the frames of one run."""
    processor, wall = processor_s(), time.perf_counter()
    frames = list(way(path, times_s))
    return processor_s() - processor, time.perf_counter() - wall, frames


def are_same(frames: list[Frame], others: list[Frame]) -> bool:
    """Whether both ways gave the same pictures at the same times."""
    return len(frames) == len(others) and all(
        one.time_s == other.time_s and np.array_equal(one.pixels, other.pixels)
        for one, other in zip(frames, others, strict=True)
    )


def compare_ways(name: str, path: Path) -> None:
    """Print one line of the table."""
    duration_s = measured_duration_s(path)
    times_s = [(n + 0.5) / FRAMES_PER_S for n in range(int(duration_s * FRAMES_PER_S))]
    best: dict[str, float] = {}
    walls: dict[str, float] = {}
    frames: dict[str, list[Frame]] = {}
    # Round by round, so that a busy neighbour slows all ways alike.
    for _ in range(NUM_ROUNDS):
        for way_name, way in WAYS.items():
            if way is ffmpeg_program and shutil.which("ffmpeg") is None:
                continue
            processor, wall, frames[way_name] = measured(path, way, times_s)
            best[way_name] = min(processor, best.get(way_name, processor))
            walls[way_name] = min(wall, walls.get(way_name, wall))
    cells = [f"{duration_s / best[way_name]:10.1f}x" if way_name in best else f"{'–':>11}" for way_name in WAYS]
    ratio, wall_ratio = best["everything"] / best["planned"], walls["everything"] / walls["planned"]
    same = "same" if are_same(frames["planned"], frames["everything"]) else "DIFFERENT"
    print(f"{name:18}{''.join(cells)}{ratio:9.2f}{wall_ratio:9.2f}  {same}", flush=True)


def compare_sound(path: Path) -> None:
    """Print the speed of sound alone and of reading packets; opening the file is measured apart."""
    duration_s = measured_duration_s(path)

    def best_s(work: Callable[[], object]) -> float:
        spent = []
        for _ in range(NUM_ROUNDS):
            start = processor_s()
            for _ in range(10):
                work()
            spent.append((processor_s() - start) / 10)
        return min(spent)

    def opened() -> None:
        with open_media(path):
            pass

    def demuxed() -> None:
        with open_media(path) as container:
            for _ in container.demux(video_stream(container)):
                pass

    opening_s = best_s(opened)
    sound_s = best_s(lambda: list(read_audio(path))) - opening_s
    demux_s = max(best_s(demuxed) - opening_s, 0.001)
    print(
        f"sound to 16 kHz mono: {duration_s / sound_s:.0f}x, packets only: {duration_s / demux_s:.0f}x, "
        f"opening a file: {1000 * opening_s:.0f} ms (not in these two)"
    )


def main() -> None:
    """Measure every sample."""
    media = benchmark_media(Path(sys.argv[1]) if len(sys.argv) > 1 else None, duration_s=DURATION_S)
    print(f"1080p30, {DURATION_S:g} s, {FRAMES_PER_S} frames a second, short side {SHORT_SIDE}, one decoder thread, ")
    print(f"PyAV {av.__version__}; times realtime of processor time, best of {NUM_ROUNDS}; planned / everything: ratio")
    print(f"{'':18}{''.join(f'{name:>11}' for name in WAYS)}{'cpu':>9}{'wall':>9}  pictures")
    for name, path in media.items():
        compare_ways(name, path)
    compare_sound(next(iter(media.values())))


if __name__ == "__main__":
    main()

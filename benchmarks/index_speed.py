"""How fast a folder is indexed, against each of its stages alone: `python -m benchmarks.index_speed`.

Makes 1080p H.264 with long and short groups of pictures and with sound, cut into several files, and prints times
realtime (seconds of video per second of wall time) of

    decode     clips with their frames, read by as many threads as the pipeline has
    CLIP       frames of clips to vectors (ViT-B/32, random weights: the speed is the same)
    sound      the whole waveform at 16 kHz
    pipeline   `run_index` from files to committed rows, sidecar words, tables on disk

and the pipeline's share of its slowest stage, and of what two stages that compete for the same processors can reach
at best: 1 / (1 / decode + 1 / CLIP).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("LANCEDB_LOG", "error")

from benchmarks.media import benchmark_media
from benchmarks.random_clip import make_random_clip
from savecli.archive.create import create_archive
from savecli.archive.encoder import encoder_record, load_encoder, resolve_encoder
from savecli.archive.executors import ThreadExecutor
from savecli.archive.plan import plan_index
from savecli.archive.run import run_index
from savecli.core.encoder import Encoder
from savecli.core.progress import NoProgress
from savecli.core.records import NO_SPEECH, ClipInput, Transcript, VideoInfo
from savecli.media.audio import read_audio
from savecli.media.clips import read_clips
from savecli.media.probe import probe_video
from savecli.media.scan import find_videos
from savecli.model.hub import Hub

NUM_COPIES = 4  # of each kind, so that decoding threads never run dry early


class Silent:
    """No speech: its recognition has a cost of its own (benchmarks/RESULTS.md)."""

    def transcribe(self, info: VideoInfo) -> Transcript:
        return NO_SPEECH


@dataclass(frozen=True)
class Timing:
    """Wall seconds for so many seconds of video."""

    wall_s: float
    video_s: float

    @property
    def realtime(self) -> float:
        return self.video_s / self.wall_s


def timed(action: Callable[[], object], video_s: float) -> Timing:
    started = time.perf_counter()
    action()
    return Timing(time.perf_counter() - started, video_s)


def lay_out(folder: Path, duration_s: float) -> list[Path]:
    """Copies that differ in their last bytes, as two files of the same content are indexed once."""
    made = benchmark_media(duration_s=duration_s)
    paths = []
    for name in ("H.264, GOP 250", "H.264, GOP 60"):
        for number in range(NUM_COPIES):
            path = folder / f"{made[name].stem}-{number}.mp4"
            free_box = (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
            path.write_bytes(made[name].read_bytes() + free_box)
            paths.append(path)
    return paths


def decode(infos: Sequence[VideoInfo], encoder: Encoder, jobs: int) -> None:
    def clips(info: VideoInfo) -> Iterator[ClipInput]:
        return read_clips(info, needs=encoder.needs)

    for _ in ThreadExecutor(jobs, max_ahead=8).run(infos, clips):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of each file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = folder / "videos"
        videos.mkdir()
        hub = Hub(offline=True)
        choice = resolve_encoder(make_random_clip(folder / "clip"), hub=hub)
        encoder = load_encoder(choice, hub=hub, device=options.device)
        infos = [probe_video(path) for path in lay_out(videos, options.seconds)]
        video_s = sum(info.duration_s for info in infos)
        inputs = list(read_clips(infos[0], needs=encoder.needs))
        encoder.encode_clips(inputs[:1])

        def encode() -> None:
            for start in range(0, len(inputs), encoder.batch_size):
                encoder.encode_clips(inputs[start : start + encoder.batch_size])

        def index() -> None:
            archive = create_archive(folder / "speed.save")
            scan = find_videos([videos])
            run_index(
                archive,
                plan_index(scan, [videos], []),
                encoder=encoder,
                vectors=archive.make_vector_table(encoder_record(choice)),
                transcriber=Silent(),
                executor=ThreadExecutor(options.jobs, max_ahead=options.jobs + 2 * encoder.batch_size),
                progress=NoProgress(),
            )

        stages = {
            "decode": timed(lambda: decode(infos, encoder, options.jobs), video_s),
            "CLIP": timed(encode, infos[0].duration_s),
            "sound": timed(lambda: [None for info in infos for _ in read_audio(info.path)], video_s),
        }
        pipeline = timed(index, video_s)
    print(
        f"{len(infos)} files, {video_s:.0f} s of 1080p30 H.264, {options.jobs} decoding threads, {os.cpu_count()} cores"
    )
    for stage, timing in {**stages, "pipeline": pipeline}.items():
        print(f"{stage:<9} {timing.realtime:8.1f} x realtime")
    slowest = min(stages["decode"].realtime, stages["CLIP"].realtime)
    together = 1 / (1 / stages["decode"].realtime + 1 / stages["CLIP"].realtime)
    print(f"pipeline / slowest stage alone                      {pipeline.realtime / slowest:.2f}")
    print(f"pipeline / both stages on the same processors       {pipeline.realtime / together:.2f}")


if __name__ == "__main__":
    main()

"""How fast CLIP encodes on this machine: number formats, batch sizes, threads. Random weights: the speed is the same.

python -m benchmarks.encode_speed
python -m benchmarks.encode_speed --device cuda --clips 8 32 128
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.random_clip import make_random_clip
from savecli.archive.clip_encoder import ClipEncoder, load_clip_encoder
from savecli.archive.encoder import FRAMES_PER_CLIP, resolve_encoder
from savecli.core.records import ClipInput, Frame, Span
from savecli.model.hub import Hub
from savecli.model.precision import Precision, choose_device, choose_precision

SPEECH = "and so he explained to everybody in the room what had been seen on that day by the river, " * 2
QUERY = "a man explaining a rare disease"


def seconds(function: Callable[[], object], *, repeats: int) -> float:
    """The shortest of some runs, after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def random_clips(number: int, *, height: int = 224, width: int = 398, speech: str = "") -> list[ClipInput]:
    """Clips as the frame reader gives them: the shorter side already that of the model."""
    pixels = np.random.default_rng(0).integers(0, 256, (FRAMES_PER_CLIP, height, width, 3), dtype=np.uint8)
    frames = tuple(Frame(float(idx), picture) for idx, picture in enumerate(pixels))
    return [ClipInput(Span(0.0, 10.0), frames, speech) for _ in range(number)]


def measure(encoder: ClipEncoder, exact: list[np.ndarray], *, clips: list[int], repeats: int) -> None:
    """Print a line per batch size, then one for text."""
    threads = torch.get_num_threads()
    cosine = min(
        float(ours.pooled @ theirs) for ours, theirs in zip(encoder.encode_clips(random_clips(1)), exact, strict=True)
    )
    for number in clips:
        given = random_clips(number)
        took_s = seconds(lambda given=given: encoder.encode_clips(given), repeats=repeats)
        print(
            f"{encoder.precision:<7} {threads:>7}  {number:>5}  {number * FRAMES_PER_CLIP / took_s:>8.1f}"
            f"  {number / took_s:>7.2f}  {cosine:.6f}",
            flush=True,
        )
    query_s = seconds(lambda: encoder.encode_text([QUERY]), repeats=repeats * 3)
    speech_s = seconds(lambda: encoder.encode_text([SPEECH] * 16), repeats=repeats)
    print(f"{encoder.precision:<7} {threads:>7}  one query {1000 * query_s:.1f} ms, speech {16 / speech_s:.1f} texts/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", default="clip", help="an encoder spelling (default: ViT-B-32/openai)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 4, 8], help="batch sizes, in clips of 12 frames")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    formats: tuple[Precision, ...] = ("fp32", "medium", "bf16") if device.type == "cpu" else ("fp32", "bf16")
    print(f"{arguments.like} on {device}; chosen here: {choose_precision(device)}")
    print("format  threads  clips  frames/s  clips/s  cosine to fp32")
    with tempfile.TemporaryDirectory() as folder:
        spec = make_random_clip(Path(folder), like=arguments.like)
        source = resolve_encoder(spec, hub=Hub(offline=True)).clip
        assert source is not None
        exact: list[np.ndarray] = []
        for precision in formats:
            encoder = load_clip_encoder(
                source, device=arguments.device, precision=precision, batch_size=max(arguments.clips)
            )
            exact = exact or [embedding.pooled for embedding in encoder.encode_clips(random_clips(1))]
            for threads in arguments.threads if device.type == "cpu" else [torch.get_num_threads()]:
                torch.set_num_threads(threads)
                measure(encoder, exact, clips=arguments.clips, repeats=arguments.repeats)


if __name__ == "__main__":
    main()

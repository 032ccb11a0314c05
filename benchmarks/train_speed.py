"""How fast training goes from video files and from the cache, how long a step waits for its data, and how many clips a
second the readers can deliver to a faster device.

Clips as MSR-VTT has them (15 s, 320 × 240, 30 frames a second, with sound), random weights, the published recipe.

python -m benchmarks.train_speed
python -m benchmarks.train_speed --device cuda --batch 128 --steps 20 --readers 12
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.locate import locate
from savecli.media.write import write_clip
from savecli.model.build import build_model
from savecli.model.config import ModelConfig
from savecli.model.precision import Precision, choose_device, choose_precision
from savecli.model.presets import find_preset
from savecli.model.save_model import SaveModel
from savecli.training.batches import Collator, on_device
from savecli.training.cache import CacheSource
from savecli.training.config import TrainConfig
from savecli.training.files import FileSource
from savecli.training.loader import PairReader, ahead
from savecli.training.order import all_pairs
from savecli.training.prepare import prepare_cache
from savecli.training.records import ClipSource
from savecli.training.start import prepare_for_training
from savecli.training.step import backward
from savecli.training.updates import Updates
from savecli.training.workers import Workers

# The whole MSR-VTT-9k run of the paper; and what a large bf16 matrix product reaches on an H200, of 989 TFLOP/s on
# paper, times the share of it that training is meant to reach: assumptions, not measurements.
PAIRS_OF_A_RUN = 180_000 * 5
ASSUMED_GPU_RATE = 0.35 * 700e12


@dataclass(frozen=True)
class Timing:
    """Of one step, on average; seconds."""

    step_s: float
    wait_s: float


def made_dataset(folder: Path, num_clips: int) -> Dataset:
    """Clips of moving texture and changing tones; those that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    clips = []
    for number in range(num_clips):
        path = folder / f"video{number}.mp4"
        coarse = rng.integers(0, 255, (48, 96, 3)).astype(np.uint8)
        texture = np.kron(coarse, np.ones((10, 10, 1), np.uint8))
        if not path.exists():
            frames = np.stack([texture[120:360, n % 480 : n % 480 + 320] for n in range(450)])
            time_s = np.arange(15 * 16000) / 16000
            tone = 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * time_s).astype(np.float32)
            write_clip(path, frames, 30, tone, 16000)
        clips.append(DatasetClip(path.stem, (Caption(f"texture number {number} moves to the left"),), path.stem))
    return Dataset("msrvtt-9k", Split("train", tuple(clips)), None, None, video_folders=(folder,))


def timed(
    model: SaveModel,
    config: ModelConfig,
    source: ClipSource,
    dataset: Dataset,
    *,
    batch: int,
    steps: int,
    readers: int,
    device: torch.device,
    precision: Precision,
) -> Timing:
    """The mean step after the first two, which warm up."""
    assert dataset.train is not None
    pairs = all_pairs(dataset.train.clips)
    reader = PairReader(source, Collator(config), pairs, is_pinned=device.type == "cuda")
    updates = Updates(model, TrainConfig().optim, num_steps=1000)
    rng = np.random.default_rng(0)
    batches = [rng.choice(len(pairs), batch, replace=batch > len(pairs)).tolist() for _ in range(steps + 2)]
    waits, times = [], []
    start_s = time.perf_counter()
    for item in ahead(reader.batch, batches, num_threads=readers):
        waits.append(time.perf_counter() - start_s)
        moved = on_device(item, config, device)
        backward(model, moved, chunk_size=batch, precision=precision, workers=Workers())
        updates.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start_s)
        start_s = time.perf_counter()
    return Timing(float(np.mean(times[2:])), float(np.mean(waits[2:])))


def readers_alone(
    config: ModelConfig, source: ClipSource, dataset: Dataset, *, batch: int, batches: int, readers: int
) -> float:
    """Clips a second that are read and collated when no step uses the processor: training cannot be faster."""
    assert dataset.train is not None
    pairs = all_pairs(dataset.train.clips)
    reader = PairReader(source, Collator(config), pairs)
    rng = np.random.default_rng(0)
    places = [rng.choice(len(pairs), batch, replace=batch > len(pairs)).tolist() for _ in range(batches)]
    start_s = time.perf_counter()
    for _ in ahead(reader.batch, places, num_threads=readers):
        pass
    return batch * batches / (time.perf_counter() - start_s)


def flops_of_a_pair(
    model: SaveModel, config: ModelConfig, source: ClipSource, dataset: Dataset, *, batch: int
) -> float:
    """Of a training step, divided by its pairs."""
    assert dataset.train is not None
    clips = dataset.train.clips[:batch]
    device = next(model.parameters()).device
    held = Collator(config).batch([source.read(clip) for clip in clips], [clip.captions[0].text for clip in clips])
    with FlopCounterMode(display=False) as counter:
        backward(model, on_device(held, config, device), chunk_size=batch, precision="fp32", workers=Workers())
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) / len(clips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="save")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--reads", type=int, default=20, help="batches that are read to see how fast readers are alone")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=("fp32", "medium", "bf16"), help="default: the device's fastest")
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = choose_device(arguments.device)
    precision: Precision = arguments.precision or choose_precision(device)
    config = find_preset(arguments.preset)
    config = replace(config, loss=replace(config.loss, alignment=None))
    folder = Path(tempfile.gettempdir()) / "save-benchmark-clips"
    dataset = made_dataset(folder, arguments.clips)
    located = locate(dataset)
    model = build_model(config).to(device)
    prepare_for_training(model, TrainConfig())
    speech = {clip.clip_id: "a few words are said" for clip in dataset.splits[0].clips}
    files = FileSource(located.paths, config, speech=speech)
    with tempfile.TemporaryDirectory() as cache:
        start_s = time.perf_counter()
        prepare_cache(dataset, located, config, Path(cache), audio_branch=model.audio, speech=speech)
        prepared_s = time.perf_counter() - start_s
        kept = CacheSource(Path(cache), config, paths=located.paths, files=files, speech=speech, audio=model.audio)
        print(
            f"{config.name}, batch {arguments.batch}, {device}, {precision}, {arguments.threads} threads, "
            f"{arguments.readers} readers; cache filled at {arguments.clips / prepared_s:.2f} clips/s"
        )
        rows: dict[str, Timing] = {}
        for name, source in (("video files", files), ("cache", kept)):
            rows[name] = timed(
                model,
                config,
                source,
                dataset,
                batch=arguments.batch,
                steps=arguments.steps,
                readers=arguments.readers,
                device=device,
                precision=precision,
            )
            found = rows[name]
            delivered = readers_alone(
                config, source, dataset, batch=arguments.batch, batches=arguments.reads, readers=arguments.readers
            )
            print(
                f"{name:<12} {found.step_s:7.3f} s a step  {arguments.batch / found.step_s:7.2f} clips/s"
                f"  waiting for data {100 * found.wait_s / found.step_s:5.2f} %"
                f"  readers alone {delivered:8.2f} clips/s",
                flush=True,
            )
        flops = flops_of_a_pair(model, config, kept, dataset, batch=min(4, arguments.batch))
    print(f"cache / video files: {rows['video files'].step_s / rows['cache'].step_s:.2f} times as many clips a second")
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB resident")
    if device.type == "cuda":
        print(f"on the GPU: {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB")
    rate = arguments.batch / rows["cache"].step_s
    print(f"MSR-VTT-9k, 900,000 pairs: {PAIRS_OF_A_RUN / rate / 3600:.1f} h at this rate on this machine")
    projected_min = PAIRS_OF_A_RUN * flops / ASSUMED_GPU_RATE / 60
    print(f"{flops / 1e9:.0f} GFLOP a pair: {projected_min:.0f} min at 35 % of 700 TFLOP/s (assumed, not measured)")


if __name__ == "__main__":
    main()

"""How fast a model of the SAVE family encodes and trains here, branch by branch. Random weights: the speed is the same.

python -m benchmarks.model_speed
python -m benchmarks.model_speed --device cuda --batch 128 --repeats 10
python -m benchmarks.model_speed --precision fp32 --threads 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from savecli.model.build import build_model
from savecli.model.config import ModelConfig
from savecli.model.precision import Precision, choose_device, choose_precision
from savecli.model.presets import PRESETS, find_preset
from savecli.model.records import TeacherVectors, VideoInputs
from savecli.model.save_model import SaveModel

TEACHER_WIDTH = 1024

# Sides of the square matrices whose product is this machine's honest best.
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Machine:
    """Where and in which numbers everything is computed."""

    device: torch.device
    precision: Precision
    repeats: int

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Products in the chosen format, with gradients unless the caller forbids them."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium" if self.precision == "medium" else "highest")
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    def seconds(self, function: Callable[[], object]) -> float:
        """The shortest of some runs, after one that does not count."""
        times = []
        for _ in range(self.repeats + 1):
            self._wait()
            start = time.perf_counter()
            function()
            self._wait()
            times.append(time.perf_counter() - start)
        return min(times[1:])

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Batch:
    """Random inputs of one step."""

    inputs: VideoInputs
    captions: torch.Tensor
    teacher: TeacherVectors


def random_batch(config: ModelConfig, clips: int, device: torch.device) -> Batch:
    """Full clips: every frame real, sound everywhere, texts up to the last token."""
    shape, vocabulary = config.inputs, config.clip.model["text_cfg"]["vocab_size"]
    size = config.clip.pixels.image_size

    def texts(length: int) -> torch.Tensor:
        tokens = torch.randint(1, vocabulary - 1, (clips, length), device=device)
        tokens[:, -1] = vocabulary - 1
        return tokens

    sound = None
    if config.audio is not None:
        sound = torch.randn(clips, config.audio.num_rows, config.audio.num_mel_bins, device=device)
    inputs = VideoInputs(
        pixels=torch.randn(clips, shape.num_frames, 3, size, size, device=device),
        frame_mask=torch.ones(clips, shape.num_frames, dtype=torch.bool, device=device),
        sound=sound,
        speech=texts(shape.speech_tokens) if config.has_speech else None,
    )
    teacher = TeacherVectors(*(torch.randn(clips, TEACHER_WIDTH, device=device) for _ in range(2)))
    return Batch(inputs, texts(shape.caption_tokens), teacher)


def with_kept_tokens(model: SaveModel, batch: Batch, machine: Machine) -> Batch:
    """The same batch with what the frozen audio encoder makes of its sound, as a cache gives it."""
    assert model.audio is not None
    assert batch.inputs.sound is not None
    with torch.no_grad(), machine.computing():
        kept = model.audio.encoder(batch.inputs.sound).unsqueeze(1)
    return Batch(batch.inputs._replace(sound=None, sound_tokens=kept), batch.captions, batch.teacher)


def branches(model: SaveModel, batch: Batch) -> dict[str, Callable[[], torch.Tensor]]:
    """Each part of the model alone, on the inputs it gets within a step; the head begins at fresh leaves."""
    inputs = batch.inputs
    with torch.no_grad():
        features = model.features(inputs)
    parts: dict[str, Callable[[], torch.Tensor]] = {
        "vision": lambda: model.vision.features(inputs.pixels.flatten(0, 1)),
        "captions": lambda: model.text.features(batch.captions),
    }
    audio, sound, speech = model.audio, inputs.sound, inputs.speech
    if speech is not None:
        parts["speech"] = lambda: model.text.token_features(speech)
    if audio is not None and sound is not None:
        parts["audio"] = lambda: audio(sound)

    def head() -> torch.Tensor:
        leaf = features._replace(frames=features.frames.detach().requires_grad_(torch.is_grad_enabled()))
        return model.head(leaf).pooled  # type: ignore[no-any-return]

    parts["fusion"] = head
    return parts


def report(
    machine: Machine, model: SaveModel, batch: Batch, title: str, *, peak: float, train: bool, parts: bool = True
) -> None:
    """Print time, clips per second and FLOP/s of a whole pass, and each branch's share of the branches' sum."""
    model.train(train)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=machine.device.type in ("cpu", "cuda"))

    def whole() -> None:
        with torch.set_grad_enabled(train), machine.computing():
            if not train:
                video = model.encode_video(batch.inputs)
                model.similarity(model.encode_text(batch.captions), video)
                return
            loss = model(batch.inputs, batch.captions, batch.teacher).losses.total
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    took_s = machine.seconds(whole)
    with FlopCounterMode(display=False) as counter:
        whole()
    rate = counter.get_total_flops() / took_s
    clips = len(batch.captions)
    print(
        f"{title:<34} {took_s:8.3f} s  {clips / took_s:8.2f} clips/s  {rate / 1e12:8.3f} TFLOP/s"
        f"  {100 * rate / peak:5.1f} % of a matrix product",
        flush=True,
    )
    if parts:
        times = {
            name: machine.seconds(alone(machine, part, train=train)) for name, part in branches(model, batch).items()
        }
        optimizer.zero_grad(set_to_none=True)
        total = sum(times.values())
        shares = "  ".join(f"{name} {100 * part / total:.0f} % ({part:.3f} s)" for name, part in times.items())
        print(f"  of which {shares}", flush=True)


def alone(machine: Machine, part: Callable[[], torch.Tensor], *, train: bool) -> Callable[[], None]:
    """One branch, forward and where it is trained backward."""

    def run() -> None:
        with torch.set_grad_enabled(train), machine.computing():
            out = part().sum()
        if train:
            out.backward()

    return run


def matrix_rate(machine: Machine) -> float:
    """FLOP/s of a large matrix product in the chosen format."""
    side = MATRIX_SIDE.get(machine.device.type, 2048)
    left, right = (torch.randn(side, side, device=machine.device) for _ in range(2))
    if machine.precision == "bf16":
        left, right = left.bfloat16(), right.bfloat16()
    with torch.no_grad(), machine.computing():
        return 2 * side**3 / machine.seconds(lambda: left @ right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="save", help=f"one of {', '.join(PRESETS)} (default: save)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=("fp32", "medium", "bf16"), help="default: what an index run would take")
    parser.add_argument("--batch", type=int, help="clips of a step (default: 4 on a CPU, 128 on a GPU)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="compile the towers with torch.compile first")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = choose_device(arguments.device)
    machine = Machine(device, arguments.precision or choose_precision(device), arguments.repeats)
    clips = arguments.batch or (128 if device.type == "cuda" else 4)
    config = find_preset(arguments.preset)
    model = build_model(config).to(device)
    model.freeze_as_published()
    if arguments.compile:
        model.vision.tower.compile()
        if model.audio is not None:
            model.audio.encoder.compile()
    batch = random_batch(config, clips, device)
    peak = matrix_rate(machine)
    print(
        f"{config.name}, {clips} clips of {config.inputs.num_frames} frames on {device}, {machine.precision},"
        f" {arguments.threads} threads, torch {torch.__version__}; matrix product {peak / 1e12:.3f} TFLOP/s"
    )
    report(machine, model, batch, "forward", peak=peak, train=False)
    report(machine, model, batch, "training step", peak=peak, train=True)
    if model.audio is not None:
        kept = with_kept_tokens(model, batch, machine)
        report(machine, model, kept, "forward, audio tokens kept", peak=peak, train=False, parts=False)
        report(machine, model, kept, "training step, audio tokens kept", peak=peak, train=True)


if __name__ == "__main__":
    main()

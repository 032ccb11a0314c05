"""Clips of random numbers held in memory, and a reduced model that fits them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from savecli.core.errors import MediaError
from savecli.datasets.base import Caption, DatasetClip, Split
from savecli.model.config import ModelConfig
from savecli.model.presets import find_preset, reduced
from savecli.training.records import ClipArrays

WORDS = [
    "a",
    "dog",
    "runs",
    "over",
    "the",
    "red",
    "grass",
    "while",
    "someone",
    "sings",
    "about",
    "rain",
    "and",
    "trains",
    "in",
    "town",
]


def small_config(preset: str) -> ModelConfig:
    """The preset, reduced, with few frames and tokens."""
    config = reduced(find_preset(preset))
    inputs = replace(config.inputs, num_frames=3, caption_tokens=12, speech_tokens=12)
    return replace(config, name=preset, inputs=inputs)


class MemorySource:
    """Holds the arrays of clips; those that are not there cannot be read."""

    def __init__(self, arrays: dict[str, ClipArrays]) -> None:
        self._arrays = arrays

    def read(self, clip: DatasetClip) -> ClipArrays:
        if clip.clip_id not in self._arrays:
            raise MediaError(f"no clip {clip.clip_id}", why="it is not there")
        return self._arrays[clip.clip_id]


def random_split(
    config: ModelConfig, *, num_clips: int, seed: int = 0, sound: str = "most"
) -> tuple[Split, MemorySource]:
    """Clips with two captions each, whose sound, speech and length vary.

    Args:
        sound: `most` clips have it, only `one`, or `none`.
    """
    rng = np.random.default_rng(seed)
    side, num_frames = config.clip.pixels.image_size, config.inputs.num_frames
    arrays, clips = {}, []
    for number in range(num_clips):
        clip_id = f"clip{number}"
        has_sound = {"most": number % 4 != 1, "one": number == 1, "none": False}[sound] and config.audio is not None
        shape = (1, config.audio.num_rows, config.audio.num_mel_bins) if config.audio else (1, 1, 1)
        arrays[clip_id] = ClipArrays(
            frames=rng.integers(0, 255, (num_frames - number % 2, side, side, 3)).astype(np.uint8),
            sound=rng.normal(size=shape).astype(np.float32) if has_sound else None,
            sound_mask=np.ones(shape[:2], np.bool_) if has_sound else None,
            speech=" ".join(rng.choice(WORDS, 4)) if number % 3 else "",
            teacher_video=rng.normal(size=8).astype(np.float32),
            teacher_audio=rng.normal(size=8).astype(np.float32) if has_sound else None,
        )
        captions = tuple(Caption(" ".join(rng.choice(WORDS, 5)), group) for group in ("vision", "sound"))
        clips.append(DatasetClip(clip_id, captions, clip_id))
    return Split("random", tuple(clips)), MemorySource(arrays)


def random_model_of(config: ModelConfig, *, seed: int = 0) -> torch.nn.Module:
    """A model with random weights whose gates are open."""
    from savecli.model.build import build_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config)
        with torch.no_grad():
            for parameter in model.head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model

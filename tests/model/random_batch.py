"""Reduced models and batches of random clips that fit them."""

from __future__ import annotations

from dataclasses import replace

import torch

from savecli.model.build import build_model
from savecli.model.config import ModelConfig
from savecli.model.presets import find_preset, reduced
from savecli.model.records import TeacherVectors, VideoInputs
from savecli.model.save_model import SaveModel


def random_model(name: str, *, seed: int = 0) -> tuple[SaveModel, ModelConfig]:
    """The preset, reduced, with random weights whose gates are well open, so that what passes them shows."""
    config = replace(reduced(find_preset(name)), name=name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config).eval()
        with torch.no_grad():
            for parameter in model.head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model, config


def random_batch(
    config: ModelConfig, *, clips: int = 4, frames: int = 5, words: int = 12, seed: int = 0
) -> tuple[VideoInputs, torch.Tensor, TeacherVectors]:
    """Clips of different length, of which the second has no sound and the third no speech; captions; a teacher."""
    generator = torch.Generator().manual_seed(seed)
    side = config.clip.pixels.image_size
    rows, bins = (config.audio.num_rows, config.audio.num_mel_bins) if config.audio else (4, 4)
    last = config.clip.model["text_cfg"]["vocab_size"] - 1
    frame_mask = torch.arange(frames) < torch.tensor([frames, 3, 1, frames])[:clips, None]
    pixels = torch.randn(clips, frames, 3, side, side, generator=generator) * frame_mask[:, :, None, None, None]
    sound_mask = torch.arange(clips) != 1
    inputs = VideoInputs(
        pixels=pixels,
        frame_mask=frame_mask,
        sound=torch.randn(clips, rows, bins, generator=generator) * sound_mask[:, None, None],
        sound_mask=sound_mask,
        speech=token_rows([words, 4, 0, 7][:clips], words, last, generator),
    )
    captions = token_rows([5, words, 3, 6][:clips], words, last, generator)
    teacher = TeacherVectors(torch.randn(clips, 8, generator=generator), torch.randn(clips, 8, generator=generator))
    return inputs, captions, teacher


def token_rows(lengths: list[int], width: int, end: int, generator: torch.Generator) -> torch.Tensor:
    """`(N, width)` random token numbers of these lengths, each ending in the mark `end`, then zeros."""
    rows = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        if length:
            row[:length] = torch.randint(1, end, (length,), generator=generator)
            row[length - 1] = end
    return rows

"""Clips and captions to the tensors of one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import ftfy
import numpy as np
import torch

from savecli.features.pixels import normalised_pixels
from savecli.features.tokens import ClipTokenizer, clip_merges
from savecli.model.config import ModelConfig
from savecli.model.records import TeacherVectors, VideoInputs
from savecli.model.teachers import Taught
from savecli.training.records import ClipArrays


class TrainingBatch(NamedTuple):
    """N clips, a caption of each as `(N, L)` token numbers, and what the teacher says of them; None without one."""

    inputs: VideoInputs
    captions: torch.Tensor
    taught: Taught | None

    def part(self, rows: slice) -> TrainingBatch:
        """Some of the pairs."""
        inputs = VideoInputs._make(None if field is None else field[rows] for field in self.inputs)
        return TrainingBatch(inputs, self.captions[rows], None if self.taught is None else _taught_part(self, rows))


class Collator:
    """Makes batches for a model of `config`; tensors lie on the CPU, pixels still as bytes."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._tokenizer = ClipTokenizer(
            clip_merges(),
            repair=ftfy.fix_text,
            min_characters=config.inputs.shortest_text,
            vocabulary_size=config.clip.model["text_cfg"]["vocab_size"],
        )

    def batch(self, clips: Sequence[ClipArrays], captions: Sequence[str]) -> TrainingBatch:
        """A batch of N clips and N captions."""
        return TrainingBatch(self.inputs(clips), self.caption_tokens(captions), _taught(clips))

    def caption_tokens(self, captions: Sequence[str]) -> torch.Tensor:
        """`(N, L)` int64."""
        rows = self._tokenizer.rows(captions, max_tokens=self._config.inputs.caption_tokens)
        return torch.from_numpy(rows.ids)

    def inputs(self, clips: Sequence[ClipArrays]) -> VideoInputs:
        """The clips' tensors, filled up to the longest of them; `pixels` are uint8, see `on_device`.

        Raises:
            ValueError: some clips hold filter banks and others what the audio encoder made of them.
        """
        pixels, frame_mask = _frames(clips, self._config.inputs.num_frames)
        banks, tokens, sound_mask = _sounds(clips) if self._config.audio is not None else (None, None, None)
        speech = speech_mask = None
        if self._config.has_speech and any(clip.speech for clip in clips):
            texts = [clip.speech or None for clip in clips]
            rows = self._tokenizer.rows(texts, max_tokens=self._config.inputs.speech_tokens)
            speech, speech_mask = torch.from_numpy(rows.ids), torch.from_numpy(rows.mask)
        return VideoInputs(pixels, frame_mask, banks, sound_mask, tokens, speech, speech_mask)


def on_device(batch: TrainingBatch, config: ModelConfig, device: torch.device) -> TrainingBatch:
    """The batch there; pixels travel as bytes and are normalised behind the journey."""
    taught = batch.taught
    if taught is not None:
        vectors = TeacherVectors(*(vector.to(device, non_blocking=True) for vector in taught.vectors))
        taught = Taught(vectors, taught.has_audio.to(device, non_blocking=True))
    captions = batch.captions.to(device, non_blocking=True)
    return TrainingBatch(inputs_on_device(batch.inputs, config, device), captions, taught)


def inputs_on_device(inputs: VideoInputs, config: ModelConfig, device: torch.device) -> VideoInputs:
    """The clips there, normalised; padded frames are zeros."""
    moved = VideoInputs._make(None if field is None else field.to(device, non_blocking=True) for field in inputs)
    pixels, mask = moved.pixels, moved.frame_mask
    form = config.clip.pixels
    flat = normalised_pixels(pixels.flatten(0, 1), mean=form.mean, std=form.std)
    flat = flat.masked_fill(~mask.flatten()[:, None, None, None], 0.0)
    return moved._replace(pixels=flat.view(pixels.shape))


def _frames(clips: Sequence[ClipArrays], num_frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, F, 3, S, S)` uint8 and `(B, F)`; always `num_frames` wide, so that every step has the same shape."""
    side = clips[0].frames.shape[1]
    pixels = np.zeros((len(clips), num_frames, side, side, 3), np.uint8)
    mask = np.zeros((len(clips), num_frames), np.bool_)
    for row, clip in enumerate(clips):
        taken = clip.frames[:num_frames]
        pixels[row, : len(taken)] = taken
        mask[row, : len(taken)] = True
    return torch.from_numpy(pixels).permute(0, 1, 4, 2, 3), torch.from_numpy(mask)


def _sounds(
    clips: Sequence[ClipArrays],
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """Filter banks, encoder tokens (one of the two is None) and the mask of rows; all None when no clip has sound."""
    banks = [clip.sound for clip in clips if clip.sound is not None]
    tokens = [clip.sound_tokens for clip in clips if clip.sound_tokens is not None]
    if banks and tokens:
        raise ValueError(f"{len(banks)} clips hold filter banks, {len(tokens)} encoder tokens; allowed: one of the two")
    held = banks or tokens
    if not held:
        return None, None, None
    num_windows = max(len(item) for item in held)
    out = np.zeros((len(clips), num_windows, *held[0].shape[1:]), np.float32)
    masks = [clip.sound_mask for clip in clips if clip.sound_mask is not None]
    num_rows = masks[0].shape[1]
    mask = np.zeros((len(clips), num_windows, num_rows), np.bool_)
    for row, clip in enumerate(clips):
        item = clip.sound if banks else clip.sound_tokens
        if item is not None and clip.sound_mask is not None:
            out[row, : len(item)] = item
            mask[row, : len(item)] = clip.sound_mask
    whole = torch.from_numpy(out)
    return (whole, None, torch.from_numpy(mask)) if banks else (None, whole, torch.from_numpy(mask))


def _taught(clips: Sequence[ClipArrays]) -> Taught | None:
    """What the teacher says of the clips; None where it knows none of them."""
    known = next((clip.teacher_video for clip in clips if clip.teacher_video is not None), None)
    if known is None:
        return None
    zeros = np.zeros_like(known)

    def rows(vectors: list[np.ndarray | None]) -> torch.Tensor:
        return torch.from_numpy(np.stack([zeros if vector is None else vector for vector in vectors]))

    video, audio = [clip.teacher_video for clip in clips], [clip.teacher_audio for clip in clips]
    both = [sight is not None and sound is not None for sight, sound in zip(video, audio, strict=True)]
    return Taught(TeacherVectors(audio=rows(audio), video=rows(video)), torch.tensor(both))


def _taught_part(batch: TrainingBatch, rows: slice) -> Taught:
    assert batch.taught is not None
    vectors = batch.taught.vectors
    return Taught(TeacherVectors(vectors.audio[rows], vectors.video[rows]), batch.taught.has_audio[rows])

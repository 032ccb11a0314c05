"""Clips and captions to the tensors of one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import ftfy
import numpy as np
import torch

from savecli.features.model_inputs import input_form, input_tensors, normalised_frames
from savecli.features.tokens import ClipTokenizer, clip_merges
from savecli.model.checkpoint import preprocessing
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

    def pinned(self) -> TrainingBatch:
        """The same in memory that a GPU fetches from by itself, while the processor goes on."""
        inputs = VideoInputs._make(None if field is None else field.pin_memory() for field in self.inputs)
        return TrainingBatch(inputs, self.captions.pin_memory(), self.taught)


class Collator:
    """Makes batches for a model of `config`; tensors lie on the CPU, pixels still as bytes."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._form = input_form(preprocessing(config))
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
        """The clips' tensors, filled up to the longest of them; `pixels` are uint8 and tokens float16, see `on_device`.

        Raises:
            ValueError: some clips hold filter banks and others what the audio encoder made of them.
        """
        tensors = input_tensors(clips, self._form, self._tokenizer, has_speech=self._config.has_speech)
        return VideoInputs(*tensors)


def on_device(batch: TrainingBatch, config: ModelConfig, device: torch.device) -> TrainingBatch:
    """The batch there; pixels travel as bytes, tokens as halves, and become float32 behind the journey."""
    taught = batch.taught
    if taught is not None:
        vectors = TeacherVectors(*(vector.to(device, non_blocking=True) for vector in taught.vectors))
        taught = Taught(vectors, taught.has_audio.to(device, non_blocking=True))
    captions = batch.captions.to(device, non_blocking=True)
    return TrainingBatch(inputs_on_device(batch.inputs, config, device), captions, taught)


def inputs_on_device(inputs: VideoInputs, config: ModelConfig, device: torch.device) -> VideoInputs:
    """The clips there, normalised; padded frames are zeros."""
    moved = VideoInputs._make(None if field is None else field.to(device, non_blocking=True) for field in inputs)
    form = config.clip.pixels
    pixels = normalised_frames(moved.pixels, moved.frame_mask, mean=form.mean, std=form.std)
    tokens = None if moved.sound_tokens is None else moved.sound_tokens.float()
    return moved._replace(pixels=pixels, sound_tokens=tokens)


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

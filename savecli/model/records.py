"""What goes into a model and what comes out. Named tuples, as torch's compiler and parallel wrappers see through them.

Letters: `B` clips, `F` frames, `W` windows of sound, `A` audio tokens, `L` speech tokens, `D` shared width. Masks are
bool, True = real; padding is at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from savecli.model.fusion import Gates


class VideoInputs(NamedTuple):
    """A batch of clips as tensors.

    Args:
        pixels: `(B, F, 3, S, S)` normalised.
        frame_mask: `(B, F)`.
        sound: `(B, T, M)` filter banks, or `(B, W, T, M)` for windows; None when no clip has sound.
        sound_mask: of clips `(B,)`, of windows `(B, W)` or of rows `(B, W, T)`; None is all real.
        sound_tokens: `(B, W, A, E)` in place of `sound`: what `AudioBranch.encoder` made of it, kept from before.
        speech: `(B, L)` token numbers, or None when no clip has speech.
        speech_mask: `(B, L)`; None is up to each row's end mark, which is its highest number, and none in a row of 0.
    """

    pixels: torch.Tensor
    frame_mask: torch.Tensor
    sound: torch.Tensor | None = None
    sound_mask: torch.Tensor | None = None
    sound_tokens: torch.Tensor | None = None
    speech: torch.Tensor | None = None
    speech_mask: torch.Tensor | None = None


class Memory(NamedTuple):
    """What frames are fused with.

    Args:
        tokens: `(B, M, D)`.
        mask: `(B, M)`, or None when all count.
        present: `(B,)`: the clip really has this.
    """

    tokens: torch.Tensor
    mask: torch.Tensor | None
    present: torch.Tensor


class VideoFeatures(NamedTuple):
    """What the branches make of a batch: frames `(B, F, D)` as the vision tower gives them, and the memories."""

    frames: torch.Tensor
    frame_mask: torch.Tensor
    audio: Memory | None = None
    speech: Memory | None = None


class AlignmentVectors(NamedTuple):
    """Unit vectors `(B, D)` of a clip's sight and sound alone, and `(B,)` which clips have sound."""

    visual: torch.Tensor
    audio: torch.Tensor
    has_audio: torch.Tensor


class VideoEncoding(NamedTuple):
    """A batch of encoded clips. `frames`, `pooled` and `mask` are what a search needs; the rest is for training.

    Args:
        frames: `(B, F, D)` unit, one per frame after fusion.
        pooled: `(B, D)` unit.
        mask: `(B, F)`.
        visual_pooled: `(B, D)` unit, of the frames before fusion.
        alignment: None without sound.
        audio_gates, speech_gates: how far each fusion layer let sound and speech in; None where there were none.
        audio_part, speech_part: `(B, D)`, what each has added to `pooled`; only when asked for, and None without it.
    """

    frames: torch.Tensor
    pooled: torch.Tensor
    mask: torch.Tensor
    visual_pooled: torch.Tensor
    alignment: AlignmentVectors | None = None
    audio_gates: Gates | None = None
    speech_gates: Gates | None = None
    audio_part: torch.Tensor | None = None
    speech_part: torch.Tensor | None = None


class TeacherVectors(NamedTuple):
    """A teacher's vectors `(B, T)` of the clips' sounds and pictures, in one space of its own."""

    audio: torch.Tensor
    video: torch.Tensor


class Losses(NamedTuple):
    """The parts of a training step's loss, and their weighted sum.

    Args:
        logits: `(N, N)`, rows captions, with the margin.
        margin: `(N, N)`, or None without one.
    """

    total: torch.Tensor
    contrastive: torch.Tensor
    alignment: torch.Tensor
    logits: torch.Tensor
    margin: torch.Tensor | None


class TrainingOutput(NamedTuple):
    """A training step's losses and what they were computed from: unit texts `(N, D)` and the clips."""

    losses: Losses
    text: torch.Tensor
    video: VideoEncoding

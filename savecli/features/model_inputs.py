"""Clips as arrays to the tensors a model is fed, for training and for the archive alike.

This room knows no model: what a model wants comes as `preprocess.json` says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from savecli.features.inputs import ClipSound, FrameFormat, Pixels, SoundFormat
from savecli.features.pixels import normalised_pixels
from savecli.features.tokens import ClipTokenizer


@dataclass(frozen=True, kw_only=True)
class InputForm:
    """How clips and texts become a model's inputs.

    Args:
        sound: None for a model that does not hear.
        caption_tokens, speech_tokens: both marks included.
        shortest_text: texts of fewer characters count as missing.
        mean, std: of the pixels, by channel.
    """

    frames: FrameFormat
    sound: SoundFormat | None
    caption_tokens: int
    speech_tokens: int
    shortest_text: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def input_form(held: Mapping[str, Any]) -> InputForm:
    """What a `preprocess.json` says."""
    pixels, bank = held["pixels"], held["bank"]
    return InputForm(
        frames=FrameFormat(
            num_frames=held["num_frames"],
            image_size=pixels["image_size"],
            interpolation=pixels["interpolation"],
            resize_mode=pixels["resize_mode"],
        ),
        sound=bank
        and SoundFormat(kind=bank["kind"], fit=held["sound"], num_rows=bank["rows"], num_mel_bins=bank["mel_bins"]),
        caption_tokens=held["caption_tokens"],
        speech_tokens=held["speech_tokens"],
        shortest_text=held["shortest_text"],
        mean=tuple(pixels["mean"]),
        std=tuple(pixels["std"]),
    )


class ClipParts(Protocol):
    """A clip between decoding and a model: on the CPU, not normalised, without padding."""

    @property
    def frames(self) -> Pixels:
        """`(F, S, S, 3)`, at least one."""

    @property
    def sound(self) -> npt.NDArray[np.float32] | None:
        """`(W, T, M)` filter banks; None without sound, and where `sound_tokens` stand for it."""

    @property
    def sound_mask(self) -> npt.NDArray[np.bool_] | None:
        """`(W, T)`, which rows come from sound; None without sound."""

    @property
    def sound_tokens(self) -> npt.NDArray[np.float16] | None:
        """`(W, A, E)` of a frozen audio encoder."""

    @property
    def speech(self) -> str:
        """What is said in the clip; "" is nothing."""


@dataclass(frozen=True, eq=False)
class HeardClip:
    """The parts of a clip that was just decoded."""

    frames: Pixels
    heard: ClipSound | None = None
    speech: str = ""
    sound_tokens: None = None

    @property
    def sound(self) -> npt.NDArray[np.float32] | None:
        return None if self.heard is None else self.heard.banks

    @property
    def sound_mask(self) -> npt.NDArray[np.bool_] | None:
        return None if self.heard is None else self.heard.mask


class InputTensors(NamedTuple):
    """The fields of a model's `VideoInputs`, in its order; `pixels` are still bytes, `sound_tokens` halves."""

    pixels: torch.Tensor
    frame_mask: torch.Tensor
    sound: torch.Tensor | None
    sound_mask: torch.Tensor | None
    sound_tokens: torch.Tensor | None
    speech: torch.Tensor | None
    speech_mask: torch.Tensor | None


def input_tensors(
    clips: Sequence[ClipParts], form: InputForm, tokenizer: ClipTokenizer, *, has_speech: bool
) -> InputTensors:
    """The clips' tensors on the CPU, filled up to the longest of them.

    Args:
        has_speech: whether the model reads what is said.

    Raises:
        ValueError: some clips hold filter banks and others what the audio encoder made of them.
    """
    pixels, frame_mask = _frames(clips, form.frames.num_frames)
    banks, tokens, sound_mask = _sounds(clips) if form.sound is not None else (None, None, None)
    speech = speech_mask = None
    if has_speech and any(clip.speech for clip in clips):
        rows = tokenizer.rows([clip.speech or None for clip in clips], max_tokens=form.speech_tokens)
        speech, speech_mask = torch.from_numpy(rows.ids), torch.from_numpy(rows.mask)
    return InputTensors(pixels, frame_mask, banks, sound_mask, tokens, speech, speech_mask)


def normalised_frames(
    pixels: torch.Tensor, mask: torch.Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """`(B, F, 3, S, S)` float32 of bytes, on their device; padded frames are zeros."""
    flat = normalised_pixels(pixels.flatten(0, 1), mean=mean, std=std)
    return flat.masked_fill(~mask.flatten()[:, None, None, None], 0.0).view(pixels.shape)


def _frames(clips: Sequence[ClipParts], num_frames: int) -> tuple[torch.Tensor, torch.Tensor]:
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
    clips: Sequence[ClipParts],
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
    # Tokens stay halves on their way to the device: they are most of a batch's bytes.
    out = np.zeros((len(clips), num_windows, *held[0].shape[1:]), np.float32 if banks else np.float16)
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

"""CLIP as an archive's encoder: frames and words of a clip to unit vectors. Loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from savecli.archive.encoder import FRAMES_PER_CLIP
from savecli.core.records import ClipEmbedding, ClipInput, Frame, InputNeeds, frame_times
from savecli.features.pixels import normalised_pixels, square_pixels
from savecli.model.clip_config import PixelFormat
from savecli.model.clip_model import load_clip, load_text_branch
from savecli.model.clip_weights import ClipSource
from savecli.model.hub import Hub
from savecli.model.precision import Batches, Precision, choose_device, choose_precision, computing
from savecli.model.text import TextBranch
from savecli.model.vision import VisionBranch

# Clips at a time. A CPU gains nothing beyond a few dozen frames; a GPU wants some hundreds.
CLIPS_ON_CPU = 4
CLIPS_ON_GPU = 32
_TEXTS = 64


class TextEncoder:
    """Texts to unit vectors: the query side of an archive, and the words of its clips."""

    def __init__(self, branch: TextBranch, *, dimension: int, device: torch.device, precision: Precision) -> None:
        self._branch = branch
        self._dimension = dimension
        self._device = device
        self._precision = precision
        self._batches = Batches(_TEXTS)

    @property
    def branch(self) -> TextBranch:
        """The text side as a module."""
        return self._branch

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors. Beyond the context (77 tokens, about 55 words) a text loses its end."""
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        tokens = self._branch.tokens(texts)
        with computing(self._device, self._precision):
            vectors = self._batches.run(lambda rows: self._branch(rows.to(self._device)), tokens)
        return vectors.numpy()


class ClipEncoder:
    """An `Encoder` over a CLIP: per-frame embeddings, their mean, and the words through the text tower.

    Args:
        vision: on `device`, as is what `text` holds.
        pixels: how the vision tower wants its pictures.
        batch_size: clips at a time; out of memory halves what goes to the device, not this number.
    """

    def __init__(
        self,
        vision: VisionBranch,
        text: TextEncoder,
        *,
        name: str,
        fingerprint: str,
        dimension: int,
        pixels: PixelFormat,
        device: torch.device,
        precision: Precision,
        batch_size: int,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.needs = InputNeeds(num_frames=FRAMES_PER_CLIP, short_side=pixels.image_size)
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self._vision = vision
        self._text = text
        self._pixels = pixels
        self._batches = Batches(batch_size * FRAMES_PER_CLIP)

    def encode_clips(self, clips: Sequence[ClipInput]) -> list[ClipEmbedding]:
        """One embedding per clip, in order.

        `pooled` is the unit vector along the mean of the frames' unit vectors: CLIP4Clip's "meanP" (Luo et al. 2022,
        section 3.3). `speech` is the text tower's vector of the clip's words, cut after 77 tokens, as CLIP allows.
        """
        frames = self._frame_embeddings([frame for clip in clips for frame in clip.frames])
        speech = iter(self.encode_text([clip.speech for clip in clips if clip.speech.strip()]))
        embeddings, start = [], 0
        for clip in clips:
            of_clip = frames[start : start + len(clip.frames)]
            start += len(clip.frames)
            embeddings.append(
                ClipEmbedding(
                    pooled=mean_direction(of_clip) if len(of_clip) else None,
                    frames=of_clip if len(of_clip) else None,
                    speech=next(speech) if clip.speech.strip() else None,
                    frame_s=frame_times(clip.frames) if len(of_clip) else None,
                )
            )
        return embeddings

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors for queries."""
        return self._text.encode_text(texts)

    def _frame_embeddings(self, frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors of all frames of all clips: the device is kept busy whatever the clips hold."""
        if not frames:
            return np.zeros((0, self.dimension), np.float32)
        with computing(self.device, self.precision):
            return self._batches.run(self._encode_pixels, self._square(frames)).numpy()

    def _encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(N, D)` of `(N, 3, S, S)` bytes, normalised on the device."""
        form = self._pixels
        return self._vision(normalised_pixels(pixels.to(self.device), mean=form.mean, std=form.std))  # type: ignore[no-any-return]

    def _square(self, frames: Sequence[Frame]) -> torch.Tensor:
        """`(N, 3, S, S)` bytes. Runs of frames of one size are resized together, as all frames of a video are."""
        form, squares, start = self._pixels, [], 0
        for end in range(1, len(frames) + 1):
            if end < len(frames) and frames[end].pixels.shape == frames[start].pixels.shape:
                continue
            run = np.stack([frame.pixels for frame in frames[start:end]])
            squares.append(
                square_pixels(
                    run, image_size=form.image_size, interpolation=form.interpolation, resize_mode=form.resize_mode
                )
            )
            start = end
        return torch.cat(squares)


def mean_direction(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`(D,)` unit vector along the mean of `(F, D)` unit vectors."""
    mean = vectors.mean(axis=0)
    return cast(npt.NDArray[np.float32], mean / np.linalg.norm(mean))


def load_clip_encoder(
    source: ClipSource,
    *,
    hub: Hub | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    batch_size: int | None = None,
    num_threads: int | None = None,
) -> ClipEncoder:
    """See `savecli.archive.encoder.load_encoder`; `precision` is the device's best if None."""
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    place = choose_device(device)
    precision = precision or choose_precision(place)
    model = load_clip(source, device=place, precision=precision, hub=hub)
    return ClipEncoder(
        model.vision,
        TextEncoder(model.text, dimension=source.config.dimension, device=place, precision=precision),
        name=source.spec.name,
        fingerprint=source.fingerprint,
        dimension=source.config.dimension,
        pixels=source.config.pixels,
        device=place,
        precision=precision,
        batch_size=batch_size or (CLIPS_ON_CPU if place.type == "cpu" else CLIPS_ON_GPU),
    )


def load_clip_text_encoder(source: ClipSource, *, hub: Hub | None = None, device: str = "cpu") -> TextEncoder:
    """See `savecli.archive.encoder.load_text_encoder`.

    In fp32 on a CPU: converting the weights costs more than a query saves.
    """
    place = choose_device(device)
    precision = "fp32" if place.type == "cpu" else choose_precision(place)
    branch = load_text_branch(source, device=place, precision=precision, hub=hub)
    return TextEncoder(branch, dimension=source.config.dimension, device=place, precision=precision)

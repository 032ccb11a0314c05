"""A model of ours as an archive's encoder: frames, sound and words of a clip fused into its vectors. Loads torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import ftfy
import numpy as np
import numpy.typing as npt
import torch

from savecli.archive.checkpoint_source import CheckpointSource
from savecli.archive.clip_encoder import CLIPS_ON_CPU, CLIPS_ON_GPU, TextEncoder
from savecli.core.records import ClipEmbedding, ClipInput, SensePart, frame_times
from savecli.features.inputs import clip_sound, square_frames
from savecli.features.model_inputs import HeardClip, input_form, input_tensors, normalised_frames
from savecli.features.tokens import ClipTokenizer, clip_merges
from savecli.model.checkpoint import load_checkpoint, preprocessing
from savecli.model.config import ModelConfig
from savecli.model.fusion import Gates
from savecli.model.precision import Batches, Precision, choose_device, choose_precision, computing
from savecli.model.records import VideoInputs
from savecli.model.save_model import SaveModel
from savecli.model.text import TextBranch

# Clips made ready at a time: filter banks and scaling run outside the interpreter's lock.
_MAX_THREADS = 8


class SaveEncoder:
    """An `Encoder` over a checkpoint: what is seen, heard and said in a clip, fused.

    `pooled` and `frames` are the model's own after fusion. There is no vector of the words alone: they are in these.

    Args:
        model: in evaluation mode, on `device`.
        batch_size: clips at a time; out of memory halves what goes to the device, not this number.
    """

    def __init__(
        self,
        model: SaveModel,
        source: CheckpointSource,
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int,
    ) -> None:
        config = source.config
        self.name = source.name
        self.fingerprint = source.fingerprint
        self.dimension = source.dimension
        self.needs = source.needs
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self._model = model
        self._form = input_form(preprocessing(config))
        self._hears = config.audio is not None
        self._has_speech = config.has_speech
        self._shortest_speech = config.inputs.shortest_text
        self._layers = config.fusion_layers
        self._tokenizer = _tokenizer(config, min_characters=config.inputs.shortest_text)
        self._text = text_encoder(model.text, config, device=device, precision=precision)
        self._batches = Batches(batch_size)

    def encode_clips(self, clips: Sequence[ClipInput]) -> list[ClipEmbedding]:
        """One embedding per clip, in order; of a clip without a picture there is none."""
        pictured = [clip for clip in clips if clip.frames]
        if not pictured:
            return [ClipEmbedding(pooled=None)] * len(clips)
        with ThreadPoolExecutor(min(len(pictured), _MAX_THREADS, os.cpu_count() or 1)) as pool:
            parts = list(pool.map(self._parts, pictured))

        def encoded(rows: torch.Tensor) -> torch.Tensor:
            return self._encode([parts[row] for row in rows.tolist()])

        with computing(self.device, self.precision):
            vectors = self._batches.run(encoded, torch.arange(len(parts))).numpy()
        embeddings = iter([self._embedding(*made) for made in zip(pictured, parts, vectors, strict=True)])
        return [next(embeddings) if clip.frames else ClipEmbedding(pooled=None) for clip in clips]

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors for queries."""
        return self._text.encode_text(texts)

    def _parts(self, clip: ClipInput) -> HeardClip:
        """The clip as arrays; more frames than the model takes are left out."""
        form = self._form
        frames = square_frames(clip.frames[: form.frames.num_frames], form.frames)
        sound = None
        if form.sound is not None and clip.waveform is not None:
            sound = clip_sound(iter([clip.waveform]), form.sound)
        return HeardClip(frames, sound, clip.speech.strip())

    def _encode(self, clips: Sequence[HeardClip]) -> torch.Tensor:
        """`(B, …)`: what `_embedding` takes apart again; one tensor, as `Batches` wants it."""
        tensors = input_tensors(clips, self._form, self._tokenizer, has_speech=self._has_speech)
        inputs = VideoInputs._make(None if field is None else field.to(self.device) for field in tensors)
        pixels = normalised_frames(inputs.pixels, inputs.frame_mask, mean=self._form.mean, std=self._form.std)
        encoding = self._model.encode_video(inputs._replace(pixels=pixels), with_parts=True)
        senses = zip(
            (encoding.audio_part, encoding.speech_part), (encoding.audio_gates, encoding.speech_gates), strict=True
        )
        columns = [
            encoding.pooled,
            *(_sense_columns(part, gates, encoding.pooled, self._layers) for part, gates in senses),
        ]
        return torch.cat([*(column.float() for column in columns), encoding.frames.float().flatten(1)], dim=1)

    def _embedding(self, clip: ClipInput, parts: HeardClip, row: npt.NDArray[np.float32]) -> ClipEmbedding:
        dimension, num_gates = self.dimension, 2 * self._layers
        ends = np.cumsum([dimension, dimension, num_gates, dimension, num_gates])
        pooled, audio, audio_gates, speech, speech_gates, frames = np.split(row, ends)
        has_sound = self._hears and parts.sound is not None
        has_speech = self._has_speech and len(parts.speech) >= max(1, self._shortest_speech)
        return ClipEmbedding(
            pooled=pooled,
            frames=frames.reshape(-1, dimension)[: len(parts.frames)],
            frame_s=frame_times(clip.frames[: len(parts.frames)]),
            audio_part=SensePart(audio, audio_gates.reshape(-1, 2)) if has_sound else None,
            speech_part=SensePart(speech, speech_gates.reshape(-1, 2)) if has_speech else None,
        )


def _sense_columns(part: torch.Tensor | None, gates: Gates | None, like: torch.Tensor, layers: int) -> torch.Tensor:
    """`(B, D + 2 * layers)`: a sense's part and gates; zeros, which nobody reads, where the batch has none of it."""
    if part is None or gates is None:
        return like.new_zeros(len(like), like.shape[1] + 2 * layers)
    return torch.cat([part, torch.stack([gates.attention, gates.feed_forward], dim=2).flatten(1)], dim=1)


def text_encoder(branch: TextBranch, config: ModelConfig, *, device: torch.device, precision: Precision) -> TextEncoder:
    """The query side of a model; the branch gets the tokenizer that goes with it.

    Published models take a text of fewer than five characters for a missing one. A query of "dog" is meant as it is.
    """
    tokenizer = _tokenizer(config)

    def tokens(texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(tokenizer.rows(texts, max_tokens=config.inputs.caption_tokens).ids)

    branch.tokenizer = tokens
    return TextEncoder(branch, dimension=config.clip.dimension, device=device, precision=precision)


def load_save_encoder(
    source: CheckpointSource,
    *,
    device: str = "auto",
    precision: Precision | None = None,
    batch_size: int | None = None,
    num_threads: int | None = None,
) -> SaveEncoder:
    """See `savecli.archive.encoder.load_encoder`; `precision` is the device's best if None."""
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    place = choose_device(device)
    return SaveEncoder(
        load_checkpoint(source.folder, device=place).model,
        source,
        device=place,
        precision=precision or choose_precision(place),
        batch_size=batch_size or (CLIPS_ON_CPU if place.type == "cpu" else CLIPS_ON_GPU),
    )


def load_save_text_encoder(source: CheckpointSource, *, device: str = "cpu") -> TextEncoder:
    """See `savecli.archive.encoder.load_text_encoder`."""
    place = choose_device(device)
    precision = "fp32" if place.type == "cpu" else choose_precision(place)
    model = load_checkpoint(source.folder, device=place).model
    return text_encoder(model.text, source.config, device=place, precision=precision)


def _tokenizer(config: ModelConfig, *, min_characters: int = 0) -> ClipTokenizer:
    return ClipTokenizer(
        clip_merges(),
        repair=ftfy.fix_text,
        min_characters=min_characters,
        vocabulary_size=config.clip.model["text_cfg"]["vocab_size"],
    )

"""A split scored by a model: every clip and every caption encoded once, then all compared with all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from savecli.core.errors import MediaError, SaveError
from savecli.core.progress import Progress
from savecli.datasets.base import DatasetClip, Split
from savecli.model.config import ModelConfig
from savecli.model.fusion import Gates
from savecli.model.precision import Precision, computing
from savecli.model.records import VideoEncoding
from savecli.model.save_model import SaveModel
from savecli.training.batches import Collator, inputs_on_device
from savecli.training.loader import ahead
from savecli.training.records import ClipArrays, ClipSource, Evaluation

# Captions are short: many fit at once; and this many rows of the matrix are computed at once.
_TEXTS_AT_ONCE = 256

_Read = list[tuple[DatasetClip, ClipArrays]]


class _Clips(NamedTuple):
    """The clips of a split that could be read, encoded, on the device."""

    clips: list[DatasetClip]
    encodings: list[VideoEncoding]
    gates: dict[str, list[npt.NDArray[np.float32]]]
    num_with_audio: int
    num_with_speech: int


def evaluate_split(
    model: SaveModel,
    config: ModelConfig,
    split: Split,
    source: ClipSource,
    *,
    dataset: str,
    device: torch.device,
    precision: Precision,
    batch_size: int = 32,
    num_readers: int = 2,
    num_missing: int = 0,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """The similarity of every caption with every clip, and what a report says beside it.

    Clips that cannot be read are left out with their captions, and counted.

    Args:
        num_missing: clips that were left out before, as their files are not there.
        should_stop: asked before every batch; scoring then ends with `KeyboardInterrupt`.

    Raises:
        SaveError: no clip can be read.
    """
    was_training = model.training
    model.eval()
    collator = Collator(config)
    if progress is not None:
        progress.start(len(split.clips), unit="clips", title=f"Encoding {split.name}")
    try:
        with computing(device, precision):
            held = _encoded_clips(
                model, config, split, source, collator, device, batch_size, num_readers, progress, should_stop
            )
            texts = [caption.text for clip in held.clips for caption in clip.captions]
            text = _encoded_texts(model, texts, collator, device)
        with torch.inference_mode():
            similarity = _similarity(model, text, held.encodings)
    finally:
        model.train(was_training)
    num_unreadable = len(split.clips) - len(held.clips)
    return Evaluation(
        dataset=dataset,
        split=split.name,
        clip_ids=tuple(clip.clip_id for clip in held.clips),
        captions=tuple(texts),
        groups=tuple(caption.group for clip in held.clips for caption in clip.captions),
        video_of_caption=np.repeat(np.arange(len(held.clips)), [len(clip.captions) for clip in held.clips]),
        is_grouped=split.is_grouped,
        similarity=similarity,
        num_with_audio=held.num_with_audio,
        num_with_speech=held.num_with_speech,
        num_missing=num_missing + num_unreadable,
        num_unreadable=num_unreadable,
        dropped=dict(split.dropped or {}),
        gates={signal: np.concatenate(rows) for signal, rows in held.gates.items()},
        precision=precision,
    )


def _encoded_clips(
    model: SaveModel,
    config: ModelConfig,
    split: Split,
    source: ClipSource,
    collator: Collator,
    device: torch.device,
    batch_size: int,
    num_readers: int,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> _Clips:
    held = _Clips([], [], {}, 0, 0)
    num_audio = num_speech = 0
    for read, num_tried in ahead(_reader(source), _blocks(split.clips, batch_size), num_threads=num_readers):
        if should_stop():
            raise KeyboardInterrupt
        if progress is not None:
            progress.advance(num_tried)
        if not read:
            continue
        arrays = [item for _, item in read]
        video = model.encode_video(inputs_on_device(collator.inputs(arrays), config, device))
        held.clips.extend(clip for clip, _ in read)
        held.encodings.append(VideoEncoding(video.frames, video.pooled, video.mask, video.visual_pooled))
        has_audio = [item.has_sound for item in arrays]
        has_speech = [bool(item.speech) for item in arrays]
        num_audio, num_speech = num_audio + sum(has_audio), num_speech + sum(has_speech)
        layers = config.fusion_layers
        if config.audio is not None:
            held.gates.setdefault("audio", []).append(_gate_rows(video.audio_gates, has_audio, layers))
        if config.has_speech:
            held.gates.setdefault("speech", []).append(_gate_rows(video.speech_gates, has_speech, layers))
    if not held.clips:
        raise SaveError(
            f"no clip of {split.name} can be read",
            why=f"all {len(split.clips)} are missing or damaged",
            fix="`save data verify` tells what is wrong with each",
        )
    return held._replace(num_with_audio=num_audio, num_with_speech=num_speech)


def _reader(source: ClipSource) -> Callable[[Sequence[DatasetClip]], tuple[_Read, int]]:
    def read(clips: Sequence[DatasetClip]) -> tuple[_Read, int]:
        held: _Read = []
        for clip in clips:
            try:
                held.append((clip, source.read(clip)))
            except MediaError:
                continue  # counted by what is not there
        return held, len(clips)

    return read


def _blocks(clips: Sequence[DatasetClip], size: int) -> Iterator[Sequence[DatasetClip]]:
    for start in range(0, len(clips), size):
        yield clips[start : start + size]


def _gate_rows(gates: Gates | None, is_there: Sequence[bool], layers: int) -> npt.NDArray[np.float32]:
    """`(B, layers, 2)`; NaN for clips without the signal."""
    rows = np.full((len(is_there), layers, 2), np.nan, np.float32)
    if gates is not None:
        values = torch.stack([gates.attention, gates.feed_forward], dim=-1).float().cpu().numpy()
        rows[np.asarray(is_there)] = values[np.asarray(is_there)]
    return rows


def _encoded_texts(model: SaveModel, texts: Sequence[str], collator: Collator, device: torch.device) -> torch.Tensor:
    """`(T, D)` unit, on the device."""
    rows = [
        model.encode_text(collator.caption_tokens(texts[start : start + _TEXTS_AT_ONCE]).to(device)).float()
        for start in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return torch.cat(rows)


def _similarity(model: SaveModel, text: torch.Tensor, encodings: Sequence[VideoEncoding]) -> npt.NDArray[np.float32]:
    """`(T, V)`, computed in blocks, as the per-frame part is F times as large."""
    num_clips = sum(len(item.pooled) for item in encodings)
    out = np.empty((len(text), num_clips), np.float32)
    for top in range(0, len(text), _TEXTS_AT_ONCE):
        left = 0
        rows = text[top : top + _TEXTS_AT_ONCE]
        for item in encodings:
            block = model.similarity(rows, item).float().cpu().numpy()
            out[top : top + len(rows), left : left + block.shape[1]] = block
            left += block.shape[1]
    return out

"""One clip of a file to what a model is fed: square frames, filter banks, and the words said in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from savecli.core.errors import MediaError
from savecli.core.records import Frame, Span, Transcript, VideoInfo
from savecli.features.log_mel import (
    NUM_MEL_BINS,
    NUM_ROWS,
    RATE_HZ,
    SILENCE,
    Bank,
    log_mel_windows,
    stretched_log_mel,
)
from savecli.features.pixels import Interpolation, ResizeMode, square_pixels
from savecli.features.whisper_mel import whisper_log_mel
from savecli.media.audio import Waveform, read_audio
from savecli.media.container import audio_stream, open_media
from savecli.media.frames import spread_frames
from savecli.media.probe import measured_duration_s, probe_video
from savecli.transcript.base import timed_words

Pixels = npt.NDArray[np.uint8]

# A row of a bank looks at 25 ms, less sound is none; without stretching, rows are 10 ms apart.
_LEAST_SAMPLES, _STEP_SAMPLES = 400, 160
# AST's patches are 16 rows long; a rest that fills none is left out, as `log_mel_windows` does.
_PATCH_ROWS = 16


class Transcriber(Protocol):
    """What turns a file into a transcript; safe to call from several threads."""

    def transcribe(self, info: VideoInfo) -> Transcript: ...


@dataclass(frozen=True, kw_only=True)
class FrameFormat:
    """Which frames of a clip a model sees, and how large."""

    num_frames: int
    image_size: int
    interpolation: Interpolation = "bicubic"
    resize_mode: ResizeMode = "shortest"


@dataclass(frozen=True, kw_only=True)
class SoundFormat:
    """What a model hears through, and how a clip's sound is laid out for it.

    Args:
        fit: `stretched` is one bank for the whole clip (of Whisper's: the first one), `windows` as many as it takes.
    """

    kind: Literal["ast", "whisper"]
    fit: Literal["stretched", "windows"]
    num_rows: int
    num_mel_bins: int


@dataclass(frozen=True, eq=False)
class ClipSound:
    """Filter banks `(W, T, M)` float32 of a clip, and `(W, T)` bool: which rows come from sound."""

    banks: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


def read_clip_frames(path: Path, span: Span | None, form: FrameFormat) -> Pixels:
    """`(F, S, S, 3)` uint8 RGB frames, evenly spread over the clip; fewer where the clip has fewer.

    Args:
        span: the part of the file that is meant; None is all of it.

    Raises:
        MediaError: the file cannot be read, or no frame of the clip can be decoded.
    """
    frames = spread_frames(path, clip_span(path, span), num_frames=form.num_frames, short_side=form.image_size)
    return square_frames(frames, form)


def square_frames(frames: Sequence[Frame], form: FrameFormat) -> Pixels:
    """`(F, S, S, 3)` uint8 RGB of decoded frames, at least one, scaled and cut as a model sees them."""
    squares = [_squared(run, form) for _, run in groupby(frames, key=lambda frame: frame.pixels.shape)]
    return np.concatenate(squares)


def read_clip_pictures(path: Path, span: Span | None, *, num_frames: int, short_side: int) -> Pixels:
    """`(F, H, W, 3)` uint8 RGB frames as `read_clip_frames` takes them, uncut; of the first one's size only."""
    frames = spread_frames(path, clip_span(path, span), num_frames=num_frames, short_side=short_side)
    shape = frames[0].pixels.shape
    return np.stack([frame.pixels for frame in frames if frame.pixels.shape == shape])


def read_clip_sound(path: Path, span: Span | None, form: SoundFormat) -> ClipSound | None:
    """The clip's filter banks; None where the file has no audio stream, or its sound is too short for a bank.

    Raises:
        MediaError: the file cannot be opened, or its sound cannot be decoded.
    """
    blocks = _sound_blocks(path, span, rate_hz=RATE_HZ)
    return None if blocks is None else clip_sound(blocks, form)


def clip_sound(blocks: Iterator[Waveform], form: SoundFormat) -> ClipSound | None:
    """The filter banks of a clip's sound, mono at 16 kHz in blocks of any size; None where it is too short for one."""
    if form.kind == "whisper":
        return _whisper_sound(blocks, form)
    if form.fit == "windows":
        return _windowed_sound(blocks, form)
    waveform = _joined(blocks)
    if len(waveform) < max(form.num_rows, _LEAST_SAMPLES):
        return None
    bank = stretched_log_mel(waveform, num_rows=form.num_rows, num_mel_bins=form.num_mel_bins)
    return ClipSound(bank[None], np.ones((1, form.num_rows), np.bool_))


def read_clip_waveform(path: Path, span: Span | None, *, rate_hz: int) -> Waveform | None:
    """`(samples,)` float32 mono of the clip's sound; None without an audio stream, or where it holds nothing.

    Raises:
        MediaError: as `read_clip_sound`.
    """
    blocks = _sound_blocks(path, span, rate_hz=rate_hz)
    return None if blocks is None else _joined(blocks)


def read_transcript(path: Path, transcriber: Transcriber) -> Transcript:
    """What is said in a whole file.

    Raises:
        MediaError: it cannot be read as video.
    """
    return transcriber.transcribe(probe_video(path))


def speech_within(transcript: Transcript, span: Span | None) -> str:
    """The words said in a clip: those whose middle lies in its span; all without one."""
    if span is None:
        return transcript.text
    parts = []
    for utterance in transcript.utterances:
        words = timed_words(utterance)
        kept = [word for word in words if span.start_s <= (word.start_s + word.end_s) / 2 < span.end_s]
        glue = " " if " " in utterance.text.strip() or utterance.text.isascii() else ""
        if kept:
            parts.append(utterance.text if len(kept) == len(words) else glue.join(word.text for word in kept))
    return " ".join(parts)


def clip_span(path: Path, span: Span | None) -> Span:
    """The span itself, or that of the whole file.

    Raises:
        MediaError: the file cannot be read.
    """
    return span if span is not None else Span(0.0, measured_duration_s(path))


def has_audio(path: Path) -> bool:
    """Whether the file has an audio stream that a decoder is there for.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_media(path) as container:
        return audio_stream(container) is not None


def _sound_blocks(path: Path, span: Span | None, *, rate_hz: int) -> Iterator[Waveform] | None:
    """The clip's sound, at least one block of it; None without a stream, and behind the stream's end."""
    if not has_audio(path):
        return None
    blocks = read_audio(path, rate_hz=rate_hz, span=span)
    first = next(blocks, None)
    if first is None and span is None:
        raise MediaError(f"cannot read {path.name}", why="nothing of its audio stream can be decoded")
    return None if first is None else chain((first,), blocks)


def _squared(frames: Iterable[Frame], form: FrameFormat) -> Pixels:
    pixels = square_pixels(
        np.stack([frame.pixels for frame in frames]),
        image_size=form.image_size,
        interpolation=form.interpolation,
        resize_mode=form.resize_mode,
    )
    square: Pixels = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return square


def _windowed_sound(blocks: Iterator[Waveform], form: SoundFormat) -> ClipSound | None:
    if (form.num_rows, form.num_mel_bins) == (NUM_ROWS, NUM_MEL_BINS):
        windows = [(window.bank, window.mask) for window in log_mel_windows(blocks)]
    else:
        windows = list(_windows_of_size(_joined(blocks), form))
    if not windows:
        return None
    return ClipSound(np.stack([bank for bank, _ in windows]), np.stack([mask for _, mask in windows]))


def _windows_of_size(waveform: Waveform, form: SoundFormat) -> Iterator[tuple[Bank, npt.NDArray[np.bool_]]]:
    """What `log_mel_windows` gives for encoders of AST's size, for those of another.

    Stretching so much sound onto two rows more than wanted makes the step exactly 10 ms, and the wanted rows whole.
    """
    window, taken = form.num_rows * _STEP_SAMPLES, (form.num_rows + 2) * _STEP_SAMPLES
    for start in range(0, len(waveform), window):
        piece = waveform[start : start + taken]
        mask = np.arange(form.num_rows) < 1 + (len(piece) - _LEAST_SAMPLES) // _STEP_SAMPLES
        if not mask.any() or (start and mask.sum() < min(_PATCH_ROWS, form.num_rows)):
            return
        filled = np.pad(piece, (0, taken - len(piece)))
        bank = stretched_log_mel(filled, num_rows=form.num_rows + 2, num_mel_bins=form.num_mel_bins)[: form.num_rows]
        bank[~mask] = SILENCE
        yield bank, mask


def _whisper_sound(blocks: Iterator[Waveform], form: SoundFormat) -> ClipSound | None:
    """Spectrograms of pieces of `num_rows` times 10 ms; the rest of the last one is Whisper's silence, and masked."""
    waveform, size = _joined(blocks), form.num_rows * _STEP_SAMPLES
    pieces = [waveform[start : start + size] for start in range(0, len(waveform), size)]
    if form.fit == "stretched":
        pieces = pieces[:1]
    pieces = [piece for piece in pieces if len(piece) >= _LEAST_SAMPLES]
    if not pieces:
        return None
    banks = [whisper_log_mel(piece, num_mel_bins=form.num_mel_bins).T[: form.num_rows] for piece in pieces]
    rows = [-(-len(piece) // _STEP_SAMPLES) for piece in pieces]
    mask = np.stack([np.arange(form.num_rows) < num_real for num_real in rows])
    return ClipSound(np.ascontiguousarray(np.stack(banks)), mask)


def _joined(blocks: Iterable[Waveform]) -> Waveform:
    return np.concatenate([np.zeros(0, np.float32), *blocks])

"""Sound of a file as mono samples that line up with its picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.container import InputContainer

from savecli.core.errors import MediaError
from savecli.core.records import Span
from savecli.media.container import audio_stream, demuxed, open_media, start_offset_s

Waveform = npt.NDArray[np.float32]

# Where a frame's own time and the count of samples before it differ by more, the time is right: sound was lost, or the
# recorder's clocks drifted. Smaller differences are rounding (Matroska keeps milliseconds).
_TOLERANCE_S = 0.05

# Decoders need a few frames to settle after a seek; beginnings before this are not worth one.
_SEEK_FROM_S = 5.0
_SEEK_BACK_S = (1.0, 10.0)

# swresample keeps a mix of channels within the range of whole numbers, but not of floats: stereo would come out 1.4
# times too loud. So it mixes to 16 bits, as the loaders of speech recognisers do.
_MIX_FORMAT, _FULL_SCALE = "s16", np.float32(32768)


def read_audio(
    path: Path, *, rate_hz: int = 16000, span: Span | None = None, block_s: float = 30.0
) -> Iterator[Waveform]:
    """Mono float32 blocks of `block_s` seconds, the last one shorter; sample n belongs to second n / rate_hz.

    Seconds count from the start of the container, or of the span: sound that starts later than the picture begins
    with silence, what is broken or missing becomes silence of the same length. Ends where the sound ends, so a span
    may come out short. Memory does not grow with the length of the file.

    Raises:
        MediaError: the file cannot be opened, or has no audio stream that can be decoded.
        ValueError: the rate or the block is not positive.
    """
    block = round(block_s * rate_hz)
    if rate_hz < 1 or block < 1:
        raise ValueError(f"rate_hz is {rate_hz} and block_s {block_s}; allowed: blocks of at least one sample")
    first = round(span.start_s * rate_hz) if span else 0
    end = round(span.end_s * rate_hz) if span else None
    pieces = _pieces(path, rate_hz=rate_hz, from_s=span.start_s if span else 0.0)
    return _blocks(_gapless(pieces, first=first, end=end, max_silence=block), block)


def _blocks(samples: Iterator[Waveform], block: int) -> Iterator[Waveform]:
    """The same samples in arrays of equal size."""
    held: list[Waveform] = []
    num_held = 0
    for piece in samples:
        rest = piece
        while num_held + len(rest) >= block:
            taken = block - num_held
            yield np.concatenate([*held, rest[:taken]])
            held, num_held, rest = [], 0, rest[taken:]
        held.append(rest)
        num_held += len(rest)
    if num_held:
        yield np.concatenate(held)


def _gapless(
    pieces: Iterator[tuple[int, Waveform]], *, first: int, end: int | None, max_silence: int
) -> Iterator[Waveform]:
    """Samples `first` to `end` without the pieces' gaps and overlaps; silence comes in arrays of bounded size."""
    position = first
    for start, samples in pieces:
        while position < start and (end is None or position < end):
            silence = min(start if end is None else min(start, end), position + max_silence) - position
            yield np.zeros(silence, np.float32)
            position += silence
        if end is not None and position >= end:
            return
        part = samples[max(position - start, 0) : None if end is None else max(end - start, 0)]
        if len(part):
            yield part
            position += len(part)


def _pieces(path: Path, *, rate_hz: int, from_s: float) -> Iterator[tuple[int, Waveform]]:
    """Decoded stretches with the sample they start at; the first one at or before `from_s`, or where sound begins."""
    for back_s in _SEEK_BACK_S if from_s > _SEEK_FROM_S else ():
        with open_media(path) as container:
            pieces = _resampled(container, path, rate_hz=rate_hz, seek_s=from_s - back_s)
            first = next(pieces, None)
            if first is not None and first[0] <= from_s * rate_hz:
                yield first
                yield from pieces
                return
    with open_media(path) as container:
        yield from _resampled(container, path, rate_hz=rate_hz, seek_s=None)


def _resampled(
    container: InputContainer, path: Path, *, rate_hz: int, seek_s: float | None
) -> Iterator[tuple[int, Waveform]]:
    """Pieces of one format and without jumps are resampled as one, so that no seams are heard."""
    resampler: av.AudioResampler | None = None
    layout: tuple[str, str, int] | None = None
    position, expected_s = 0, Fraction(0)
    for time_s, frame in _timed_frames(container, path, seek_s=seek_s):
        now_s = expected_s if time_s is None else time_s
        its_layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or its_layout != layout or abs(now_s - expected_s) > _TOLERANCE_S:
            for piece in resampler.resample(None) if resampler is not None else ():
                samples = _samples(piece)
                yield position, samples
                position += len(samples)
            resampler = av.AudioResampler(_MIX_FORMAT, "mono", rate_hz)
            layout, position, expected_s = its_layout, round(now_s * rate_hz), now_s
        expected_s += Fraction(frame.samples, frame.sample_rate)
        # The samples are counted here; times that jitter would only disturb the filter.
        frame.pts = None
        for piece in resampler.resample(frame):
            samples = _samples(piece)
            yield position, samples
            position += len(samples)
    for piece in resampler.resample(None) if resampler is not None else ():
        yield position, _samples(piece)


def _samples(frame: AudioFrame) -> Waveform:
    samples: Waveform = frame.to_ndarray().reshape(-1).astype(np.float32) / _FULL_SCALE
    return samples


def _timed_frames(
    container: InputContainer, path: Path, *, seek_s: float | None
) -> Iterator[tuple[Fraction | None, AudioFrame]]:
    """Each decoded frame with its second after the container's start, where it has one; broken packets are left out."""
    stream = audio_stream(container)
    if stream is None:
        raise MediaError(f"cannot read {path.name}", why="no audio stream")
    offset_s, time_base = start_offset_s(container), stream.time_base or Fraction(1, av.time_base)
    stream.codec_context.thread_count = 1
    if seek_s is not None:
        try:
            container.seek(int((Fraction(seek_s) + offset_s) / time_base), stream=stream)
        except (av.FFmpegError, OSError):
            return
    for packet in demuxed(container, stream):
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            continue
        for frame in frames:
            yield (None if frame.pts is None else frame.pts * time_base - offset_s), frame
    try:
        frames = stream.codec_context.decode(None)
    except av.FFmpegError:
        return
    for frame in frames:
        yield (None if frame.pts is None else frame.pts * time_base - offset_s), frame

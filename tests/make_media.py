"""Small real media files for tests, written through PyAV; every frame carries its own number as a bar code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Colour = str | tuple[int, int, int]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (200, 40, 40),
    "green": (40, 180, 60),
    "blue": (40, 60, 200),
    "yellow": (220, 210, 50),
    "purple": (150, 50, 170),
    "orange": (230, 140, 30),
    "grey": (128, 128, 128),
    "white": (235, 235, 235),
    "black": (16, 16, 16),
}
NUM_CODE_BITS = 16
AUDIO_RATE_HZ = 16000
_AUDIO_BY_SUFFIX = {".webm": "libopus", ".avi": "pcm_s16le", ".mpg": "mp2", ".flac": "flac", ".wav": "pcm_s16le"}
_CODECS_WITH_B_FRAMES = {"libx264", "libx265", "mpeg4", "mpeg2video"}
_SUBTITLES_BY_SUFFIX = {".mkv": "subrip", ".webm": "webvtt"}
_ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"


@contextmanager
def usual_priority() -> Iterator[None]:
    """What runs inside leaves the thread's scheduling as it was.

    SVT-AV1 gives the thread that calls it real-time priority where it may, as root. Every process that the thread
    starts later inherits that: two threads that wait by spinning then starve, on two cores, those they wait for.
    """
    if not hasattr(os, "sched_getscheduler"):  # macOS
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@usual_priority()
def make_video(
    path: Path,
    *,
    duration_s: float = 3.0,
    width: int = 160,
    height: int = 120,
    rate_hz: int | Fraction = 25,
    codec: str | None = "libx264",
    gop: int = 25,
    b_frames: int = 2,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    scenes: Sequence[Colour] = ("red",),
    times_s: Sequence[float] | None = None,
    start_s: float = 0.0,
    rotation: Literal[0, 90, 180, 270] = 0,
    audio: Literal["tone", "silence"] | bool | Waveform | None = "tone",
    audio_codec: str | None = None,
    audio_start_s: float = 0.0,
    subtitles: Sequence[tuple[float, float, str]] | None = None,
    subtitle_language: str = "eng",
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a playable file and return its path; the container follows from the suffix.

    Args:
        duration_s: length of the picture, and of the sound unless `audio` is a waveform.
        width, height: size as displayed, after `rotation`.
        codec: PyAV encoder name; None writes sound only.
        gop: frames from one key frame to the next.
        options: more encoder options, e.g. `{"x264-params": "open-gop=1"}`.
        scenes: colours of equal-length scenes, with hard cuts between them.
        times_s: one time per frame, for a variable frame rate; overrides `duration_s` and `rate_hz` for the picture.
        start_s: where the whole file's clock begins, as in transport streams.
        rotation: degrees that a player turns the stored picture counter-clockwise to show it upright.
        audio: a 440 Hz tone (True is the same), silence, a mono 16 kHz float32 waveform, or None (False) for no stream.
        audio_start_s: by how much the sound starts later than the picture.
        subtitles: `(start_s, end_s, text)` rows of an embedded text track.
    """
    if times_s is None:
        times_s = [n / float(rate_hz) for n in range(max(1, round(duration_s * float(rate_hz))))]
        time_base = 1 / Fraction(rate_hz)
    else:
        time_base = Fraction(1, 10_000)
    waveform = _waveform(audio, duration_s)
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        video = sound = text = None
        if codec is not None:
            video = container.add_stream(codec, rate=Fraction(rate_hz), options=options or {})
            stored_turned = rotation in (90, 270)
            video.width, video.height = (height, width) if stored_turned else (width, height)
            video.pix_fmt = pix_fmt
            video.codec_context.time_base = time_base
            video.codec_context.gop_size = gop
            if codec in _CODECS_WITH_B_FRAMES:
                video.codec_context.max_b_frames = b_frames
            # Encoders with many threads start slowly; tests write thousands of tiny files.
            video.codec_context.thread_count = 1
            if rotation:
                video.set_display_rotation(rotation)
        if waveform is not None:
            name = audio_codec or _AUDIO_BY_SUFFIX.get(path.suffix.lower(), "aac")
            sound = container.add_stream(name, rate=AUDIO_RATE_HZ if name != "mp2" else 48000, layout="mono")
        if subtitles is not None:
            text = container.add_stream(_SUBTITLES_BY_SUFFIX.get(path.suffix.lower(), "mov_text"))
            text.codec_context.subtitle_header = _ASS_HEADER
            text.codec_context.time_base = Fraction(1, 1000)
            text.metadata["language"] = subtitle_language
        packets = []
        if video is not None:
            packets += _video_packets(
                video, times_s, time_base, scenes=scenes, size=(width, height), rotation=rotation, start_s=start_s
            )
        if sound is not None and waveform is not None:
            packets += _audio_packets(sound, waveform, start_s=start_s + audio_start_s)
        if text is not None:
            packets += _subtitle_packets(text, subtitles or ())
        packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        for packet in packets:
            container.mux(packet)
    return path


def make_frame(index: int, colour: Colour, *, width: int = 160, height: int = 120) -> Pixels:
    """`(height, width, 3)` RGB picture number `index`: moving texture in `colour` under a bar code of the number."""
    base = np.asarray(COLOURS[colour] if isinstance(colour, str) else colour, np.float32)
    column, row = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    wave = np.sin((column + 3 * index) * 0.15) * np.cos((row - 2 * index) * 0.11)
    pixels = np.clip(base + 20 * wave[..., None], 0, 255).astype(np.uint8)
    bits = (index >> np.arange(NUM_CODE_BITS)) & 1
    bars = bits[(np.arange(width) * NUM_CODE_BITS) // width]
    pixels[: height // 4] = (16 + 219 * bars)[None, :, None]
    return pixels


def frame_number(pixels: Pixels) -> int:
    """The number that `make_frame` drew into this picture, at whatever size it comes out of the decoder."""
    height, width = pixels.shape[:2]
    centres = ((np.arange(NUM_CODE_BITS) + 0.5) * width / NUM_CODE_BITS).astype(int)
    bits = pixels[height // 8, centres].mean(axis=-1) > 127
    return int((bits << np.arange(NUM_CODE_BITS)).sum())


def tone(duration_s: float, *, frequency_hz: float = 440.0, rate_hz: int = AUDIO_RATE_HZ) -> Waveform:
    """A sine at half amplitude, float32."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def _waveform(audio: Literal["tone", "silence"] | bool | Waveform | None, duration_s: float) -> Waveform | None:
    if audio is None or audio is False:
        return None
    if isinstance(audio, np.ndarray):
        return audio.astype(np.float32)
    wave = tone(duration_s)
    return np.zeros_like(wave) if audio == "silence" else wave


def _video_packets(
    stream: av.VideoStream,
    times_s: Sequence[float],
    time_base: Fraction,
    *,
    scenes: Sequence[Colour],
    size: tuple[int, int],
    rotation: int,
    start_s: float,
) -> Iterator[av.Packet]:
    width, height = size
    for index, time_s in enumerate(times_s):
        colour = scenes[index * len(scenes) // len(times_s)]
        upright = make_frame(index, colour, width=width, height=height)
        stored = np.ascontiguousarray(np.rot90(upright, k=-(rotation // 90)))
        frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
        frame.pts = round((time_s + start_s) / time_base)
        frame.time_base = time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _audio_packets(stream: av.AudioStream, waveform: Waveform, *, start_s: float) -> Iterator[av.Packet]:
    resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.codec_context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(waveform[None], format="flt", layout="mono")
    frame.sample_rate = AUDIO_RATE_HZ
    frame.time_base = Fraction(1, AUDIO_RATE_HZ)
    frame.pts = round(start_s * AUDIO_RATE_HZ)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        yield from stream.encode(piece)
    yield from stream.encode(None)


def _subtitle_packets(stream: av.Stream, rows: Sequence[tuple[float, float, str]]) -> Iterator[av.Packet]:
    for number, (start_s, end_s, text) in enumerate(rows):
        line = text.replace("\n", "\\N")
        event = av.subtitles.subtitle.SubtitleSet.create(
            f"{number},0,Default,,0,0,0,,{line}".encode(), start=0, end=round(1000 * (end_s - start_s))
        )
        packet = stream.codec_context.encode_subtitle(event)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = round(1000 * start_s)
        packet.duration = round(1000 * (end_s - start_s))
        yield packet

"""Small clips to video files: what is drawn or made up, written so that any player opens it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from savecli.core.errors import MediaError

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
_VIDEO_OPTIONS = {"libx264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "20"}, "mpeg4": {"qscale": "3"}}
_AUDIO_CODEC = "aac"
_AUDIO_OPTIONS = {"b": "48k", "aac_coder": "fast"}  # the default coder takes three times as long


def write_clip(
    path: Path,
    frames: npt.NDArray[np.uint8],
    rate_hz: float,
    waveform: npt.NDArray[np.float32] | None = None,
    audio_rate_hz: int = 16000,
) -> None:
    """Write a clip to `path`, which is there whole or not at all; the suffix says the container.

    H.264, or MPEG-4 where this FFmpeg comes without x264, and AAC.

    Args:
        frames: `(F, H, W, 3)` uint8 RGB, at least one, of even height and width.
        waveform: `(N,)` float32 mono in [-1, 1], louder is cut off; None or empty for no audio stream.

    Raises:
        ValueError: frames or waveform have another shape, or the suffix names no container.
        MediaError: FFmpeg cannot write it, e.g. as the disk is full.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or not len(frames) or frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"frames are {frames.shape}; allowed: (F, H, W, 3) with even H and W")
    if waveform is not None and waveform.ndim != 1:
        raise ValueError(f"waveform is {waveform.shape}; allowed: (N,)")
    if path.suffix not in _CONTAINERS:
        raise ValueError(f"suffix is `{path.suffix}`; allowed: {', '.join(_CONTAINERS)}")
    part = path.with_name(f".{path.name}.part")
    try:
        with av.open(str(part), "w", format=_CONTAINERS[path.suffix]) as container:
            _write_streams(container, frames, Fraction(rate_hz).limit_denominator(1001), waveform, audio_rate_hz)
        part.replace(path)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"cannot write {path}", why=str(error), fix="look for space and rights on the disk") from error
    finally:
        part.unlink(missing_ok=True)


def _write_streams(
    container: av.container.OutputContainer,
    frames: npt.NDArray[np.uint8],
    rate_hz: Fraction,
    waveform: npt.NDArray[np.float32] | None,
    audio_rate_hz: int,
) -> None:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    # PyAV types a stream by its codec's name, which is not known before it runs.
    video = cast(Any, container.add_stream(codec, rate=rate_hz, options=_VIDEO_OPTIONS[codec]))
    video.height, video.width = frames.shape[1:3]
    video.pix_fmt = "yuv420p"
    video.codec_context.time_base = 1 / rate_hz
    video.codec_context.thread_count = 1  # encoders with many threads start slowly, and these clips are tiny
    sound = None
    if waveform is not None and len(waveform):
        sound = cast(Any, container.add_stream(_AUDIO_CODEC, rate=audio_rate_hz, layout="mono", options=_AUDIO_OPTIONS))
    for index, pixels in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        picture.pts, picture.time_base = index, 1 / rate_hz
        container.mux(video.encode(picture))
    container.mux(video.encode(None))
    if sound is not None and waveform is not None:
        samples = np.clip(waveform, -1.0, 1.0).astype(np.float32)[None]
        block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = audio_rate_hz, 0, Fraction(1, audio_rate_hz)
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))

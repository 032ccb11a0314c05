"""Records that cross rooms. All times are seconds from the start of the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Span:
    """A half-open stretch of time `[start_s, end_s)`."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Word:
    """One spoken word with its own time; `text` carries its punctuation and no outer spaces."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Utterance:
    """One timed piece of speech. `words` is empty where the source gives no word times."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """All speech of a video and where it came from.

    Args:
        utterances: in order of time.
        source: `sidecar:NAME`, `embedded:INDEX`, `whisper:MODEL`, `sphinx:en-us`, or `none`.
        language: ISO 639-1 code, or None when unknown.
        note: why this source and not a better one, for the user; empty when there is nothing to say.
    """

    utterances: tuple[Utterance, ...]
    source: str
    language: str | None = None
    note: str = ""

    @property
    def text(self) -> str:
        return " ".join(utterance.text for utterance in self.utterances)


NO_SPEECH = Transcript(utterances=(), source="none")


@dataclass(frozen=True)
class VideoFile:
    """A file found by a scan, with what one `stat` says of it."""

    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class VideoStream:
    """Picture stream of a file. Width and height are as displayed, after rotation."""

    index: int
    codec: str
    width: int
    height: int
    rate_hz: float | None
    rotation_degrees: int
    is_variable_rate: bool


@dataclass(frozen=True)
class AudioStream:
    """Sound stream of a file."""

    index: int
    codec: str
    rate_hz: int
    num_channels: int
    language: str | None = None


@dataclass(frozen=True)
class SubtitleStream:
    """Text track inside a file (bitmap subtitles are not listed)."""

    index: int
    codec: str
    language: str | None = None


@dataclass(frozen=True)
class VideoInfo:
    """What a file's header says, corrected where the header is known to lie."""

    path: Path
    duration_s: float
    container: str
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[SubtitleStream, ...] = ()


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded picture: `pixels` is `(H, W, 3)` uint8 RGB, upright; `time_s` is the time it really has."""

    time_s: float
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ClipInput:
    """What an encoder gets of one clip.

    Args:
        span: where the clip lies in its video.
        frames: in order of time; empty when the video has no picture there or the encoder asks for none.
        speech: the words said in the clip; "" is no speech.
        waveform: `(num_samples,)` float32 mono at the encoder's rate, or None when there is no audio stream.
    """

    span: Span
    frames: tuple[Frame, ...] = ()
    speech: str = ""
    waveform: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class SensePart:
    """What sound or speech has added to the pooled embedding of a clip.

    Args:
        vector: `(D,)` float32, not of unit length.
        gates: `(layers, 2)` float32 in (-1, 1): how far each fusion layer let the sense in, by attention and by
            feed-forward.
    """

    vector: npt.NDArray[np.float32]
    gates: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ClipEmbedding:
    """What an encoder makes of one clip. Vectors are unit length; None is missing, never zeros.

    Args:
        pooled: `(D,)` float32, the clip as it is searched; None without frames.
        frames: `(F, D)` float32, one per frame; None without frames.
        speech: `(D,)` float32 of the clip's words; None without speech, or when the encoder fuses speech into `pooled`.
        frame_s: `(F,)` float32, seconds from the video's start.
        audio_part, speech_part: what a fusing encoder had of each sense; `pooled` less both is what is seen.
    """

    pooled: npt.NDArray[np.float32] | None
    frames: npt.NDArray[np.float32] | None = None
    speech: npt.NDArray[np.float32] | None = None
    frame_s: npt.NDArray[np.float32] | None = None
    audio_part: SensePart | None = None
    speech_part: SensePart | None = None


def frame_times(frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """`(F,)` seconds from the video's start."""
    return np.array([frame.time_s for frame in frames], np.float32)


@dataclass(frozen=True)
class InputNeeds:
    """What an encoder must be given, so that nothing else is decoded.

    Args:
        num_frames: frames per clip; 0 asks for no picture.
        short_side: pixels of the shorter side of each frame.
        audio_rate_hz: sampling rate of the waveform, or None for no sound.
    """

    num_frames: int = 0
    short_side: int = 224
    audio_rate_hz: int | None = None


@dataclass(frozen=True)
class Skipped:
    """A path that was passed over, and why, in words for the user."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a walk over the roots found.

    Args:
        files: every video file, each real file once, sorted by path.
        skipped: folders and files that could not be looked at.
        offline_roots: roots that are missing, unreadable, or hold nothing at all.
    """

    files: tuple[VideoFile, ...]
    skipped: tuple[Skipped, ...] = ()
    offline_roots: tuple[Path, ...] = field(default=())

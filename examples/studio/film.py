"""From shots, spoken lines and sounds to a media file with its subtitles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image

from studio import subtitles
from studio.page import HEIGHT, WIDTH, Page
from studio.sounds import RATE_HZ, Samples
from studio.speech import SpokenWord, Voice, speak
from studio.subtitles import Cue

Draw = Callable[[Page, float], None]

_DUCKED = 0.15

# FFmpeg opens no text encoder without a header of styles, even where, as here, packets come ready-made.
_NO_STYLES = b"[Script Info]\n[V4+ Styles]\n[Events]\n"


@dataclass(frozen=True)
class Shot:
    """One camera position: `draw(page, t)` draws the moment `t` seconds after the cut to it."""

    duration_s: float
    draw: Draw


@dataclass(frozen=True)
class Line:
    """A spoken sentence and the second at which it starts."""

    start_s: float
    text: str
    voice: Voice = "rms"


@dataclass(frozen=True)
class Sound:
    """A sound under or between the words."""

    start_s: float
    make: Callable[[], Samples]
    gain: float


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a file is encoded. Video options are those of the FFmpeg encoder."""

    video_codec: str = "libx264"
    video_options: tuple[tuple[str, str], ...] = (("crf", "27"), ("preset", "slow"), ("tune", "animation"))
    fps: int = 24
    gop_s: float = 5.0
    audio_codec: str | None = "aac"
    audio_rate_hz: int = 32_000
    audio_layout: str = "mono"
    audio_bits_per_s: int = 48_000


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video of the archive: what is seen, said and heard in it, and the form it is kept in."""

    path: str
    shots: tuple[Shot, ...]
    lines: tuple[Line, ...] = ()
    sounds: tuple[Sound, ...] = ()
    subtitles: subtitles.Kind | None = None
    format: Format = Format()
    title: str = ""
    description: str = ""

    @property
    def duration_s(self) -> float:
        return sum(shot.duration_s for shot in self.shots)


def make_clip(clip: Clip, folder: Path) -> list[Path]:
    """Write the clip and its subtitles below `folder`, and return the files written.

    Raises:
        ValueError: a line starts before the last one ends, or the last one outlasts the pictures.
    """
    file = folder / clip.path
    file.parent.mkdir(parents=True, exist_ok=True)
    cues = spoken_cues(clip)
    _write_media(clip, file, cues)
    return [file, *_write_subtitles(clip, file, cues)]


def spoken_cues(clip: Clip) -> list[Cue]:
    """The clip's lines with the times at which they are really heard."""
    cues: list[Cue] = []
    for line in clip.lines:
        sentence = speak(line.text, line.voice)
        if cues and line.start_s < cues[-1].end_s:
            raise ValueError(f"{clip.path}: {line.text!r} starts at {line.start_s} s, before {cues[-1].end_s:.2f} s")
        words = tuple(
            SpokenWord(word.text, line.start_s + word.start_s, line.start_s + word.end_s) for word in sentence.words
        )
        cues.append(Cue(line.start_s, line.start_s + sentence.duration_s, line.text, words))
    if cues and cues[-1].end_s > clip.duration_s:
        raise ValueError(f"{clip.path}: the last line ends at {cues[-1].end_s:.2f} s of {clip.duration_s} s")
    return cues


def soundtrack(clip: Clip) -> Samples:
    """Words and sounds, mixed; all zeros when there are none."""
    count = round(clip.duration_s * RATE_HZ)
    words = _layered(count, [(line.start_s, speak(line.text, line.voice).samples) for line in clip.lines])
    around = _layered(count, [(sound.start_s, sound.make() * sound.gain) for sound in clip.sounds])
    return np.asarray(np.tanh(words + around * _ducking(count, clip.lines)))


def _layered(count: int, layers: Sequence[tuple[float, Samples]]) -> Samples:
    track = np.zeros(count)
    for start_s, samples in layers:
        first = round(start_s * RATE_HZ)
        part = samples[: count - first]
        track[first : first + len(part)] += part
    return track


def _ducking(count: int, lines: Sequence[Line]) -> Samples:
    """How much of the sounds is left: they step back while someone speaks, as in any film."""
    level = np.ones(count)
    for line in lines:
        end_s = line.start_s + speak(line.text, line.voice).duration_s
        corners_s = np.array([line.start_s - 0.35, line.start_s - 0.05, end_s + 0.05, end_s + 0.4])
        level = np.minimum(level, np.interp(np.arange(count), corners_s * RATE_HZ, [1, _DUCKED, _DUCKED, 1]))
    return level


@dataclass(frozen=True)
class Moment:
    """What it takes to draw one frame: its time in the clip, and its shot's function and time."""

    time_s: float
    draw: Draw
    shot_s: float


def moments(clip: Clip) -> list[Moment]:
    """Every frame of the clip, shot after shot."""
    plan: list[Moment] = []
    start_s = 0.0
    for shot in clip.shots:
        for number in range(round(shot.duration_s * clip.format.fps)):
            shot_s = number / clip.format.fps
            plan.append(Moment(start_s + shot_s, shot.draw, shot_s))
        start_s += shot.duration_s
    return plan


def drawn(moment: Moment, cues: Sequence[Cue]) -> Image.Image:
    """The frame, with open mouths while a line is spoken."""
    page = Page(voice=_voice_level(cues, moment.time_s))
    moment.draw(page, moment.shot_s)
    return page.picture()


def _voice_level(cues: Sequence[Cue], time_s: float) -> float:
    """Between 0 and 1: three syllables a second while a word is spoken."""
    if not any(word.start_s <= time_s < word.end_s for cue in cues for word in cue.words):
        return 0.0
    return float(0.35 + 0.65 * np.sin(2 * np.pi * 3 * time_s) ** 2)


def _write_media(clip: Clip, file: Path, cues: Sequence[Cue]) -> None:
    """Pictures, sound and embedded subtitles, in step, so that a player need not seek back and forth."""
    form = clip.format
    # Bit-exact: no version strings and no random identifiers, so that the same script writes the same bytes.
    with av.open(str(file), "w", options={"fflags": "+bitexact"}) as container:
        if clip.title:
            container.metadata["title"] = clip.title
        video = container.add_stream(form.video_codec, rate=form.fps, options=dict(form.video_options))
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = round(form.gop_s * form.fps)
        video.codec_context.thread_count = 1
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        sound = _SoundWriter(container, clip) if form.audio_codec else None
        captions = _CaptionWriter(container, cues) if clip.subtitles == "embedded" else None
        for number, moment in enumerate(moments(clip)):
            frame = av.VideoFrame.from_image(drawn(moment, cues))
            frame.pts, frame.time_base = number, Fraction(1, form.fps)
            container.mux(video.encode(frame))
            for writer in (sound, captions):
                if writer:
                    writer.write_until(moment.time_s)
        container.mux(video.encode(None))
        for writer in (sound, captions):
            if writer:
                writer.finish()


class _SoundWriter:
    """The clip's soundtrack as an audio stream."""

    def __init__(self, container: av.container.OutputContainer, clip: Clip) -> None:
        form = clip.format
        assert form.audio_codec
        self._container = container
        self._track = soundtrack(clip)
        self._written = 0
        stream = container.add_stream(form.audio_codec, rate=form.audio_rate_hz, layout=form.audio_layout)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._stream.codec_context.bit_rate = form.audio_bits_per_s
        self._stream.codec_context.flags |= av.codec.context.Flags.bitexact
        self._resampler = av.AudioResampler(
            self._stream.codec_context.format or "fltp", form.audio_layout, form.audio_rate_hz
        )

    def write_until(self, time_s: float) -> None:
        self._write(round(time_s * RATE_HZ))

    def finish(self) -> None:
        self._write(len(self._track))
        for frame in self._resampler.resample(None):
            self._container.mux(self._stream.encode(frame))
        self._container.mux(self._stream.encode(None))

    def _write(self, end: int) -> None:
        part = self._track[self._written : end]
        if not len(part):
            return
        frame = av.AudioFrame.from_ndarray(part[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._written, Fraction(1, RATE_HZ)
        for resampled in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(resampled))
        self._written = end


class _CaptionWriter:
    """Lines as a SubRip stream; a packet of it is just its text."""

    def __init__(self, container: av.container.OutputContainer, cues: Sequence[Cue]) -> None:
        self._container = container
        self._waiting = list(cues)
        self._stream = container.add_stream("subrip")
        self._stream.codec_context.subtitle_header = _NO_STYLES
        self._stream.time_base = Fraction(1, 1000)
        self._stream.metadata["language"] = "eng"

    def write_until(self, time_s: float) -> None:
        while self._waiting and self._waiting[0].start_s <= time_s:
            cue = self._waiting.pop(0)
            packet = av.Packet(cue.text.encode())
            packet.stream, packet.time_base = self._stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(cue.start_s * 1000)
            packet.duration = round((cue.end_s - cue.start_s) * 1000)
            self._container.mux(packet)

    def finish(self) -> None:
        self.write_until(float("inf"))


def _write_subtitles(clip: Clip, file: Path, cues: Sequence[Cue]) -> list[Path]:
    """The sidecar files that the clip's kind of subtitles has."""
    written: dict[str, str] = {}
    match clip.subtitles:
        case "srt":
            written[".srt"] = subtitles.srt(cues)
        case "vtt":
            written[".vtt"] = subtitles.vtt(cues)
        case "youtube":
            written[".en.vtt"] = subtitles.youtube(cues)
        case "whisper":
            written[".json"] = subtitles.whisper(cues)
            written[".info.json"] = subtitles.info(clip.title, clip.description, clip.duration_s)
    for suffix, text in written.items():
        file.with_name(file.stem + suffix).write_text(text, encoding="utf-8")
    return [file.with_name(file.stem + suffix) for suffix in written]

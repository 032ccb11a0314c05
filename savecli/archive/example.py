"""A picture, or a span of a file, as an index run would hand it to an encoder. Loads torch."""

from __future__ import annotations

import os
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from savecli.archive.paths import stored_path
from savecli.archive.schema import ClipRow
from savecli.archive.speech import SpeechTrack
from savecli.archive.store import Archive
from savecli.archive.tables import sql_in
from savecli.core.errors import MediaError, UsageError
from savecli.core.hashing import content_hash
from savecli.core.records import AudioStream, ClipInput, InputNeeds, Span, VideoInfo
from savecli.features.inputs import read_clip_waveform
from savecli.media.audio import Waveform
from savecli.media.clips import read_clips
from savecli.media.container import open_media
from savecli.media.frames import read_frames, spread_frames
from savecli.media.probe import probe_video
from savecli.media.spans import MAX_CLIP_S
from savecli.transcript.choose import SpeechConfig, build_transcriber

# People read times off a player that shows whole seconds.
_TOLERANCE_S = 1.0
_SPEECH_RATE_HZ = 16_000


@dataclass(frozen=True, eq=False)
class FileClip:
    """A clip of a file; `video_id` is None when the archive does not hold its content."""

    clip_input: ClipInput
    video_id: str | None


def picture_clip(path: Path, *, needs: InputNeeds) -> ClipInput:
    """A picture as a clip of one frame, without sound and words.

    Raises:
        MediaError: it cannot be read as a picture.
    """
    _check_whole_picture(path)
    frame = next(read_frames(path, [0.0], short_side=needs.short_side), None)
    if frame is None:
        raise MediaError(f"cannot read {path.name}", why="no picture in it can be decoded")
    return ClipInput(Span(0.0, 0.0), frames=(frame,))


def file_clip(
    archive: Archive, path: Path, span: Span | None, *, needs: InputNeeds, reads_words: bool = True
) -> FileClip:
    """A span of a file with its frames, sound and words.

    Words are those that the archive holds of the file, else its subtitles, else what is recognised in the span by
    what is on this machine.

    Args:
        span: None is the whole file.
        reads_words: whether the encoder does.

    Raises:
        UsageError: the span is longer than a clip, or lies behind the file's end.
        MediaError: the file cannot be read as video.
    """
    info = probe_video(path)
    end_s = info.duration_s
    place = _checked_span(path, span, end_s)
    video_id = _content(archive, path)
    speech = ""
    if reads_words:
        speech = _found_words(info, place, end_s) if video_id is None else kept_words(archive, video_id, place)
    if place == Span(0.0, end_s):
        (clip_input,) = read_clips(info, needs=needs)
        return FileClip(replace(clip_input, speech=speech), video_id)
    frames = spread_frames(path, place, num_frames=needs.num_frames, short_side=needs.short_side)
    rate_hz = needs.audio_rate_hz
    waveform = None if rate_hz is None else read_clip_waveform(path, place, rate_hz=rate_hz)
    return FileClip(ClipInput(place, frames, speech, waveform), video_id)


def kept_words(archive: Archive, video_id: str, span: Span) -> str:
    """What the archive holds of the words of a video whose middle lies in a span."""
    clips = archive.clip_rows(sql_in("video_id", [video_id]))
    return " ".join(text for clip in clips for text in _words_within(clip, span))


def _words_within(clip: ClipRow, span: Span) -> Iterator[str]:
    if span.start_s <= clip.start_s and clip.end_s <= span.end_s:
        kept = clip.text
    else:
        inside = [word for word in clip.words if span.start_s <= (word.start_s + word.end_s) / 2 < span.end_s]
        kept = clip.text[inside[0].start : inside[-1].end] if inside else ""
    if kept:
        yield kept


def _checked_span(path: Path, span: Span | None, end_s: float) -> Span:
    """The span, cut at the file's end."""
    if span is None:
        if end_s <= MAX_CLIP_S:
            return Span(0.0, end_s)
        raise UsageError(
            f"{path.name} is longer than a clip",
            why=f"it lasts {end_s:.0f} s, a clip {MAX_CLIP_S:.0f} s at most",
            fix=f"give a span of it: --clip '{path}@0:00-0:10'",
        )
    if span.start_s >= end_s or span.end_s > end_s + _TOLERANCE_S:
        raise UsageError(
            f"{path.name} ends before the span does",
            why=f"it lasts {end_s:.1f} s; the span is {span.start_s:g} to {span.end_s:g} s",
            fix="give a span inside the file, e.g. 1:20-1:30",
        )
    if span.duration_s > MAX_CLIP_S:
        raise UsageError(
            "the span is longer than a clip",
            why=f"it lasts {span.duration_s:g} s, a clip {MAX_CLIP_S:.0f} s at most",
            fix="give a shorter span",
        )
    return Span(span.start_s, min(span.end_s, end_s))


def _content(archive: Archive, path: Path) -> str | None:
    """The `video_id` of the file's content if the archive holds it; reads the file only when a size is the same."""
    stat = path.stat()
    rows = archive.video_rows(f"size_bytes = {stat.st_size}", columns=("path", "video_id", "mtime_ns"))
    here = stored_path(os.path.abspath(path))
    for row in rows:
        if row.path == here and row.mtime_ns == stat.st_mtime_ns:
            return row.video_id
    video_id = content_hash(path) if rows else None
    return video_id if any(row.video_id == video_id for row in rows) else None


def _found_words(info: VideoInfo, span: Span, end_s: float) -> str:
    is_last = span.end_s >= end_s
    existing = build_transcriber(SpeechConfig(source="subtitles"), hub_reachable=lambda: False).transcribe(info)
    if existing.source != "none":
        return SpeechTrack(existing.utterances).within(span, is_last=is_last).text
    heard = None if info.audio is None else read_clip_waveform(info.path, span, rate_hz=_SPEECH_RATE_HZ)
    return "" if heard is None else _recognised(heard)


def _recognised(waveform: Waveform) -> str:
    """What is said, by the recogniser that an index run would take; nothing is downloaded for it."""
    config = SpeechConfig(allow_download=False)
    with tempfile.TemporaryDirectory(prefix="save-") as folder:
        path = Path(folder) / "span.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_SPEECH_RATE_HZ)
            file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
        sound = AudioStream(index=0, codec="pcm_s16le", rate_hz=_SPEECH_RATE_HZ, num_channels=1)
        info = VideoInfo(path, len(waveform) / _SPEECH_RATE_HZ, container="wav", video=None, audio=sound)
        return build_transcriber(config, hub_reachable=lambda: False).transcribe(info).text


def _check_whole_picture(path: Path) -> None:
    """Phones cut HEIC pictures into tiles, of which the decoder hands out one: no answer is better than a wrong one."""
    with open_media(path) as container:
        sizes = [(stream.width, stream.height) for stream in container.streams.video]
        if container.metadata.get("major_brand") in ("heic", "heix", "mif1") and len(set(sizes)) < len(sizes):
            raise MediaError(f"cannot read {path.name}", why="it is a HEIC picture in tiles")

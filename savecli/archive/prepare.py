"""From a file on disk to clips an encoder can take: the part of indexing that runs ahead in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from savecli.archive.analyzer import title_words
from savecli.archive.paths import stored_path
from savecli.archive.plan import Todo
from savecli.archive.schema import ClipRow, VideoRow
from savecli.archive.speech import SpeechTrack
from savecli.core.errors import MediaError
from savecli.core.hashing import content_hash, sample_hash
from savecli.core.records import ClipInput, Frame, InputNeeds, Span, Transcript, VideoInfo
from savecli.media.clips import SoundTrack, read_clips
from savecli.media.frames import read_frames
from savecli.media.probe import probe_video
from savecli.media.sampling import uniform_times


class Transcriber(Protocol):
    """What turns a file into a transcript; safe to call from several threads."""

    def transcribe(self, info: VideoInfo) -> Transcript: ...


@dataclass(frozen=True, eq=False)
class ClipReady:
    """A clip of `path` waits for the encoder."""

    path: Path
    clip: ClipRow
    clip_input: ClipInput


@dataclass(frozen=True)
class VideoReady:
    """All clips of a file have been handed over; `row` commits them. `note` is for the user, "" for none."""

    path: Path
    row: VideoRow
    note: str = ""


@dataclass(frozen=True)
class ContentKnown:
    """The file's content is in the archive already: only `row` must be written."""

    path: Path
    row: VideoRow


@dataclass(frozen=True)
class VideoFailed:
    """The file cannot be indexed, and why."""

    path: Path
    reason: str


Event = ClipReady | VideoReady | ContentKnown | VideoFailed


def prepare_video(
    todo: Todo,
    *,
    needs: InputNeeds,
    transcriber: Transcriber,
    find_content: Callable[[str], VideoRow | None],
) -> Iterator[Event]:
    """Events of one file: its clips, then one of ready, known or failed.

    Args:
        todo: the file.
        needs: what the encoder wants of each clip.
        transcriber: where its words come from.
        find_content: the row of a video with this `video_id`, if the archive has one.
    """
    path = todo.file.path
    try:
        info = probe_video(path)
        row = _describe(todo, info, video_id=content_hash(path))
        twin = find_content(row.video_id)
        if twin is not None:
            yield ContentKnown(path, _like_twin(row, twin))
            return
        transcript = transcriber.transcribe(info)
        track = SpeechTrack(transcript.utterances)
        num_clips, end_s = 0, 0.0
        for clip_input, is_last in _with_last_flag(read_clips(info, utterances=transcript.utterances, needs=needs)):
            speech = track.within(clip_input.span, is_last=is_last)
            span = clip_input.span
            clip = ClipRow(row.video_id, num_clips, span.start_s, span.end_s, speech.text, speech.words)
            yield ClipReady(path, clip, replace(clip_input, speech=speech.text))
            num_clips, end_s = num_clips + 1, span.end_s
        _check_unchanged(todo)
    except (MediaError, OSError) as error:
        yield VideoFailed(path, reason_of(error))
        return
    row = replace(
        row,
        duration_s=end_s or row.duration_s,
        num_clips=num_clips,
        speech_source=stored_path(transcript.source),  # it names a file
        language=transcript.language,
        transcript=transcript.text,
    )
    yield VideoReady(path, row, note=transcript.note)


def prepare_again(
    row: VideoRow, path: Path, clips: list[ClipRow], *, needs: InputNeeds
) -> Iterator[ClipReady | VideoReady | VideoFailed]:
    """Events of a video whose clips and words are kept and whose vectors are made anew by another encoder."""
    try:
        if needs.num_frames:
            times_s = [time_s for clip in clips for time_s in uniform_times(_span(clip), needs.num_frames)]
            frames = read_frames(path, times_s, short_side=needs.short_side)
        else:
            frames = iter(())
        sound = SoundTrack(path, needs.audio_rate_hz) if needs.audio_rate_hz is not None and row.has_sound else None
        for clip in clips:
            taken = tuple(frame for _, frame in zip(range(needs.num_frames), frames, strict=False))
            waveform = sound.take(_span(clip), is_last=clip is clips[-1]) if sound is not None else None
            yield ClipReady(path, clip, ClipInput(_span(clip), _without_repeats(taken), clip.text, waveform))
    except (MediaError, OSError) as error:
        yield VideoFailed(path, reason_of(error))
        return
    yield VideoReady(path, row)


def moved_row(row: VideoRow, todo: Todo) -> VideoRow:
    """`row` as it reads for the same content in another file."""
    return replace(
        row,
        path=stored_path(todo.file.path),
        root=stored_path(todo.root),
        title=_title(todo),
        size_bytes=todo.file.size_bytes,
        mtime_ns=todo.file.mtime_ns,
        is_missing=False,
    )


def reason_of(error: MediaError | OSError) -> str:
    """One line for the failures list: the cause, not the path, which stands beside it."""
    if isinstance(error, MediaError):
        return error.why or error.what
    if isinstance(error, FileNotFoundError):
        return "it disappeared while being read"
    return (error.strerror or str(error)).lower()


def _describe(todo: Todo, info: VideoInfo, *, video_id: str) -> VideoRow:
    video = info.video
    return VideoRow(
        path=stored_path(todo.file.path),
        video_id=video_id,
        root=stored_path(todo.root),
        title=_title(todo),
        size_bytes=todo.file.size_bytes,
        mtime_ns=todo.file.mtime_ns,
        sample_hash=sample_hash(todo.file.path),
        duration_s=info.duration_s,
        container=info.container,
        video_codec=video.codec if video else "",
        width=video.width if video else 0,
        height=video.height if video else 0,
        has_sound=info.audio is not None,
        indexed_at_s=int(time.time()),
    )


def _like_twin(row: VideoRow, twin: VideoRow) -> VideoRow:
    """`row` with everything that follows from the content taken from the video that has the same."""
    return replace(
        row,
        duration_s=twin.duration_s,
        num_clips=twin.num_clips,
        speech_source=twin.speech_source,
        language=twin.language,
        transcript=twin.transcript,
    )


def _title(todo: Todo) -> str:
    path, root = todo.file.path, todo.root
    below = path.relative_to(root) if path != root and path.is_relative_to(root) else Path(path.name)
    return title_words(stored_path(below))


def _check_unchanged(todo: Todo) -> None:
    """A file still being copied or recorded must not be committed half."""
    stat = todo.file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (todo.file.size_bytes, todo.file.mtime_ns):
        raise MediaError("not indexed", why="it changed while being read; index again when it is complete")


def _with_last_flag(clips: Iterator[ClipInput]) -> Iterator[tuple[ClipInput, bool]]:
    held: ClipInput | None = None
    for clip in clips:
        if held is not None:
            yield held, False
        held = clip
    if held is not None:
        yield held, True


def _span(clip: ClipRow) -> Span:
    return Span(clip.start_s, clip.end_s)


def _without_repeats(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """One frame may answer several times of a short clip; it counts once."""
    return tuple(frame for idx, frame in enumerate(frames) if idx == 0 or frame is not frames[idx - 1])

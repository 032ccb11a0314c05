"""Files that cannot be indexed fail one by one with a reason; what may not be looked at is not taken for gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from savecli.archive.plan import Todo, plan_index
from savecli.archive.prepare import ClipReady, ContentKnown, Event, VideoFailed, VideoReady, prepare_video
from savecli.archive.schema import VideoRow
from savecli.core.records import InputNeeds, VideoFile
from savecli.media.scan import find_videos
from savecli.transcript.choose import SpeechConfig, build_transcriber
from tests.conftest import VideoMaker

NOBODY = 65534


def events_of(path: Path, *, needs: InputNeeds | None = None, twin: VideoRow | None = None) -> list[Event]:
    stat = path.stat()
    todo = Todo(VideoFile(path, stat.st_size, stat.st_mtime_ns), path.parent)
    transcriber = build_transcriber(SpeechConfig(source="subtitles"), hub_reachable=lambda: False)
    return list(
        prepare_video(todo, needs=needs or InputNeeds(), transcriber=transcriber, find_content=lambda video_id: twin)
    )


def test_a_video_gives_its_clips_then_its_row(video: VideoMaker) -> None:
    path = video("talk.mp4", duration_s=20, rate_hz=5, audio=None)
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nhello there\n")
    *clips, end = events_of(path)
    assert isinstance(end, VideoReady)
    assert [type(clip) for clip in clips] == [ClipReady] * end.row.num_clips
    assert (end.row.duration_s, end.row.speech_source, end.row.transcript) == (20.0, "sidecar:talk.srt", "hello there")
    assert clips[0].clip_input.speech == clips[0].clip.text == "hello there"


def test_one_frame_is_a_video(video: VideoMaker) -> None:
    (clip, end) = events_of(video("one.mp4", duration_s=0.04, audio=None), needs=InputNeeds(num_frames=12))
    assert isinstance(clip, ClipReady)
    assert len(clip.clip_input.frames) == 1
    assert isinstance(end, VideoReady)
    assert end.row.num_clips == 1


def test_known_content_is_not_decoded(video: VideoMaker) -> None:
    path = video("copy.mp4")
    twin = VideoRow(path="/elsewhere/a.mp4", video_id="same", num_clips=7, transcript="words", duration_s=3.0)
    (known,) = events_of(path, twin=twin)
    assert isinstance(known, ContentKnown)
    assert (known.row.path, known.row.num_clips, known.row.transcript) == (str(path), 7, "words")


def test_a_file_that_changes_while_it_is_read_is_not_committed(video: VideoMaker) -> None:
    path = video("growing.mp4")
    stat = path.stat()
    todo = Todo(VideoFile(path, stat.st_size, stat.st_mtime_ns), path.parent)
    transcriber = build_transcriber(SpeechConfig(source="none"), hub_reachable=lambda: False)
    events = prepare_video(todo, needs=InputNeeds(), transcriber=transcriber, find_content=lambda video_id: None)
    assert isinstance(next(events), ClipReady)
    os.utime(path, (1, 1))
    (end,) = events
    assert isinstance(end, VideoFailed)
    assert "changed while being read" in end.reason


def test_a_file_that_disappears_is_a_failure_of_its_own(video: VideoMaker) -> None:
    path = video("gone.mp4")
    stat = path.stat()
    path.unlink()
    todo = Todo(VideoFile(path, stat.st_size, stat.st_mtime_ns), path.parent)
    transcriber = build_transcriber(SpeechConfig(source="none"), hub_reachable=lambda: False)
    (end,) = prepare_video(todo, needs=InputNeeds(), transcriber=transcriber, find_content=lambda video_id: None)
    assert isinstance(end, VideoFailed)
    assert "disappeared" in end.reason or "gone" in end.reason or "no such file" in end.reason.lower()


def test_what_may_not_be_read_is_told_and_nothing_of_it_is_missing(tmp_path: Path, video: VideoMaker) -> None:
    inside, secret = video("closed/a.mp4"), video("secret.mp4")
    stat = inside.stat()
    known = VideoRow(path=str(inside), video_id="a", size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
    secret.chmod(0)
    inside.parent.chmod(0)
    try:
        with _without_rights(tmp_path):
            scan = find_videos([tmp_path])
            plan = plan_index(scan, [tmp_path], [known])
            (end,) = events_of(secret)
    finally:
        inside.parent.chmod(0o755)
    assert [skipped.path for skipped in scan.skipped] == [inside.parent]
    assert "cannot be read" in scan.skipped[0].reason
    assert plan.missing == ()
    assert isinstance(end, VideoFailed)
    assert "permission" in end.reason.lower()


@contextmanager
def _without_rights(folder: Path) -> Iterator[None]:
    """Root may read everything, so for a moment be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    for parent in (folder, *folder.parents):
        parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)

"""Clips of real files: they cover the video, and each brings what was asked for."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from savecli.core.errors import MediaError
from savecli.core.records import ClipInput, InputNeeds, Span, Utterance
from savecli.media.clips import read_clips
from savecli.media.cuts import CutFinder
from savecli.media.probe import probe_video
from savecli.media.sampling import uniform_times
from tests.conftest import VideoMaker
from tests.make_media import frame_number, make_frame, tone

SMALL = {"width": 64, "height": 48, "rate_hz": 10}
NEEDS = InputNeeds(num_frames=12, short_side=48, audio_rate_hz=16000)


def clips_of(path: Path, *, needs: InputNeeds = NEEDS, utterances: tuple[Utterance, ...] = ()) -> list[ClipInput]:
    return list(read_clips(probe_video(path), utterances=utterances, needs=needs))


def assert_covers(clips: list[ClipInput], duration_s: float) -> None:
    assert clips[0].span.start_s == 0
    assert clips[-1].span.end_s == pytest.approx(duration_s, abs=0.15)
    assert all(one.span.end_s == following.span.start_s for one, following in pairwise(clips))
    assert all(5 - 1e-9 <= clip.span.duration_s <= 15 + 1e-9 for clip in clips) or len(clips) == 1


def test_a_short_video_is_one_clip_with_frames_at_uniform_times(video: VideoMaker) -> None:
    (clip,) = clips_of(video(duration_s=6, audio=None))
    assert clip.span == Span(0, 6)
    expected = [int(time_s * 25 + 1e-9) for time_s in uniform_times(clip.span, 12)]
    assert [frame_number(frame.pixels) for frame in clip.frames] == expected
    assert clip.speech == ""
    assert clip.waveform is None


def test_a_long_video_is_covered_by_clips_with_all_their_frames(video: VideoMaker) -> None:
    clips = clips_of(video("v.mkv", duration_s=73, **SMALL))
    assert_covers(clips, 73)
    for clip in clips:
        times_s = [frame.time_s for frame in clip.frames]
        assert len(times_s) == 12
        assert clip.span.start_s - 0.1 <= times_s[0]
        assert times_s[-1] < clip.span.end_s
        gaps = np.diff(times_s)
        assert gaps.max() < 2.2 * clip.span.duration_s / 12


def test_waveforms_join_to_the_whole_sound(video: VideoMaker) -> None:
    clips = clips_of(video("v.mkv", duration_s=40, **SMALL), needs=InputNeeds(audio_rate_hz=16000))
    assert all(clip.frames == () for clip in clips)
    for clip in clips:
        assert clip.waveform is not None
        assert len(clip.waveform) == pytest.approx(16000 * clip.span.duration_s, abs=16000 * 0.1)
        assert np.abs(clip.waveform).max() > 0.4


def test_borders_fall_on_cuts_of_the_picture(video: VideoMaker) -> None:
    scenes = ("red", "green", "blue", "yellow", "purple", "grey")
    clips = clips_of(video("v.mkv", duration_s=42, scenes=scenes, audio=None, **SMALL))
    assert [clip.span.end_s for clip in clips[:-1]] == pytest.approx([7, 14, 21, 28], abs=0.35)
    for clip in clips[:4]:
        colours = np.stack([frame.pixels[24:].mean(axis=(0, 1)) for frame in clip.frames])
        assert np.ptp(colours, axis=0).max() < 12, "a clip mixes two scenes"


def test_borders_fall_between_utterances(video: VideoMaker) -> None:
    said = (Utterance(0, 8.7, "a"), Utterance(9.3, 18, "b"), Utterance(18.6, 27, "c"))
    clips = clips_of(video("v.mkv", duration_s=33, audio=None, **SMALL), utterances=said)
    for clip in clips:
        assert not any(one.start_s < clip.span.end_s < one.end_s for one in said)


def test_without_frames_and_sound_nothing_is_opened(video: VideoMaker) -> None:
    info = replace(probe_video(video(duration_s=0.2)), path=Path("/gone"), duration_s=33.0)
    clips = list(read_clips(info, needs=InputNeeds()))
    assert_covers(clips, 33)


@pytest.mark.parametrize("claimed_s", [2.0, 300.0])
@pytest.mark.parametrize("true_s", [8, 30])
def test_the_true_end_wins(video: VideoMaker, claimed_s: float, true_s: int) -> None:
    info = replace(probe_video(video("v.mkv", duration_s=true_s, **SMALL)), duration_s=claimed_s)
    clips = list(read_clips(info, needs=NEEDS))
    assert_covers(clips, true_s)
    assert all(len(clip.frames) == 12 for clip in clips)


def test_one_frame_is_a_clip(video: VideoMaker) -> None:
    (clip,) = clips_of(video(duration_s=0.04, audio=None))
    assert len(clip.frames) == 1


def test_sound_may_outlast_the_picture(video: VideoMaker) -> None:
    clips = clips_of(video("v.mkv", duration_s=4, audio=tone(33), **SMALL))
    assert_covers(clips, 33)
    assert len(clips[0].frames) > 0
    assert clips[-1].frames == ()
    assert clips[-1].waveform is not None
    (short,) = clips_of(video("w.mkv", duration_s=3, audio=tone(12), **SMALL))
    assert len(short.frames) == 12
    (still,) = clips_of(video("s.mkv", duration_s=0.1, audio=tone(12), **SMALL))
    assert len(still.frames) == 1


def test_the_picture_may_outlast_the_sound(video: VideoMaker) -> None:
    clips = clips_of(video("v.mkv", duration_s=30, audio=tone(4), **SMALL))
    assert clips[0].waveform is not None
    assert len(clips[0].waveform) == pytest.approx(4 * 16000, abs=2000)
    assert clips[-1].waveform is None


def test_few_frames_per_second_give_few_frames(video: VideoMaker) -> None:
    clips = clips_of(video("v.mkv", duration_s=30, width=64, height=48, rate_hz=0.5, audio=None))
    for clip in clips:
        times_s = [frame.time_s for frame in clip.frames]
        assert len(set(times_s)) == len(times_s)
        assert 2 <= len(times_s) <= 9


def test_memory_is_bounded_by_what_lies_ahead(video: VideoMaker) -> None:
    info = probe_video(video("v.mkv", duration_s=200, audio=None, **SMALL))
    held = []
    for clip in read_clips(info, needs=NEEDS):
        held.append(clip.frames[0].time_s)
        if len(held) == 2:
            break
    assert held[1] < 16


def test_a_video_without_a_decodable_frame_is_refused(video: VideoMaker) -> None:
    path = video(duration_s=30, audio=None, **SMALL)
    info = probe_video(path)
    content = path.read_bytes()
    at, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    path.write_bytes(content[:at] + bytes(end - at) + content[end:])
    with pytest.raises(MediaError) as error:
        list(read_clips(info, needs=NEEDS))
    assert error.value.why == "no decodable video stream (no picture in it can be decoded)"


def test_hard_cuts_are_found_and_motion_is_not(rng: np.random.Generator) -> None:
    finder = CutFinder()
    pictures = [make_frame(10 * n, "red") for n in range(10)] + [make_frame(10 * n, "blue") for n in range(10)]
    assert [n for n, pixels in enumerate(pictures) if finder.is_cut_before(pixels)] == [10]
    noisy = CutFinder()
    still = rng.integers(0, 256, (240, 320, 3)).astype(np.float64)
    frames = [np.clip(still + rng.normal(0, 12, still.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    assert not any(noisy.is_cut_before(pixels) for pixels in frames)

"""The planned frame reader against the obvious one: same frames, same times, bit for bit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from savecli.core.errors import MediaError
from savecli.core.records import Frame
from savecli.media import frames as frames_module
from savecli.media.frames import read_frames
from savecli.media.plain import plain_frames
from savecli.media.planned import Planner
from savecli.media.probe import measured_duration_s
from savecli.media.source import open_pictures
from tests.conftest import VideoMaker
from tests.make_media import frame_number

X265 = {"preset": "ultrafast"}
OPEN_GOP = "open-gop=1:keyint=20:min-keyint=5:bframes=3"
VFR_TIMES_S = np.sort(np.random.default_rng(5).uniform(0, 4, 80)).round(3).tolist()


def x265(params: str) -> dict[str, str]:
    return {"preset": "veryfast", "x265-params": f"log-level=none:{params}"}


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264": ("v.mp4", {}),
    "h264 with one key frame": ("v.mp4", {"gop": 1000}),
    "h264 with open groups": ("v.mkv", {"options": {"x264-params": OPEN_GOP}}),
    "h264 with intra refresh": ("v.ts", {"options": {"x264-params": "intra-refresh=1:keyint=30"}}),
    "h264 in a late transport stream": ("v.ts", {"start_s": 10}),
    "h264 turned": ("v.mov", {"rotation": 90}),
    "h264 of variable rate": ("v.mkv", {"times_s": VFR_TIMES_S}),
    "h264 without times": ("v.h264", {"audio": None}),
    "h264 in avi": ("v.avi", {}),
    "h264 interlaced": ("v.ts", {"options": {"x264-params": "tff=1"}}),
    "hevc": ("v.mp4", {"codec": "libx265", "options": x265("keyint=25")}),
    "hevc with open groups": ("v.mkv", {"codec": "libx265", "options": x265("open-gop=1:keyint=20:bframes=4")}),
    "hevc in layers": ("v.mp4", {"codec": "libx265", "options": x265("temporal-layers=3:bframes=7:b-adapt=0")}),
    "vp8": ("v.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "9", "cpu-used": "5"}}),
    "vp9": ("v.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    "av1": ("v.mp4", {"codec": "libsvtav1", "options": {"preset": "11"}}),
    "mpeg4": ("v.mp4", {"codec": "mpeg4"}),
    "mpeg4 in avi": ("v.avi", {"codec": "mpeg4"}),
    "mpeg2": ("v.mpg", {"codec": "mpeg2video"}),
    "mjpeg": ("v.mkv", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "one frame a second": ("v.mkv", {"rate_hz": 1}),
    "one frame": ("v.mp4", {"duration_s": 0.04}),
}


def obvious_frames(path: Path, times_s: Sequence[float], *, short_side: int | None = None) -> list[Frame]:
    with open_pictures(path, short_side=short_side, num_threads=1) as source:
        return list(plain_frames(source, times_s))


def assert_same(frames: Sequence[Frame], expected: Sequence[Frame]) -> None:
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in expected]
    for frame, other in zip(frames, expected, strict=True):
        assert np.array_equal(frame.pixels, other.pixels), f"other pixels at {frame.time_s} s"


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_of_decoding_everything(video: VideoMaker, rng: np.random.Generator, kind: str) -> None:
    name, options = KINDS[kind]
    path = video(name, **{"duration_s": 4, "audio": None, **options})
    steps = (0.04, 0.42, 1.7)
    wishes = [np.arange(-0.1, 5, step).tolist() for step in steps] + [np.sort(rng.uniform(-1, 5, 15)).tolist(), [2.2]]
    for times_s in wishes:
        assert_same(list(read_frames(path, times_s, short_side=None)), obvious_frames(path, times_s))


@pytest.mark.parametrize(
    "kind", ["h264", "h264 with open groups", "hevc", "vp9", "av1", "h264 in a late transport stream"]
)
def test_the_plan_holds_without_rescue(video: VideoMaker, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a planned frame did not come out")

    monkeypatch.setattr(frames_module._Rescuer, "frame", refuse)
    monkeypatch.setattr(frames_module._Reader, "_plain_frames", refuse)
    name, options = KINDS[kind]
    path = video(name, **{"duration_s": 4, "audio": None, **options})
    assert len(list(read_frames(path, np.arange(0, 3.9, 0.3), short_side=None))) == 13


def test_unneeded_frames_are_not_decoded(video: VideoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(duration_s=8, gop=50, audio=None, options={"x264-params": "b-adapt=0:bframes=3"})
    decoded = []
    take = Planner._take
    monkeypatch.setattr(Planner, "_take", lambda self, frame: (decoded.append(frame.pts), take(self, frame)))
    frames = list(read_frames(path, [0.1, 4.2], short_side=None))
    assert [frame_number(frame.pixels) for frame in frames] == [2, 105]
    assert len(decoded) < 16


def test_each_time_gets_the_frame_that_shows_then(video: VideoMaker) -> None:
    path = video(duration_s=3, audio=None)
    times_s = [n / 25 for n in range(75)]
    assert [frame_number(frame.pixels) for frame in read_frames(path, times_s, short_side=None)] == list(range(75))
    between = [n / 25 + 0.039 for n in range(75)]
    assert [frame_number(frame.pixels) for frame in read_frames(path, between, short_side=None)] == list(range(75))


def test_times_are_those_of_a_variable_rate(video: VideoMaker) -> None:
    path = video("v.mkv", times_s=[0, 0.1, 0.15, 1.5, 1.51, 2.7], audio=None)
    frames = list(read_frames(path, [0.05, 0.12, 1.0, 1.505, 2.0], short_side=None))
    assert [frame.time_s for frame in frames] == [0, 0.1, 0.15, 1.5, 1.51]
    assert [frame_number(frame.pixels) for frame in frames] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_upright(video: VideoMaker, rotation: int) -> None:
    path = video(rotation=rotation, width=160, height=96, duration_s=0.5, audio=None)
    (frame,) = read_frames(path, [0.2], short_side=None)
    assert frame.pixels.shape == (96, 160, 3)
    assert frame_number(frame.pixels) == 5


@pytest.mark.parametrize(("short_side", "shape"), [(60, (60, 80, 3)), (120, (120, 160, 3)), (224, (120, 160, 3))])
def test_the_shorter_side_is_scaled_down_and_never_up(
    video: VideoMaker, short_side: int, shape: tuple[int, int, int]
) -> None:
    (frame,) = read_frames(video(duration_s=0.2, audio=None), [0], short_side=short_side)
    assert frame.pixels.shape == shape
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous


def test_a_portrait_picture_keeps_its_shape(video: VideoMaker) -> None:
    path = video(rotation=90, width=96, height=160, duration_s=0.2, audio=None)
    (frame,) = read_frames(path, [0], short_side=48)
    assert frame.pixels.shape == (80, 48, 3)


def test_colours_come_out_as_they_went_in(video: VideoMaker) -> None:
    (frame,) = read_frames(video(scenes=[(200, 40, 40)], duration_s=0.2, audio=None), [0], short_side=None)
    below_bars = frame.pixels[40:].reshape(-1, 3).mean(axis=0)
    assert below_bars == pytest.approx((200, 40, 40), abs=6)


def test_a_second_reader_thread_changes_nothing(video: VideoMaker) -> None:
    path = video(duration_s=4, audio=None)
    times_s = np.arange(0, 4, 0.3).tolist()
    assert_same(list(read_frames(path, times_s, short_side=None, num_threads=2)), obvious_frames(path, times_s))


def test_far_times_are_reached_by_seeking(video: VideoMaker) -> None:
    path = video("v.mkv", duration_s=100, rate_hz=10, gop=20, width=64, height=48, audio=None)
    times_s = [30.05, 31.0, 75.2, 99.9]
    assert_same(list(read_frames(path, times_s, short_side=None)), obvious_frames(path, times_s))


@pytest.mark.parametrize("name", ["v.ts", "v.mp4", "v.avi", "v.h264"])
def test_far_times_are_right_in_every_container(video: VideoMaker, name: str) -> None:
    path = video(name, duration_s=60, rate_hz=10, gop=20, width=64, height=48, audio=None)
    times_s = [25.0, 26.0, 55.5]
    assert_same(list(read_frames(path, times_s, short_side=None)), obvious_frames(path, times_s))


def test_the_stream_may_end_before_the_wanted_times(video: VideoMaker) -> None:
    path = video(duration_s=2, audio=None)
    assert len(list(read_frames(path, [0.5, 1.99, 2.01, 5], short_side=None))) == 2
    assert len(list(read_frames(path, [0.5, 100], short_side=None))) == 1
    assert list(read_frames(path, [50], short_side=None)) == []
    assert list(read_frames(path, [], short_side=None)) == []


def test_times_are_taken_as_frames_are_asked_for(video: VideoMaker) -> None:
    taken = []

    def endless() -> Iterator[float]:
        for number in count():
            taken.append(number)
            yield number * 0.1

    path = video(duration_s=3, audio=None)
    assert len(list(islice(read_frames(path, endless(), short_side=None), 5))) == 5
    assert len(taken) < 20
    assert len(list(read_frames(path, endless(), short_side=None))) == 30


def test_times_have_to_ascend(video: VideoMaker) -> None:
    path = video(duration_s=1, audio=None)
    with pytest.raises(ValueError, match="times must ascend"):
        list(read_frames(path, [0.5, 0.2], short_side=None))


def test_long_groups_do_not_pile_up(video: VideoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video("v.mkv", duration_s=60, rate_hz=25, gop=10_000, width=64, height=48, audio=None)
    longest = 0
    read_past = Planner._read_past

    def measured(self: Planner, *args: Any) -> None:
        nonlocal longest
        read_past(self, *args)
        longest = max(longest, len(self._queue))

    monkeypatch.setattr(Planner, "_read_past", measured)
    times_s = [0, 19, 38, 57]
    assert_same(list(read_frames(path, times_s, short_side=None)), obvious_frames(path, times_s))
    assert longest <= 520


def test_a_truncated_file_gives_what_it_has(video: VideoMaker) -> None:
    path = video("v.mkv", duration_s=6, audio=None)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    times_s = np.arange(0, 6, 0.2).tolist()
    frames = list(read_frames(path, times_s, short_side=None))
    assert 5 < len(frames) < 25
    assert_same(frames, obvious_frames(path, times_s))


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_a_damaged_place_loses_nothing_behind_it(video: VideoMaker, name: str) -> None:
    path = video(name, duration_s=8, gop=25, audio=None)
    expected = {frame.time_s: frame for frame in obvious_frames(path, np.arange(0, 8, 0.2).tolist())}
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = np.random.default_rng(1).bytes(600)
    path.write_bytes(content)
    frames = list(read_frames(path, np.arange(0, 8, 0.2).tolist(), short_side=None))
    assert frames[-1].time_s > 7.5
    same = [f for f in frames if f.time_s in expected and np.array_equal(f.pixels, expected[f.time_s].pixels)]
    # At most the second that was hit, and the one after it, may look different.
    assert len(same) >= len(expected) - 10
    assert same[0].time_s == 0
    assert same[-1].time_s == frames[-1].time_s


def test_a_file_without_pictures_is_refused(video: VideoMaker) -> None:
    path = video("sound.m4a", codec=None, duration_s=1)
    with pytest.raises(MediaError) as error:
        next(read_frames(path, [0], short_side=None))
    assert error.value.why == "no video stream"
    assert measured_duration_s(path) == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no such scheduling here")
def test_making_av1_leaves_the_priority_of_this_process_alone(video: VideoMaker) -> None:
    """Of tests, not of save: real-time priority is inherited by every process that later tests start."""
    before = os.sched_getscheduler(0)
    name, options = KINDS["av1"]
    video(name, **options, duration_s=0.4, audio=None)
    assert os.sched_getscheduler(0) == before

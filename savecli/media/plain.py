"""The slow and obvious frame reader: decodes everything and keeps what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, dropwhile

from av.video.frame import VideoFrame

from savecli.core.records import Frame
from savecli.media.source import PictureSource


class StartsTooLateError(Exception):
    """After seeking, the first frame that decodes lies behind the first wanted time."""


def plain_frames(source: PictureSource, times_s: Iterable[float], *, after_seek: bool = False) -> Iterator[Frame]:
    """For each ascending time the last frame at or before it, the first frame for times before that.

    Stops where the stream ends: the last frame counts as long as its own duration, its distance from the frame before
    it, or a frame of the nominal rate, whichever is longest.

    Args:
        after_seek: the source was moved, so decoding has to wait for a key frame.

    Raises:
        StartsTooLateError: `after_seek`, and the first frame is later than the first wanted time or has none.
    """
    wanted = iter(times_s)
    time_s = next(wanted, None)
    current: tuple[float, VideoFrame] | None = None
    made: Frame | None = None
    end_s = 0.0
    for frame_s, decoded in _timed_frames(source, after_seek=after_seek):
        if current is None and after_seek and time_s is not None and frame_s > time_s:
            raise StartsTooLateError
        while time_s is not None and current is not None and time_s < frame_s:
            made = made or source.frame(current[1], current[0])
            yield made
            time_s = next(wanted, None)
        if time_s is None:
            return
        gap_s = frame_s - current[0] if current is not None else 0.0
        end_s = frame_s + max(gap_s, source.frame_step_s, source.ticks_s(decoded.duration or 0))
        current, made = (frame_s, decoded), None
    while time_s is not None and current is not None and time_s < end_s:
        made = made or source.frame(current[1], current[0])
        yield made
        time_s = next(wanted, None)


def _timed_frames(source: PictureSource, *, after_seek: bool) -> Iterator[tuple[float, VideoFrame]]:
    """Every frame in order of showing with its time; frames without one, or with one that runs back, are counted."""
    packets = source.packets()
    if after_seek:
        packets = dropwhile(lambda packet: not packet.is_keyframe, packets)
    last_s: float | None = None
    for packet in chain(packets, (None,)):
        for decoded in source.decode(packet):
            pts = decoded.pts if source.has_times else None
            if pts is not None and (last_s is None or source.time_s(pts) > last_s):
                last_s = source.time_s(pts)
            elif after_seek and last_s is None:
                raise StartsTooLateError
            else:
                last_s = 0.0 if last_s is None else last_s + source.frame_step_s
            yield last_s, decoded

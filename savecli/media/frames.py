"""Frames of a video at wanted times: exact, upright, small, and decoded as little as needed."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import chain
from pathlib import Path

from savecli.core.errors import MediaError
from savecli.core.records import Frame, Span
from savecli.media.plain import StartsTooLateError, plain_frames
from savecli.media.planned import Planner, UnplannableError
from savecli.media.sampling import uniform_times
from savecli.media.source import PictureSource, open_pictures

logger = logging.getLogger(__name__)

# Wanted times further apart than this are reached by a seek, nearer ones by reading on.
_SEEK_AHEAD_S = 20.0

# How far before a wanted time plain decoding starts; a key frame is found there as a rule.
_PLAIN_BACK_S = (2.0, 30.0)

# Files where the plan fails for most frames are decoded plainly from then on.
_MIN_LOST, _MAX_LOST_SHARE = 32, 0.5


def read_frames(
    path: Path, times_s: Iterable[float], *, short_side: int | None, num_threads: int = 1
) -> Iterator[Frame]:
    """For each wanted time the frame that a player shows then: the last one that starts at or before it.

    Times before the first frame get the first frame. Frames bear the time they really have and are the same, bit for
    bit, as if everything had been decoded. Ends early when the stream ends before a wanted time. Lazy: times are
    taken as frames are asked for, and memory does not grow with the length of the file.

    Args:
        times_s: ascending seconds from the container's start; may be endless.
        short_side: pixels of the shorter side; smaller frames are not enlarged, None keeps the stored size.
        num_threads: of the decoder; one, as the pipeline runs several readers side by side.

    Raises:
        MediaError: the file cannot be opened, or has no video stream that can be decoded.
        ValueError: the times do not ascend.
    """
    reader = _Reader(path, short_side=short_side, num_threads=num_threads)
    times = _Times(times_s)
    while times.begin_stretch():
        num_answered = 0
        for frame in reader.frames(times):
            num_answered += 1
            yield frame
        if num_answered < times.num_taken:
            return


def spread_frames(
    path: Path, span: Span, *, num_frames: int, short_side: int | None, num_threads: int = 1
) -> tuple[Frame, ...]:
    """Frames spread evenly over a span, at least one and each once; fewer where the span has fewer.

    Raises:
        MediaError: the file cannot be read, or it has no picture from the span's start on.
    """

    def at(times_s: Sequence[float]) -> list[Frame]:
        return list(read_frames(path, times_s, short_side=short_side, num_threads=num_threads))

    frames = at(uniform_times(span, num_frames))
    if 0 < len(frames) < num_frames:
        # The span goes on after the picture: spread the frames over the picture alone.
        picture_s = span.duration_s * len(frames) / num_frames
        frames = at(uniform_times(Span(span.start_s, span.start_s + picture_s), num_frames))
    frames = frames or at([span.start_s])
    if not frames and span.start_s > 0:
        raise MediaError(f"cannot read {path.name}", why=f"it has no picture at {span.start_s:.2f} s")
    if not frames:
        raise nothing_decoded(path)
    return tuple(distinct_frames(frames))


def distinct_frames(frames: Iterable[Frame]) -> list[Frame]:
    """The frames without repetitions, as slow streams show one frame at several wanted times."""
    distinct: list[Frame] = []
    for frame in frames:
        if not distinct or frame.time_s != distinct[-1].time_s:
            distinct.append(frame)
    return distinct


def nothing_decoded(path: Path) -> MediaError:
    """What is wrong with a file that has a video stream, but no picture."""
    return MediaError(f"cannot read {path.name}", why="no decodable video stream (no picture in it can be decoded)")


class _Times(Iterator[float]):
    """The wanted times, handed out in stretches without long gaps; between stretches a reader seeks.

    Raises:
        ValueError: on taking a time that is before the last one.
    """

    def __init__(self, times_s: Iterable[float]) -> None:
        self._rest = iter(times_s)
        self._next_s = next(self._rest, None)
        self._last_s: float | None = None
        self.may_split = True
        self.num_taken = 0

    def begin_stretch(self) -> bool:
        """Go on behind a long gap; False when there are no more times."""
        self._last_s = None
        self.num_taken = 0
        return self._next_s is not None

    def __next__(self) -> float:
        time_s = self._next_s
        if time_s is None:
            raise StopIteration
        if self._last_s is not None and self.may_split and time_s > self._last_s + _SEEK_AHEAD_S:
            raise StopIteration
        self._last_s = time_s
        self._next_s = next(self._rest, None)
        if self._next_s is not None and not self._next_s >= time_s:
            raise ValueError(f"time {self._next_s} s comes after {time_s} s; times must ascend")
        self.num_taken += 1
        return time_s


class _Reader:
    """Answers wanted times from one file: by plan, by rescue where a planned frame is lost, else plainly."""

    def __init__(self, path: Path, *, short_side: int | None, num_threads: int) -> None:
        self._path = path
        self._open = partial(open_pictures, path, short_side=short_side, num_threads=num_threads)
        self._is_plannable = True
        self._num_answered = 0
        self._num_lost = 0

    def frames(self, times: _Times) -> Iterator[Frame]:
        """Frames for one stretch; fewer than it has times only when the stream ends."""
        if not self._is_plannable:
            yield from self._plain_frames(times, times)
            return
        with self._open() as source, _Rescuer(self._open) as rescuer:
            planner = Planner(source, times)
            try:
                for time_s, frame in planner.frames():
                    if frame is None:
                        self._num_lost += 1
                        frame = rescuer.frame(time_s)
                    if frame is None:
                        return
                    self._num_answered += 1
                    yield frame
                    if self._num_lost > max(_MIN_LOST, _MAX_LOST_SHARE * self._num_answered):
                        logger.debug("%s: %d planned frames lost", self._path, self._num_lost)
                        break
                else:
                    return
            except UnplannableError as error:
                logger.debug("%s is decoded plainly: %s", self._path, error)
        self._is_plannable = False
        yield from self._plain_frames(times, chain(planner.pending_s, times))

    def _plain_frames(self, times: _Times, wanted_s: Iterator[float]) -> Iterator[Frame]:
        first_s = next(wanted_s, None)
        if first_s is None:
            return
        for back_s in _PLAIN_BACK_S if first_s > _SEEK_AHEAD_S else ():
            with self._open() as source:
                if not source.seek(first_s - back_s):
                    break
                frames = plain_frames(source, chain((first_s,), wanted_s), after_seek=True)
                try:
                    first = next(frames, None)
                except StartsTooLateError:
                    continue
                if first is not None:
                    yield first
                    yield from frames
                    return
        # What cannot be searched is decoded from the beginning, once.
        times.may_split = False
        with self._open() as source:
            yield from plain_frames(source, chain((first_s,), wanted_s))


class _Rescuer:
    """Decodes plainly around single frames that a plan lost; goes on decoding when the next one is near."""

    def __init__(self, open_source: Callable[[], AbstractContextManager[PictureSource]]) -> None:
        self._open = open_source
        self._stack = ExitStack()
        self._wanted_s: deque[float] = deque()
        self._frames: Iterator[Frame] = iter(())
        self._last_s = float("-inf")

    def __enter__(self) -> _Rescuer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def frame(self, time_s: float) -> Frame | None:
        """The frame that plain decoding gives for this time, or None when the stream ends before; times ascend."""
        is_near = time_s <= self._last_s + _SEEK_AHEAD_S
        self._last_s = time_s
        self._wanted_s.append(time_s)
        return next(self._frames, None) if is_near else self._begin(time_s)

    def _begin(self, time_s: float) -> Frame | None:
        for back_s in (*_PLAIN_BACK_S, None):
            self._stack.close()
            source = self._stack.enter_context(self._open())
            if back_s is not None and not source.seek(time_s - back_s):
                continue
            self._wanted_s = deque([time_s])
            self._frames = plain_frames(source, self._popped(), after_seek=back_s is not None)
            try:
                frame = next(self._frames, None)
            except StartsTooLateError:
                continue
            if frame is not None:
                return frame
        return None

    def _popped(self) -> Iterator[float]:
        while self._wanted_s:
            yield self._wanted_s.popleft()

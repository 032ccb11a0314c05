"""A video as a stream of clips with everything an encoder needs, read once from beginning to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np

from savecli.core.records import ClipInput, Frame, InputNeeds, Span, Utterance, VideoInfo
from savecli.media.audio import Waveform, read_audio
from savecli.media.cuts import CutFinder
from savecli.media.frames import distinct_frames, nothing_decoded, read_frames, spread_frames
from savecli.media.probe import measured_duration_s
from savecli.media.sampling import evenly_spread
from savecli.media.spans import MAX_CLIP_S, MIN_CLIP_S, clip_spans, next_border

# Rarer frames than this miss too many picture cuts (1.2 a second find 97 % of hard ones).
_MAX_STEP_S = 1 / 1.2

# By how much the sound of a file may outlast what its header and packets say; a packet of the slowest codec is shorter.
_MOST_PADDING_S = 0.5


def read_clips(
    info: VideoInfo, *, utterances: Sequence[Utterance] = (), needs: InputNeeds, num_threads: int = 1
) -> Iterator[ClipInput]:
    """The video's clips in order, covering it without gaps; `speech` is left empty.

    Each has `needs.num_frames` frames spread evenly over it, fewer where the picture has fewer, none where the sound
    outlasts the picture. With no frames and no sound asked for, nothing is decoded. Otherwise the end that the
    packets show wins over `info.duration_s`. Memory does not grow with the length of the video.

    Args:
        utterances: in order of their start; clip borders fall between them.
        num_threads: of the picture decoder.

    Raises:
        MediaError: the file cannot be read, or not one of its frames can be decoded.
    """
    sound = SoundTrack(info.path, needs.audio_rate_hz) if needs.audio_rate_hz is not None and info.audio else None
    if needs.num_frames == 0:
        parts: Iterable[_Part] = map(_Part, clip_spans(info.duration_s, utterances=utterances))
    else:
        parts = _pictured_parts(info.path, utterances, needs, num_threads=num_threads)
    for part in parts:
        waveform = sound.take(part.span, is_last=part.is_last) if sound is not None else None
        yield ClipInput(span=part.span, frames=part.frames, waveform=waveform)


@dataclass(frozen=True, eq=False)
class _Part:
    """A clip's place and pictures."""

    span: Span
    frames: tuple[Frame, ...] = ()
    is_last: bool = False


def _pictured_parts(
    path: Path, utterances: Sequence[Utterance], needs: InputNeeds, *, num_threads: int
) -> Iterator[_Part]:
    duration_s = measured_duration_s(path)
    if duration_s <= MAX_CLIP_S:
        span = Span(0.0, duration_s)
        frames = spread_frames(
            path, span, num_frames=needs.num_frames, short_side=needs.short_side, num_threads=num_threads
        )
        yield _Part(span, frames, is_last=True)
        return
    # So fine that the shortest clip gets all its frames; the thousandth keeps rounding from costing one.
    step_s = min(0.999 * MIN_CLIP_S / needs.num_frames, _MAX_STEP_S)
    grid = _Grid(path, duration_s, step_s=step_s, short_side=needs.short_side, num_threads=num_threads)
    start_s, first = 0.0, 0
    while start_s < duration_s:
        grid.read_until(start_s + MAX_CLIP_S + step_s)
        while first < len(utterances) and utterances[first].end_s <= start_s:
            first += 1
        border_s = next_border(start_s, duration_s, utterances=utterances[first:], cuts_s=grid.cuts_s)
        frames = evenly_spread(grid.taken_before(border_s), needs.num_frames)
        yield _Part(Span(start_s, border_s), frames, is_last=border_s >= duration_s)
        start_s = border_s


class _Grid:
    """Frames at equal steps from the start of a video, kept until their clip is complete."""

    def __init__(self, path: Path, duration_s: float, *, step_s: float, short_side: int, num_threads: int) -> None:
        self._path = path
        times_s = takewhile(lambda time_s: time_s < duration_s, ((n + 0.5) * step_s for n in count()))
        self._step_s = step_s
        self._frames = read_frames(path, times_s, short_side=short_side, num_threads=num_threads)
        self._num_read = 0
        self._kept: list[tuple[float, Frame]] = []
        self._finder = CutFinder()
        self.cuts_s: list[float] = []

    def read_until(self, end_s: float) -> None:
        """Have all frames, and all cuts between them, up to this time."""
        while (time_s := (self._num_read + 0.5) * self._step_s) < end_s:
            frame = next(self._frames, None)
            if frame is None:
                if self._num_read == 0:
                    raise nothing_decoded(self._path)
                return
            self._num_read += 1
            self._kept.append((time_s, frame))
            if self._finder.is_cut_before(frame.pixels):
                # Somewhere between the last grid frame and this one.
                self.cuts_s.append(time_s - self._step_s / 2)

    def taken_before(self, border_s: float) -> list[Frame]:
        """The frames that show before this time and were not taken yet; they are kept no longer."""
        taken = [frame for time_s, frame in self._kept if time_s < border_s]
        self._kept = self._kept[len(taken) :]
        self.cuts_s = [cut_s for cut_s in self.cuts_s if cut_s > border_s]
        return distinct_frames(taken)


class SoundTrack:
    """The video's waveform, handed out clip by clip."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._blocks = read_audio(path, rate_hz=rate_hz, block_s=MAX_CLIP_S)
        self._rate_hz = rate_hz
        self._position = 0
        self._held: Waveform = np.zeros(0, np.float32)

    def take(self, span: Span, *, is_last: bool = False) -> Waveform | None:
        """The span's samples, fewer where the sound ends in it, None where it has ended; spans follow one another.

        The last clip also takes what comes right after the video's end: encoders fill up their last packet, and models
        are trained on whole files.
        """
        end_s = span.end_s + (_MOST_PADDING_S if is_last else 0.0)
        num_wanted = round(end_s * self._rate_hz) - self._position
        while len(self._held) < num_wanted and (block := next(self._blocks, None)) is not None:
            self._held = np.concatenate([self._held, block])
        waveform, self._held = self._held[:num_wanted], self._held[num_wanted:]
        self._position += num_wanted
        return waveform if len(waveform) else None

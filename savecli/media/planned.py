"""The fast frame reader: looks at the packets first, and decodes only what the wanted frames need."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from savecli.core.records import Frame
from savecli.media.nonref import can_skip_nonref, may_split_fields, shows_picture
from savecli.media.source import PictureSource

# H.264 and HEVC hold back at most 16 pictures, so what shows before a packet comes at most 16 packets after it.
REORDER_PACKETS = 16

# Longer groups of pictures are decoded while they are read: some recordings have one key frame in all, and their
# packets must not pile up.
_MAX_QUEUE = 512

# Wanted frames this far into the file are worth a seek. Seeking goes by decoding times and lands late now and then.
_SEEK_FROM_S = 10.0
_SEEK_BACK_S = (1.0, 8.0, 64.0)


class UnplannableError(Exception):
    """The packets do not tell which frames they hold."""


@dataclass(frozen=True)
class _Item:
    """A packet and the time at which its picture shows."""

    packet: Packet[VideoStream]
    pts: int
    time_s: float
    is_shown: bool


@dataclass
class _Wish:
    """A wanted time and the frame chosen for it."""

    time_s: float
    item: _Item
    is_lost: bool = False


class Planner:
    """Reads one stretch of wanted times; feeds the decoder from a key frame up to the wanted frame and no further.

    Between the wanted frames of one group of pictures the decoder goes on; where whole groups are left out it is
    emptied and starts again at the next key frame that shows at or before the wanted time. That also holds for open
    groups: a picture that shows before its key frame is decoded from the key frame before.
    """

    def __init__(self, source: PictureSource, times_s: Iterator[float]) -> None:
        self._source = source
        self._times = times_s
        self._packets: Iterator[Packet[VideoStream]] | None = None
        self._can_skip = can_skip_nonref(source.context)
        self._may_split_fields = may_split_fields(source.context)
        self._is_at_end = False
        self._queue: deque[_Item] = deque()  # read, but neither fed nor left out; in order of decoding
        self._has_left_out = False
        self._key: _Item | None = None  # where decoding started last, until its picture has come out
        self._wishes: deque[_Wish] = deque()
        self._num_later = 0  # frames that came out after the one that the first wish waits for
        self._ahead: list[_Item] = []  # fed, and showing at or after the last chosen frame
        self._kept: set[int] = set()  # pts of frames to hold when they come out
        self._held: dict[int, VideoFrame] = {}
        self._made: tuple[int, Frame] | None = None
        self._settled_s = float("-inf")
        self._asked_s: float | None = None
        self._latest_s: tuple[float, ...] = ()  # the last two times that show, in order of showing
        self._own_end_s = 0.0  # the latest end by the pictures' own durations

    @property
    def pending_s(self) -> tuple[float, ...]:
        """Times that were taken and not answered yet."""
        asked = () if self._asked_s is None else (self._asked_s,)
        return (*(wish.time_s for wish in self._wishes), *asked)

    def frames(self) -> Iterator[tuple[float, Frame | None]]:
        """Each wanted time, in order, with its frame; with None if that should have come out and did not.

        Ends before the first time that lies behind the end of the stream.

        Raises:
            UnplannableError: times are missing or make no sense; `pending_s` says what is left to do.
        """
        for time_s in self._times:
            self._asked_s = time_s
            if self._packets is None:
                self._packets = self._packets_before(time_s)
            self._read_past(time_s, self._packets)
            item = self._choice(time_s)
            if item is None:
                break
            self._feed_through(item)
            # Only now, as feeding may first empty the decoder and call lost what has not come out.
            self._wishes.append(_Wish(time_s, item))
            self._asked_s = None
            yield from self._answers()
        self._drain()
        yield from self._answers()

    def _packets_before(self, time_s: float) -> Iterator[Packet[VideoStream]]:
        """The packets from a key frame that shows at or before this time, or from the beginning."""
        if not self._source.has_times:
            raise UnplannableError("the container has no times of showing")
        if time_s <= _SEEK_FROM_S:
            return self._source.packets()
        for back_s in _SEEK_BACK_S:
            if not self._source.seek(time_s - back_s):
                break
            packets = self._source.packets()
            key = next((packet for packet in packets if packet.is_keyframe), None)
            if key is not None and key.pts is not None and self._source.time_s(key.pts) <= time_s:
                return chain((key,), packets)
        raise UnplannableError("no key frame is found before the wanted time")

    def _read_past(self, time_s: float, packets: Iterator[Packet[VideoStream]]) -> None:
        """Read until every packet that shows at or before this time has been seen."""
        for item in [item for item in self._queue if item.packet.is_keyframe and item.time_s <= time_s]:
            self._leave_out_before(item)
        later = [item.time_s > time_s for item in self._queue]
        num_after = len(later) - later.index(True) if True in later else 0
        while num_after <= REORDER_PACKETS and not self._is_at_end:
            packet = next(packets, None)
            if packet is None:
                self._is_at_end = True
                return
            item = self._item(packet)
            self._queue.append(item)
            if packet.is_keyframe and item.time_s <= time_s:
                self._leave_out_before(item)
            if num_after or item.time_s > time_s:
                num_after += 1
            if len(self._queue) > _MAX_QUEUE:
                self._feed_half(time_s)

    def _item(self, packet: Packet[VideoStream]) -> _Item:
        if packet.pts is None:
            raise UnplannableError("a packet has no time")
        is_shown = shows_picture(packet, codec=self._source.codec)
        item = _Item(packet, packet.pts, self._source.time_s(packet.pts), is_shown)
        if is_shown:
            if item.time_s <= self._settled_s:
                raise UnplannableError("times run backwards")
            self._latest_s = tuple(sorted((*self._latest_s, item.time_s)))[-2:]
            own_s = max(self._source.frame_step_s, self._source.ticks_s(packet.duration or 0))
            self._own_end_s = max(self._own_end_s, item.time_s + own_s)
        return item

    def _leave_out_before(self, key: _Item) -> None:
        """Nothing wanted from now on shows before this key frame, so what was read before it need not be decoded."""
        while self._queue[0] is not key:
            self._queue.popleft()
            self._has_left_out = True

    def _choice(self, time_s: float) -> _Item | None:
        """The frame for this time, or None when the stream ends before it."""
        candidates = [item for item in (*self._ahead, *self._queue) if item.is_shown]
        if not candidates or (self._is_at_end and time_s >= self._end_s()):
            return None
        before = [item for item in candidates if item.time_s <= time_s]
        chosen = max(before, key=_shows_at) if before else min(candidates, key=_shows_at)
        self._settled_s = max(time_s, chosen.time_s)
        return chosen

    def _end_s(self) -> float:
        """Where the stream ends, as plain decoding has it too: the last picture may last as long as the one before."""
        return max(self._own_end_s, 2 * self._latest_s[-1] - self._latest_s[0])

    def _feed_through(self, chosen: _Item) -> None:
        """Feed the decoder up to the chosen packet, unless it has been fed."""
        self._ahead = [item for item in self._ahead if item.time_s >= chosen.time_s]
        count = max((n for n, item in enumerate(self._queue, start=1) if item.pts == chosen.pts), default=0)
        self._feed(count, from_s=chosen.time_s)
        self._kept = {item.pts for item in self._ahead} | {wish.item.pts for wish in self._wishes}
        self._held = {pts: frame for pts, frame in self._held.items() if pts in self._kept}

    def _feed_half(self, time_s: float) -> None:
        """Make room in the queue; what may yet be chosen for this time is decoded in full."""
        best_s = max((item.time_s for item in self._queue if item.is_shown and item.time_s <= time_s), default=None)
        self._feed(_MAX_QUEUE // 2, from_s=float("-inf") if best_s is None else best_s)

    def _feed(self, count: int, *, from_s: float) -> None:
        """Decode the next `count` packets; frames that show from `from_s` on are kept, so never skipped."""
        if count and self._has_left_out:
            self._drain()
            self._has_left_out = False
            self._key = self._queue[0]
        for _ in range(count):
            item = self._queue.popleft()
            is_kept = item.is_shown and item.time_s >= from_s
            if is_kept:
                self._ahead.append(item)
                self._kept.add(item.pts)
            if self._can_skip:
                self._source.context.skip_frame = "DEFAULT" if is_kept else "NONREF"
            for frame in self._source.decode(item.packet):
                self._take(frame)

    def _take(self, frame: VideoFrame) -> None:
        if frame.interlaced_frame and self._may_split_fields:
            # Feeding may have ended between its two fields.
            raise UnplannableError("interlaced: one picture may come in two packets")
        if frame.pts is None:
            return
        if self._key is not None and frame.pts == self._key.pts:
            if not frame.key_frame and frame.pict_type != PictureType.I:
                raise UnplannableError("a packet is marked as key frame and is none")
            self._key = None
        # Others are let go at once: a decoder that gets its pictures back need not touch new memory.
        if frame.pts in self._kept:
            self._held[frame.pts] = frame
        if self._wishes and self._source.time_s(frame.pts) > self._wishes[0].item.time_s:
            self._num_later += 1
            if self._num_later > REORDER_PACKETS:
                self._wishes[0].is_lost = True

    def _drain(self) -> None:
        """Let the decoder give what it holds and forget the rest; what has not come out by now never will."""
        for frame in self._source.decode(None):
            self._take(frame)
        self._source.context.flush_buffers()
        for wish in self._wishes:
            wish.is_lost = wish.item.pts not in self._held

    def _answers(self) -> Iterator[tuple[float, Frame | None]]:
        """Frames for the first wishes, as far as they have come out."""
        while self._wishes:
            wish = self._wishes[0]
            pts = wish.item.pts
            if self._made is None or self._made[0] != pts:
                if pts in self._held:
                    self._made = (pts, self._source.frame(self._held[pts], wish.item.time_s))
                elif not wish.is_lost:
                    return
            self._wishes.popleft()
            self._num_later = 0
            yield wish.time_s, self._made[1] if self._made is not None and self._made[0] == pts else None


def _shows_at(item: _Item) -> float:
    return item.time_s

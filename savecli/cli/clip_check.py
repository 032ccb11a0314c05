"""Whether one clip's picture and sound can be decoded to its end, from a look at places spread over it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from savecli.core.errors import MediaError
from savecli.core.records import Span

if TYPE_CHECKING:
    from av.container import InputContainer

# As many places as the presets look at. A clip of which more than this share is missing or broken is not in order.
_NUM_PLACES, _MOST_LOST = 12, 0.1
# Shorter holes are not told from rounding, or from pictures and sound that come at long steps.
_LEAST_HOLE_S = 0.2
# Formats whose header states how long the file is; of others FFmpeg guesses by the bit rate. That of FLV is of no use:
# of pictures every three seconds it says the double.
_STATING = ("mov,", "matroska,", "avi", "asf")
# Sound is decoded from so long before a span, as decoders settle; packets are out of order by less.
_SETTLE_S = 2.0


@dataclass
class _Packets:
    """What the packets of a clip tell; times are where they start.

    Args:
        reach_s: where the last packet that can be read ends, in the clip or behind it.
        stated_s: where the file ends by its header; 0 where that does not say.
    """

    picture_s: list[float] = field(default_factory=list)
    sound_s: list[float] = field(default_factory=list)
    num_lost_sound: int = 0
    has_sound: bool = False
    reach_s: float = 0.0
    stated_s: float = 0.0


def why_unusable(path: Path, span: Span | None) -> str | None:
    """Why a clip cannot be trained on with all that it has, if so: it is cut off, or its data are damaged.

    Pictures are decoded at places spread over the clip, all sound is. A file without an audio stream is in order, and
    so is one whose sound ends before the span begins.
    """
    from savecli.features.inputs import clip_span
    from savecli.media.frames import read_frames, spread_frames
    from savecli.media.sampling import uniform_times

    try:
        clip = clip_span(path, span)
        spread_frames(path, clip, num_frames=1, short_side=64)
        places_s = uniform_times(clip, _NUM_PLACES)
        shown_s = [frame.time_s for frame in read_frames(path, places_s, short_side=64)]
        packets = _read_packets(path, clip)
    except MediaError as error:
        return error.why or error.what
    return (
        _sound_fault(packets, is_whole=span is None)
        or _early_end(packets, clip, is_whole=span is None)
        or _hole(packets, clip)
        or _picture_fault(packets, clip, places_s, shown_s)
    )


def _sound_fault(packets: _Packets, *, is_whole: bool) -> str | None:
    num_packets = len(packets.sound_s)
    if packets.has_sound and packets.num_lost_sound == num_packets and (num_packets or is_whole):
        return "nothing of its audio stream can be decoded"
    if packets.num_lost_sound > _MOST_LOST * num_packets:
        return f"{100 * packets.num_lost_sound / num_packets:.0f} % of its sound cannot be decoded"
    return None


def _early_end(packets: _Packets, clip: Span, *, is_whole: bool) -> str | None:
    wanted_s = max(clip.end_s, packets.stated_s) if is_whole else clip.end_s
    # A last picture may stay as long as others, without its packet saying so.
    longest_s = max((to_s - from_s for from_s, to_s in pairwise(sorted(packets.picture_s))), default=0.0)
    if packets.reach_s >= wanted_s - max(_MOST_LOST * (wanted_s - clip.start_s), _LEAST_HOLE_S, longest_s):
        return None
    return f"it ends at {packets.reach_s:.2f} s, and should at {wanted_s:.2f} s"


def _hole(packets: _Packets, clip: Span) -> str | None:
    """A long stretch without picture and sound, with sound on both sides: without it a picture may stay for long."""
    if not packets.sound_s:
        return None
    first_s, last_s = min(packets.sound_s), max(packets.sound_s)
    starts_s = sorted([*packets.sound_s, *(time_s for time_s in packets.picture_s if first_s <= time_s <= last_s)])
    for from_s, to_s in pairwise(starts_s):
        if to_s - from_s > max(_MOST_LOST * clip.duration_s, _LEAST_HOLE_S):
            return f"it holds nothing from {from_s:.2f} s to {to_s:.2f} s"
    return None


def _picture_fault(packets: _Packets, clip: Span, places_s: Sequence[float], shown_s: Sequence[float]) -> str | None:
    """Places for which a much older picture came out than the packets hold, or none where the packets go on."""
    known_s = sorted(packets.picture_s)
    tolerance_s = max(1.5 * clip.duration_s / _NUM_PLACES, _LEAST_HOLE_S)
    lost_s = []
    for place, place_s in enumerate(places_s):
        came_s = shown_s[min(place, len(shown_s) - 1)] if shown_s else clip.start_s
        num_known = bisect.bisect_right(known_s, place_s)
        if num_known and known_s[num_known - 1] - came_s > tolerance_s:
            lost_s.append(place_s)
    if not lost_s:
        return None
    return f"its picture cannot be decoded at {len(lost_s)} of {len(places_s)} places, the first at {lost_s[0]:.2f} s"


def _read_packets(path: Path, clip: Span) -> _Packets:
    """The packets of a clip, with its sound decoded.

    Raises:
        MediaError: the file cannot be opened.
    """
    import av

    from savecli.media.container import audio_stream, demuxed, open_media, start_offset_s, video_stream
    from savecli.media.probe import measured_duration_s

    with open_media(path) as container:
        picture, sound = video_stream(container), audio_stream(container)
        offset_s = float(start_offset_s(container))
        packets = _Packets(has_sound=sound is not None, stated_s=_stated_s(container))
        if clip.start_s > _SETTLE_S:
            with suppress(av.FFmpegError, OSError):  # what cannot be searched is read from its start
                container.seek(round((clip.start_s - _SETTLE_S + offset_s) * av.time_base))
        for packet in demuxed(container, *(stream for stream in (picture, sound) if stream is not None)):
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None or packet.is_discard:
                continue
            time_s = float(time * packet.time_base) - offset_s
            packets.reach_s = max(packets.reach_s, time_s + float((packet.duration or 0) * packet.time_base))
            if time_s > clip.end_s + _SETTLE_S:
                break
            if packet.stream is picture:
                packets.picture_s.append(time_s)
                continue
            try:
                packet.decode()
                is_lost = False
            except av.FFmpegError:
                is_lost = True
            if clip.start_s <= time_s < clip.end_s:
                packets.sound_s.append(time_s)
                packets.num_lost_sound += is_lost
    packets.reach_s = packets.reach_s or measured_duration_s(path)  # raw streams have no times
    return packets


def _stated_s(container: InputContainer) -> float:
    """The length by the header: that of picture and sound, else of the file, unless subtitles may make it longer."""
    import av

    if not container.format.name.startswith(_STATING):
        return 0.0
    streams = (*container.streams.video, *container.streams.audio)
    lengths_s = [
        float(stream.duration * stream.time_base) for stream in streams if stream.duration and stream.time_base
    ]
    if lengths_s or container.streams.subtitles:
        return max(lengths_s, default=0.0)
    return (container.duration or 0) / av.time_base

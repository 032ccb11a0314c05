"""Text tracks inside a file, as they are stored."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.stream
from av.container import InputContainer
from av.stream import Disposition, Stream

from savecli.core.errors import MediaError
from savecli.media.container import open_media, start_offset_s

logger = logging.getLogger(__name__)

# A packet of `ass` is `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`.
_NUM_ASS_FIELDS = 9
_TEXT_CODECS = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
# How long a text stays when neither it nor a following one says so.
_DEFAULT_DURATION_S = 5.0


@dataclass(frozen=True)
class TrackRole:
    """What the file says a text track is for; `is_forced` tracks hold only what is spoken in a foreign language."""

    is_default: bool
    is_forced: bool


def read_track_roles(path: Path) -> dict[int, TrackRole]:
    """The role of each text track by its stream index.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_media(path) as container:
        return {
            stream.index: TrackRole(
                is_default=bool(stream.disposition & Disposition.default),
                is_forced=bool(stream.disposition & Disposition.forced),
            )
            for stream in container.streams.subtitles
        }


def read_subtitle_packets(path: Path, stream_index: int) -> Iterator[tuple[float, float, str]]:
    """Yields `(start_s, end_s, text)` in file order, with whatever markup the track's format has.

    Times count from the start of the file. A text without an end lasts until the next one, five seconds at most.
    Damage in the middle of the file ends the texts there.

    Raises:
        MediaError: the file cannot be opened, or the stream holds no text.
    """
    with open_media(path) as container:
        stream = next((s for s in container.streams if s.index == stream_index), None)
        if stream is None or stream.type != "subtitle" or stream.codec_context.name not in _TEXT_CODECS:
            raise MediaError(f"stream {stream_index} holds no text", why=str(path))
        for other in container.streams:
            # Without this the demuxer reads every byte of picture and sound on its way; PyAV has it from 18 on.
            if other.index != stream_index and hasattr(other, "discard"):
                other.discard = av.stream.Discard.all
        yield from _timed(_texts(container, stream), offset_s=float(start_offset_s(container)))


def _texts(container: InputContainer, stream: Stream) -> Iterator[tuple[float, float, str]]:
    """`(start_s, duration_s, text)` on the container's own clock; the duration is 0 where the file gives none."""
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.time_base is not None:
                seconds = float(packet.time_base)
                yield packet.pts * seconds, (packet.duration or 0) * seconds, _text(packet, stream.codec_context.name)
    except av.FFmpegError as error:
        logger.warning("%s: text track ends early: %s", container.name, error)


def _timed(texts: Iterator[tuple[float, float, str]], *, offset_s: float) -> Iterator[tuple[float, float, str]]:
    open_ended: tuple[float, str] | None = None
    for start_s, duration_s, text in texts:
        start_s = max(0.0, start_s - offset_s)
        if open_ended is not None:
            yield open_ended[0], min(start_s, open_ended[0] + _DEFAULT_DURATION_S), open_ended[1]
            open_ended = None
        if not text.strip():
            continue
        if duration_s > 0:
            yield start_s, start_s + duration_s, text
        else:
            open_ended = (start_s, text)
    if open_ended is not None:
        yield open_ended[0], open_ended[0] + _DEFAULT_DURATION_S, open_ended[1]


def _text(packet: av.Packet[Stream], codec: str) -> str:
    data = bytes(packet)
    if codec == "mov_text":
        # Two bytes of length, the text, then boxes with styles.
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
        if data.startswith((b"\xfe\xff", b"\xff\xfe")):
            return data.decode("utf-16", errors="replace")
    text = data.decode("utf-8", errors="replace").strip("\0")
    if codec in ("ass", "ssa"):
        fields = text.split(",", _NUM_ASS_FIELDS - 1)
        return fields[-1] if len(fields) == _NUM_ASS_FIELDS else ""
    return text

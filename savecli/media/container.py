"""Opening a file for reading, picking its streams, and saying in plain words why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from savecli.core.errors import MediaError

AnyStream = TypeVar("AnyStream", bound=Stream)

# Values of FFmpeg's AV_DISPOSITION flags: cover art, thumbnails and other pictures that do not move.
_DEFAULT_DISPOSITION = 0x1
_STILL_DISPOSITIONS = 0x400 | 0x800 | 0x100000

# FFmpeg's names of formats that only name other files; those are in the archive for themselves.
_PLAYLISTS = frozenset({"concat", "hls", "dash", "imf"})

# A demuxer that fails this often in a row without a packet in between will not get further.
_MAX_DEMUX_FAILURES = 16

_FIRST_BYTES = {b"\x1aE\xdf\xa3": "Matroska", b"RIFF": "AVI", b"FLV": "FLV", b"OggS": "Ogg", b"0&\xb2u": "ASF"}


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """The file opened for reading, closed at the end of the block.

    Raises:
        MediaError: with the reason, e.g. that the file is empty, is gone, may not be read, or is no media file.
    """
    what = f"cannot read {path.name}"
    try:
        if path.stat().st_size == 0:
            raise MediaError(what, why="the file is empty (0 bytes)")
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise MediaError(what, why=_why_not_opened(error)) from error
    try:
        # Absolute, as FFmpeg takes `talk: one.mp4` for a protocol. Only files: nothing
        # that a file says may reach the network.
        container = av.open(os.path.abspath(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(what, why=_why_not_parsed(head, error)) from error
    with container:
        if container.format.name in _PLAYLISTS:
            raise MediaError(what, why="it is a playlist that names other files, not a video")
        yield container


def video_stream(container: InputContainer) -> VideoStream | None:
    """The stream that holds the picture: the default one, then the largest; never cover art.

    Raises:
        MediaError: there are pictures, but no decoder for them.
    """
    moving = [stream for stream in container.streams.video if not int(stream.disposition) & _STILL_DISPOSITIONS]
    decodable = [stream for stream in moving if _has_decoder(stream)]
    if moving and not decodable:
        raise MediaError(f"cannot read {Path(container.name).name}", why="no decodable video stream (unknown codec)")

    def preference(stream: VideoStream) -> tuple[bool, int]:
        is_default = bool(int(stream.disposition) & _DEFAULT_DISPOSITION)
        return is_default, stream.codec_context.width * stream.codec_context.height

    return max(decodable, key=preference, default=None)


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The default sound stream, else the first that can be decoded; None without one."""
    usable = [stream for stream in container.streams.audio if _has_decoder(stream) and stream.codec_context.sample_rate]
    return max(usable, key=lambda stream: bool(int(stream.disposition) & _DEFAULT_DISPOSITION), default=None)


def start_offset_s(container: InputContainer) -> Fraction:
    """The container's own time of the moment that the product calls 0 s; transport streams start late."""
    rounded_s = Fraction(container.start_time or 0, av.time_base)
    for stream in container.streams:
        if stream.start_time is not None and stream.time_base is not None:
            exact_s = stream.start_time * stream.time_base
            # FFmpeg rounds the earliest stream's start to microseconds; undone, that stream starts at exactly 0.
            if abs(exact_s - rounded_s) <= Fraction(1, av.time_base):
                return exact_s
    return rounded_s


def demuxed(container: InputContainer, *streams: AnyStream) -> Iterator[Packet[AnyStream]]:
    """The streams' packets in file order, without the empty ones that PyAV adds at the end.

    Goes on behind a damaged place, and stops where nothing more can be read.
    """
    failures = 0
    while failures < _MAX_DEMUX_FAILURES:
        try:
            for packet in container.demux(*streams):
                failures = 0
                if packet.size:
                    yield cast("Packet[AnyStream]", packet)
            return
        except (av.FFmpegError, OSError):
            failures += 1


def _has_decoder(stream: Stream) -> bool:
    # PyAV's types hide that a stream without a decoder has no context.
    context: object = stream.codec_context
    return context is not None


def _why_not_opened(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is gone"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return (error.strerror or type(error).__name__).lower()


def _why_not_parsed(head: bytes, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is gone"
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free", b"moov", b"skip"):
        return "the file is cut off or its recording was never finished (MP4 without a usable index)"
    for magic, name in _FIRST_BYTES.items():
        if head.startswith(magic):
            return f"the file is damaged ({name} header, but nothing readable behind it)"
    return "not a media file"

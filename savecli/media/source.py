"""An open picture stream: its packets, its decoder, and one clock for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from savecli.core.errors import MediaError
from savecli.core.records import Frame
from savecli.media.container import demuxed, open_media, start_offset_s, video_stream
from savecli.media.pictures import PictureMaker
from savecli.media.probe import frame_rate_hz


class PictureSource:
    """What the two frame readers share. All times are seconds after the container's start.

    Args:
        short_side: of the frames it makes; None keeps the stored size.
        num_threads: of the decoder; frames in flight cost memory.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, *, short_side: int | None, num_threads: int
    ) -> None:
        self.context = stream.codec_context
        self.context.thread_count = num_threads
        if num_threads > 1:
            self.context.thread_type = "AUTO"
        self.frame_step_s = float(1 / frame_rate_hz(stream))
        self.codec = self.context.codec.canonical_name
        # AVI stores pictures in order of decoding and no times; what FFmpeg derives is wrong by some frames where
        # that is not the order of showing.
        self.has_times = not (container.format.name == "avi" and self.context.has_b_frames)
        self._container = container
        self._stream = stream
        self._maker = PictureMaker(short_side=short_side, aspect=stream.sample_aspect_ratio)
        time_base, offset_s = stream.time_base or Fraction(1, av.time_base), start_offset_s(container)
        # pts * time_base - offset_s in whole numbers, so that the one division rounds correctly: a caller who asks
        # for n / rate gets frame n, not the one before it.
        self._factor = time_base.numerator * offset_s.denominator
        self._shift = offset_s.numerator * time_base.denominator
        self._divisor = time_base.denominator * offset_s.denominator

    def time_s(self, pts: int) -> float:
        """Time of a packet's or frame's `pts`."""
        return (pts * self._factor - self._shift) / self._divisor

    def ticks_s(self, ticks: int) -> float:
        """Length of a duration in the stream's time base."""
        return ticks * self._factor / self._divisor

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The picture's packets from here on, in order of decoding."""
        return demuxed(self._container, self._stream)

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """Frames that come out for this packet, or those that are left for None; none for a broken packet."""
        try:
            return self.context.decode(packet)
        except av.FFmpegError:
            return []

    def seek(self, time_s: float) -> bool:
        """Go to a place at or before this time; False when the file cannot be searched."""
        try:
            # By the stream, as its own key frames count and not those of the sound.
            self._container.seek(int((time_s * self._divisor + self._shift) // self._factor), stream=self._stream)
        except (av.FFmpegError, OSError, OverflowError):
            return False
        return True

    def frame(self, decoded: VideoFrame, time_s: float) -> Frame:
        """The finished picture.

        Raises:
            MediaError: its pixels are stored in a way that cannot be turned into RGB.
        """
        try:
            return Frame(time_s=time_s, pixels=self._maker.pixels(decoded))
        except (av.FFmpegError, ValueError) as error:
            why = f"its pixel format {decoded.format.name} cannot be converted"
            raise MediaError(f"cannot read {Path(self._container.name).name}", why=why) from error


@contextmanager
def open_pictures(path: Path, *, short_side: int | None, num_threads: int) -> Iterator[PictureSource]:
    """The file's picture stream, opened anew.

    Raises:
        MediaError: the file cannot be read, or has no video stream that can be decoded.
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"cannot read {path.name}", why="no video stream")
        yield PictureSource(container, stream, short_side=short_side, num_threads=num_threads)

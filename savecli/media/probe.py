"""What a file holds: its length, streams and turn, with header values checked against the packets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from savecli.core.errors import MediaError
from savecli.core.records import AudioStream, SubtitleStream, VideoInfo, VideoStream
from savecli.media.container import audio_stream, demuxed, open_media, start_offset_s, video_stream
from savecli.media.pictures import display_size, quarter_turns

# How far into the picture stream to look for a frame that decodes, and for times that vary.
_MAX_PACKETS_TO_FIRST_FRAME = 1500
_NUM_PACKETS_FOR_RATE = 120

# From here to the end the packets tell whether the header's duration is true.
_TAIL_S = 2.0

# Containers that store a time base in whole milliseconds round each frame's time by up to half of one.
_ROUNDING_S = 0.0021


def probe_video(path: Path) -> VideoInfo:
    """The file's streams and its true duration; decodes one frame, reads a few packets at both ends.

    A header's duration that the packets contradict, or that is missing, is replaced by theirs.

    Raises:
        MediaError: the file cannot be read as video; `why` says which of the many reasons it is.
    """
    what = f"cannot read {path.name}"
    # Opened once, as finding the streams takes longer than all that is read here.
    with open_media(path) as container:
        if container.format.name.endswith("_pipe"):
            raise MediaError(what, why="it is a still picture, not a video")
        stream = video_stream(container)
        if stream is None:
            raise MediaError(what, why="no video stream")
        packets = demuxed(container, stream)
        head = list(islice(packets, _NUM_PACKETS_FOR_RATE))
        frame = _first_frame(stream, islice(chain(head, packets), _MAX_PACKETS_TO_FIRST_FRAME))
        if frame is None:
            raise MediaError(what, why="no decodable video stream (no picture in it can be decoded)")
        # Records are made while the file is open: PyAV's streams dangle once it is closed.
        video = _video_record(stream, frame, is_variable_rate=_is_variable_rate(stream, head))
        sound = audio_stream(container)
        audio = _audio_record(sound) if sound is not None else None
        subtitles = tuple(_subtitle_streams(container))
        container_name = container.format.name
        end_s = _end_by_seeking_s(container)
    return VideoInfo(
        path=path,
        duration_s=end_s if end_s is not None else _end_by_reading_s(path),
        container=container_name,
        video=video,
        audio=audio,
        subtitles=subtitles,
    )


def measured_duration_s(path: Path) -> float:
    """Seconds from the container's start to the end of its last picture or sound, as the packets have it.

    Seeks to where the header claims the end and reads on; demuxes the whole file only when that finds nothing.

    Raises:
        MediaError: the file cannot be read, or has neither picture nor sound.
    """
    with open_media(path) as container:
        end_s = _end_by_seeking_s(container)
    return end_s if end_s is not None else _end_by_reading_s(path)


def _end_by_seeking_s(container: InputContainer) -> float | None:
    """The end by the last packets; None when the header lies or the container cannot be searched."""
    claimed_s = (container.duration or 0) / av.time_base
    # Raw streams have no start time, and no times to seek by.
    if claimed_s <= _TAIL_S or container.start_time is None:
        return None
    target_s = float(start_offset_s(container)) + claimed_s - _TAIL_S
    try:
        container.seek(round(target_s * av.time_base), any_frame=True)
    except (av.FFmpegError, OSError):
        return None
    end_s = _last_end_s(container)
    return end_s if end_s is not None and end_s > claimed_s - 2 * _TAIL_S else None


def _end_by_reading_s(path: Path) -> float:
    """The end by all packets, from a fresh start."""
    with open_media(path) as container:
        end_s = _last_end_s(container)
    if end_s is None:
        raise MediaError(f"cannot read {path.name}", why="no packet of picture or sound can be read")
    return end_s


def _last_end_s(container: InputContainer) -> float | None:
    """The latest end of any picture or sound packet from here on, in seconds after the container's start."""
    offset_s = start_offset_s(container)
    video, sound = video_stream(container), audio_stream(container)
    streams = [stream for stream in (video, sound) if stream is not None]
    end_s: Fraction | None = None
    num_untimed = 0
    for packet in demuxed(container, *streams):
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.is_discard:
            continue
        if time is None:
            num_untimed += packet.stream is video
            continue
        packet_end_s = (time + (packet.duration or 0)) * packet.time_base - offset_s
        end_s = packet_end_s if end_s is None else max(end_s, packet_end_s)
    if end_s is None and num_untimed and video is not None:
        return num_untimed / float(frame_rate_hz(video))
    if end_s is None:
        return None
    # One picture without a duration still lasts as long as a picture does.
    shortest_s = 1 / frame_rate_hz(video) if video is not None else Fraction(0)
    return float(max(end_s, shortest_s))


def frame_rate_hz(stream: AvVideoStream) -> Fraction:
    """Frames a second as far as the header knows; 25 where it does not, as FFmpeg assumes."""
    rate_hz = stream.average_rate or stream.guessed_rate
    return Fraction(rate_hz) if rate_hz else Fraction(25)


def _is_variable_rate(stream: AvVideoStream, head: Sequence[Packet[AvVideoStream]]) -> bool:
    """Whether the first pictures come at uneven times."""
    # The last few packets may precede others that were not read, as files are stored in order of decoding.
    pts = sorted(packet.pts for packet in head if packet.pts is not None and not packet.is_discard)[:-4]
    if len(pts) < 3 or stream.time_base is None:
        return False
    steps_s = [float((later - earlier) * stream.time_base) for earlier, later in pairwise(pts)]
    return max(steps_s) - min(steps_s) > max(_ROUNDING_S, 0.1 * min(steps_s))


def _first_frame(stream: AvVideoStream, packets: Iterable[Packet[AvVideoStream]]) -> VideoFrame | None:
    stream.codec_context.thread_count = 1
    for packet in chain(packets, (None,)):
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None


def _video_record(stream: AvVideoStream, frame: VideoFrame, *, is_variable_rate: bool) -> VideoStream:
    turns = quarter_turns(frame)
    width, height = display_size(frame.width, frame.height, aspect=stream.sample_aspect_ratio)
    if turns % 2:
        width, height = height, width
    return VideoStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        width=width,
        height=height,
        rate_hz=float(stream.average_rate) if stream.average_rate else None,
        rotation_degrees=90 * turns,
        is_variable_rate=is_variable_rate,
    )


def _audio_record(stream: AvAudioStream) -> AudioStream:
    return AudioStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        rate_hz=stream.codec_context.sample_rate,
        num_channels=stream.codec_context.channels,
        language=_language(stream.language),
    )


def _subtitle_streams(container: InputContainer) -> Iterable[SubtitleStream]:
    for stream in container.streams.subtitles:
        context = stream.codec_context
        if context is not None and context.codec.text_sub:
            yield SubtitleStream(stream.index, context.codec.canonical_name, _language(stream.language))


def _language(tag: str | None) -> str | None:
    """The container's language tag (usually ISO 639-2), unless it says that it does not know."""
    return None if tag in (None, "", "und", "unk", "mis", "zxx") else tag

"""Which packets show a picture, and which pictures no other picture needs."""

from __future__ import annotations

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

# First two bytes of an HEVC video parameter set in the base layer.
_HEVC_VPS_HEADER = b"\x40\x01"


def can_skip_nonref(context: VideoCodecContext) -> bool:
    """Whether the decoder can leave out pictures that no other refers to, and the rest stay the same bit for bit.

    Only H.264 and HEVC mark such pictures in a way that the decoder heeds before it decodes them. In HEVC with
    temporal layers the mark speaks of one layer only: higher layers may still need the picture.
    """
    codec = context.codec.canonical_name
    if codec == "hevc":
        return _hevc_temporal_layers(context.extradata or b"") == 1
    return codec == "h264"


def may_split_fields(context: VideoCodecContext) -> bool:
    """Whether an interlaced picture of this codec may come in two packets, as its two fields."""
    return not context.codec.intra_only


def shows_picture(packet: Packet[VideoStream], *, codec: str) -> bool:
    """Whether a frame will come out for this packet.

    An edit list hides frames that others need; VP8 has packets that only prepare a reference (bit 4 of the first byte
    is `show_frame`, RFC 6386 section 9.1).
    """
    if packet.is_discard:
        return False
    return not (codec == "vp8" and packet.size and not memoryview(packet)[0] & 0x10)


def _hevc_temporal_layers(extradata: bytes) -> int:
    """Number of temporal layers from the video parameter set (ITU-T H.265, 7.3.2.1); 0 when there is none."""
    start = extradata.find(_HEVC_VPS_HEADER)
    if start < 0 or len(extradata) < start + 4:
        return 0
    return 1 + (extradata[start + 3] >> 1 & 7)

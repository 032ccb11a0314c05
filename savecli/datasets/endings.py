"""Endings of media files, which ids and keys of annotation files carry or leave out as they please."""

from __future__ import annotations

# What an index of an archive takes for videos, without `.264` and `.265`: ids of LSMDC end in milliseconds.
# fmt: off
VIDEO_ENDINGS = frozenset({
    ".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".evo", ".f4v", ".flv", ".h264", ".h265", ".hevc", ".insv",
    ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mov",
    ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod",
    ".tp", ".trp", ".ts", ".vob", ".vro", ".webm", ".wmv", ".wtv", ".xvid", ".y4m",
})
# fmt: on
AUDIO_ENDINGS = frozenset({".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav", ".wma"})


def split_ending(name: str) -> tuple[str, str]:
    """A file name or path apart from its ending; names with dots of their own, as in LSMDC, stay whole."""
    stem, dot, ending = name.rpartition(".")
    suffix = f".{ending.lower()}"
    is_media = bool(dot) and suffix in VIDEO_ENDINGS | AUDIO_ENDINGS
    return (stem, suffix) if is_media and stem and not stem.endswith("/") else (name, "")


def without_ending(name: str) -> str:
    """`video0` of `video0.mp4`; a name that ends in nothing known comes back as it is."""
    return split_ending(name)[0]

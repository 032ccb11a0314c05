"""Endings of media files, which ids and keys of annotation files carry or leave out as they please."""

from __future__ import annotations

VIDEO_ENDINGS = frozenset(
    {".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"}
)
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

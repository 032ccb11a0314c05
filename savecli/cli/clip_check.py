"""Whether the picture and the sound of one clip can be decoded, without decoding all of it."""

from __future__ import annotations

from pathlib import Path

from savecli.core.errors import MediaError
from savecli.core.records import Span


def why_unusable(path: Path, span: Span | None) -> str | None:
    """Why a clip cannot be trained on with all that it has, if so: pictures of it, and its first second of sound.

    A file without an audio stream is in order, and so is one whose sound ends before the span begins.
    """
    from savecli.features.inputs import read_clip_pictures

    try:
        read_clip_pictures(path, span, num_frames=4, short_side=64)
        return None if _is_heard(path, span) else "nothing of its audio stream can be decoded"
    except MediaError as error:
        return error.why or error.what


def _is_heard(path: Path, span: Span | None) -> bool:
    """Whether sound can be decoded, in the span or at least elsewhere in the file; True without an audio stream."""
    from savecli.features.inputs import has_audio
    from savecli.media.audio import read_audio

    if not has_audio(path):
        return True
    places = (span,) if span is None else (span, None)
    return any(next(read_audio(path, span=place, block_s=1.0), None) is not None for place in places)

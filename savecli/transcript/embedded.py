"""Text tracks inside a video file."""

from __future__ import annotations

import logging
import re

from savecli.core.errors import MediaError
from savecli.core.records import SubtitleStream, Transcript, Utterance, VideoInfo
from savecli.media.subtitles import TrackRole, read_subtitle_packets, read_track_roles
from savecli.transcript.base import clean_utterances
from savecli.transcript.cues import Cue
from savecli.transcript.languages import iso_639_1
from savecli.transcript.rolling import cue_utterances

logger = logging.getLogger(__name__)

# Advanced SubStation draws shapes with the same events that hold text: `{\p1}m 0 0 l 100 0 100 100`.
_DRAWING = re.compile(r"\{[^}]*\\p[1-9]")


class EmbeddedSource:
    """Reads the file's best text track that holds speech; None when it has none."""

    name = "embedded"

    def read(self, info: VideoInfo) -> Transcript | None:
        for stream in _by_preference(info):
            try:
                utterances = _utterances(info, stream)
            except MediaError as error:
                logger.warning("%s: text track %d not read: %s", info.path, stream.index, error)
                continue
            if utterances:
                return Transcript(utterances, f"embedded:{stream.index}", iso_639_1(stream.language))
        return None


def _by_preference(info: VideoInfo) -> list[SubtitleStream]:
    """Tracks in the spoken language first, then the default one, then in file order; forced ones last."""
    if len(info.subtitles) < 2:
        return list(info.subtitles)
    try:
        roles = read_track_roles(info.path)
    except MediaError as error:
        logger.warning("%s: text tracks not read: %s", info.path, error)
        return []
    spoken = iso_639_1(info.audio.language) if info.audio else None

    def order(stream: SubtitleStream) -> tuple[bool, bool, bool, int]:
        role = roles.get(stream.index, TrackRole(is_default=False, is_forced=False))
        is_foreign = spoken is not None and iso_639_1(stream.language) != spoken
        return role.is_forced, is_foreign, not role.is_default, stream.index

    return sorted(info.subtitles, key=order)


def _utterances(info: VideoInfo, stream: SubtitleStream) -> tuple[Utterance, ...]:
    cues = [
        Cue(start_s, end_s, tuple(line for line in text.splitlines() if line.strip()))
        for start_s, end_s, text in read_subtitle_packets(info.path, stream.index)
        if not _DRAWING.search(text)
    ]
    return clean_utterances(cue_utterances(cues))

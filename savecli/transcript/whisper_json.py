"""Transcripts that Whisper, faster-whisper, WhisperX or whisper.cpp wrote as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from savecli.core.records import Transcript, Utterance, Word
from savecli.transcript.base import speech_words, whole_words
from savecli.transcript.grouping import MAX_UTTERANCE_S, group_words
from savecli.transcript.languages import iso_639_1


def parse_whisper_json(text: str, *, source: str) -> Transcript | None:
    """The transcript in a JSON document, or None when the document is no transcript.

    Segments or words without usable times are left out, as WhisperX leaves numbers untimed.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("segments"), list):
        rows, language = document["segments"], document.get("language")
        read = _segment
    elif isinstance(document.get("transcription"), list):
        rows, language = document["transcription"], _mapping(document.get("result")).get("language")
        read = _cpp_segment
    else:
        return None
    segments = [segment for row in rows if isinstance(row, dict) and (segment := read(row)) is not None]
    utterances = tuple(utterance for segment in segments for utterance in _readable(segment))
    return Transcript(utterances, source, iso_639_1(language if isinstance(language, str) else None))


def _segment(row: Mapping[str, Any]) -> Utterance | None:
    start_s, end_s, text = _seconds(row.get("start")), _seconds(row.get("end")), row.get("text")
    if start_s is None or end_s is None or not isinstance(text, str):
        return None
    entries = row.get("words")
    words = tuple(_words(entries)) if isinstance(entries, list) else ()
    # A word without a time would vanish from phrase search; then all are placed by their characters instead.
    has_all = len(words) == len(entries) if isinstance(entries, list) else False
    return Utterance(start_s, end_s, text, speech_words(whole_words(words)) if has_all else ())


def _words(entries: list[Any]) -> Iterator[Word]:
    for entry in entries:
        fields = _mapping(entry)
        start_s, end_s = _seconds(fields.get("start")), _seconds(fields.get("end"))
        text = fields.get("word", fields.get("text"))
        if start_s is not None and end_s is not None and isinstance(text, str):
            yield Word(start_s, max(start_s, end_s), text)


def _cpp_segment(row: Mapping[str, Any]) -> Utterance | None:
    """whisper.cpp counts milliseconds."""
    offsets, text = _mapping(row.get("offsets")), row.get("text")
    start_ms, end_ms = _seconds(offsets.get("from")), _seconds(offsets.get("to"))
    if start_ms is None or end_ms is None or not isinstance(text, str):
        return None
    return Utterance(start_ms / 1000, end_ms / 1000, text)


def _readable(segment: Utterance) -> tuple[Utterance, ...]:
    """The segment, cut into shorter ones where it runs on for half a minute and its words have times."""
    if segment.words and segment.end_s - segment.start_s > MAX_UTTERANCE_S:
        return group_words(segment.words)
    return (segment,)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds(value: object) -> float | None:
    """A time that is a finite number from 0 on; JSON of other programs holds null, NaN and strings there."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)

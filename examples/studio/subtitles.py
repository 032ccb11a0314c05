"""Spoken lines written down in the forms that subtitles have in the wild."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from studio.speech import SpokenWord

Kind = Literal["srt", "vtt", "youtube", "whisper", "embedded"]

_TAIL_S = 0.01  # YouTube shows a finished line alone for this long before the next one rolls in


@dataclass(frozen=True)
class Cue:
    """A spoken line at its place in a video; the words' times count from the video's start."""

    start_s: float
    end_s: float
    text: str
    words: tuple[SpokenWord, ...]


def srt(cues: Sequence[Cue]) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue]) -> str:
    """WebVTT."""
    blocks = [f"{_clock(cue.start_s)} --> {_clock(cue.end_s)}\n{cue.text}\n" for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def youtube(cues: Sequence[Cue]) -> str:
    """YouTube's automatic captions: two rows that roll, words timed in `<c>` tags; every row comes three times."""
    rows = [row for cue in cues for row in _rows(cue.words)]
    blocks, above = ["WEBVTT\nKind: captions\nLanguage: en\n"], " "
    for row, following in pairwise([*rows, None]):
        assert row is not None
        start_s, spoken_s = row[0].start_s, row[-1].end_s
        end_s = min(spoken_s + 1.5, following[0].start_s - _TAIL_S) if following else spoken_s + 1.5
        plain = " ".join(word.text for word in row)
        timed = row[0].text + "".join(f"<{_clock(word.start_s)}><c> {word.text}</c>" for word in row[1:])
        blocks.append(f"{_span(start_s, end_s)} align:start position:0%\n{above}\n{timed}\n")
        blocks.append(f"{_span(end_s, end_s + _TAIL_S)} align:start position:0%\n{plain}\n \n")
        above = plain
    return "\n".join(blocks)


def whisper(cues: Sequence[Cue]) -> str:
    """The JSON that Whisper writes with word timestamps."""
    segments = [
        {
            "id": number,
            "seek": 0,
            "start": round(cue.start_s, 2),
            "end": round(cue.end_s, 2),
            "text": f" {cue.text}",
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": -0.21,
            "compression_ratio": 1.2,
            "no_speech_prob": 0.02,
            "words": [
                {
                    "word": f" {word.text}",
                    "start": round(word.start_s, 2),
                    "end": round(word.end_s, 2),
                    "probability": 0.97,
                }
                for word in cue.words
            ],
        }
        for number, cue in enumerate(cues)
    ]
    text = "".join(str(segment["text"]) for segment in segments)
    return json.dumps({"text": text, "segments": segments, "language": "en"}, indent=1) + "\n"


def info(title: str, description: str, duration_s: float) -> str:
    """What yt-dlp keeps of a video's web page: JSON too, but no transcript."""
    page = {
        "id": "goal-90-plus-1",
        "title": title,
        "description": description,
        "duration": round(duration_s),
        "uploader": "Sunday League",
        "upload_date": "20240519",
        "categories": ["Sports"],
        "tags": ["football", "goal"],
        "subtitles": {},
        "automatic_captions": {},
    }
    return json.dumps(page, indent=1) + "\n"


def _rows(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    """The words in rows of at most 32 letters, as YouTube breaks them."""
    rows: list[list[SpokenWord]] = [[]]
    for word in words:
        if rows[-1] and len(" ".join(other.text for other in [*rows[-1], word])) > 32:
            rows.append([])
        rows[-1].append(word)
    return rows


def _span(start_s: float, end_s: float) -> str:
    return f"{_clock(start_s)} --> {_clock(end_s)}"


def _clock(time_s: float, point: str = ".") -> str:
    total_ms = round(time_s * 1000)
    seconds, milliseconds = divmod(total_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"

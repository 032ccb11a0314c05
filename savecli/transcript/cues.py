"""SubRip and WebVTT text to timed cues, forgiving of everything that players forgive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,6}))?"
_STAMP = re.compile(_TIME)
# Positions may follow the second time; nothing but the first time may precede the arrow.
_TIMING = re.compile(rf"^\s*({_TIME})\s*-{{1,3}}>\s*({_TIME})(?![\d:])")
_HEADER = re.compile(r"^(Kind|Language)\s*:\s*(\S+)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Cue:
    """A timed block of a subtitle file; `lines` still hold their markup."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def parse_srt(text: str) -> tuple[Cue, ...]:
    """Cues of a SubRip file in file order; counters may be missing, and text may hold blank lines."""
    return tuple(_cues(text, ends_at_blank_line=False))


def parse_vtt(text: str) -> tuple[Cue, ...]:
    """Cues of a WebVTT file in file order; headers, NOTE, STYLE and REGION blocks and X-TIMESTAMP-MAP are passed over.

    The map relates cues to a broadcast clock that a downloaded file no longer has, so cue times count as they are.
    """
    return tuple(_cues(text, ends_at_blank_line=True))


def vtt_language(text: str) -> str | None:
    """The tag of a `Language:` line in a WebVTT header, as YouTube writes it."""
    for line in text.splitlines()[:10]:
        match = _HEADER.match(line)
        if match and match.group(1).lower() == "language":
            return match.group(2)
    return None


def stamp_seconds(stamp: str) -> float | None:
    """Seconds of `01:02:03.450`, `02:03,45` or `1:02:03`; None for anything else."""
    match = _STAMP.fullmatch(stamp.strip())
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups()
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + (float(f"0.{fraction}") if fraction else 0.0)


def _cues(text: str, *, ends_at_blank_line: bool) -> Iterator[Cue]:
    lines = re.split(r"\r\n|\r|\n", text)
    timings = [(i, match) for i, line in enumerate(lines) if (match := _TIMING.match(line))]
    borders = [i for i, _ in timings[1:]] + [len(lines)]
    for (index, match), border in zip(timings, borders, strict=True):
        start_s, end_s = stamp_seconds(match.group(1)), stamp_seconds(match.group(6))
        body = _until_blank(lines[index + 1 : border]) if ends_at_blank_line else lines[index + 1 : border]
        body = _without_counter(body) if border < len(lines) and not ends_at_blank_line else body
        kept = tuple(line for line in body if line.strip())
        if start_s is not None and end_s is not None and start_s < end_s and kept:
            yield Cue(start_s, end_s, kept)


def _until_blank(lines: list[str]) -> list[str]:
    # YouTube writes lines of one space inside cues, so only a truly empty line ends one.
    return lines[: lines.index("")] if "" in lines else lines


def _without_counter(lines: list[str]) -> list[str]:
    """The lines before the next cue's number, which stands directly above that cue's times."""
    last = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip()), None)
    # "42" is the next cue's counter only when a blank line or nothing stands before it; else someone says it.
    if last is not None and lines[last].strip().isdigit() and (last == 0 or not lines[last - 1].strip()):
        return lines[:last]
    return lines

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
    for number, (index, match) in enumerate(timings, start=1):
        is_last = number == len(timings)
        body = lines[index + 1 :] if is_last else lines[index + 1 : timings[number][0]]
        if ends_at_blank_line:
            body = _until_blank(body)
        elif not is_last:
            body = _without_counter(body, next_number=number + 1)
        kept = tuple(line for line in body if line.strip())
        start_s, end_s = stamp_seconds(match.group(1)), stamp_seconds(match.group(6))
        if start_s is not None and end_s is not None and start_s < end_s and kept:
            yield Cue(start_s, end_s, kept)


def _until_blank(lines: list[str]) -> list[str]:
    # YouTube writes lines of one space inside cues, so only a truly empty line ends one.
    return lines[: lines.index("")] if "" in lines else lines


def _without_counter(lines: list[str], *, next_number: int) -> list[str]:
    """The lines before the next cue's counter, which stands above that cue's times."""
    last = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip()), None)
    if last is None or not lines[last].strip().isdecimal():
        return lines
    # A number that neither follows a blank line nor counts on is something that somebody says.
    is_apart = last == 0 or not lines[last - 1].strip()
    return lines[:last] if is_apart or int(lines[last]) == next_number else lines

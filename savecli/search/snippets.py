"""The words of a moment that show best why it was found."""

from __future__ import annotations

import re

from savecli.search.results import Snippet

# Two lines of a terminal 80 wide: enough to judge a hit, short enough to read ten of them.
MAX_CHARS = 150

_WORD = re.compile(r"\S+")


def make_snippet(text: str, matches: tuple[tuple[int, int], ...], *, max_chars: int = MAX_CHARS) -> Snippet | None:
    """The passage of at most about `max_chars` characters with the most matched characters, cut between words.

    An ellipsis stands where text was left out. None for a moment without words.
    """
    text = text.strip() if not matches else text
    if not text.strip():
        return None
    if len(text) <= max_chars:
        return Snippet(text, matches)
    start, end = _best_window(text, matches, max_chars)
    before, after = "…" if start > 0 else "", "…" if end < len(text) else ""
    shift = len(before) - start
    inside = tuple((low + shift, high + shift) for low, high in matches if low >= start and high <= end)
    return Snippet(before + text[start:end] + after, inside)


def _best_window(text: str, matches: tuple[tuple[int, int], ...], max_chars: int) -> tuple[int, int]:
    """Whole words around the densest matches, with as much text before them as after."""
    words = [match.span() for match in _WORD.finditer(text)]
    low, high = _densest(matches, max_chars) if matches else (0, 0)
    spare = max(0, max_chars - (high - low)) // 2 if matches else 0
    left = 0 if low - spare <= 0 else low - spare
    right = min(len(text), left + max_chars)
    left = max(0, right - max_chars)
    inside = [(start, end) for start, end in words if start >= left and end <= right]
    if not inside:  # one word longer than the window
        return left, right
    return inside[0][0], inside[-1][1]


def _densest(matches: tuple[tuple[int, int], ...], max_chars: int) -> tuple[int, int]:
    """The run of matches that fits the window and marks the most characters; the first such."""
    best, best_marked = (matches[0][0], min(matches[0][1], matches[0][0] + max_chars)), -1
    for first, (low, _) in enumerate(matches):
        marked, high = 0, low
        for start, end in matches[first:]:
            if end - low > max_chars:
                break
            marked, high = marked + end - start, end
        if marked > best_marked and high > low:
            best, best_marked = (low, high), marked
    return best

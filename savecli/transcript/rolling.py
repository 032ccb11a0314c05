"""Cues to utterances, with the repetitions of rolling captions taken out.

YouTube's automatic captions show two lines: the upper repeats what the lower said before, the lower builds up word
by word (`welcome<00:00:02.720><c> to</c>`), and 10 ms cues hold both still in between. Read as they are, every
sentence comes out two or three times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from savecli.core.records import Utterance, Word
from savecli.transcript.base import plain_text, speech_words, spread_words
from savecli.transcript.cues import Cue, stamp_seconds
from savecli.transcript.grouping import group_words

_INLINE_STAMP = re.compile(r"<(\d{1,3}:[\d:.]+)>")
# Rolling cues follow each other without a gap; a line said again after a pause is said again.
_TOUCHING_S = 0.1
# The last word of a cue ends with the cue in the file, however long the speaker then pauses.
_MAX_WORD_S = 1.5
_MIN_REPEATS, _MIN_REPEAT_SHARE = 3, 0.3


def cue_utterances(cues: Sequence[Cue]) -> tuple[Utterance, ...]:
    """One utterance per cue, or for rolling captions sentence-like groups of their words, each said once."""
    if not is_rolling(cues):
        return tuple(_utterance(cue) for cue in cues)
    return group_words(speech_words([word for cue in unrolled(cues) for word in _words(cue)]))


def is_rolling(cues: Sequence[Cue]) -> bool:
    """Whether cues repeat the end of the one before: enough of them do, or any of them does and has stamps inside."""
    repeats = sum(_num_repeated(before, cue) > 0 for before, cue in pairwise(cues))
    stamped = any(_has_stamps(cue) for cue in cues)
    return (stamped and repeats > 0) or (repeats >= _MIN_REPEATS and repeats >= _MIN_REPEAT_SHARE * len(cues))


def unrolled(cues: Sequence[Cue]) -> Iterator[Cue]:
    """The cues with only the lines that are new in each; those that bring nothing new are left out."""
    before: Cue | None = None
    for cue in cues:
        num_old = _num_repeated(before, cue) if before is not None else 0
        if cue.lines[num_old:]:
            yield Cue(cue.start_s, cue.end_s, cue.lines[num_old:])
        before = cue


def _num_repeated(before: Cue, cue: Cue) -> int:
    """How many of the first lines of `cue` are the last lines of `before`, and shown again rather than said again."""
    if cue.start_s - before.end_s > _TOUCHING_S and not _has_stamps(cue):
        return 0
    shown, shows = _plain_lines(before), _plain_lines(cue)
    most = min(len(shown), len(shows))
    return next((n for n in range(most, 0, -1) if shown[-n:] == shows[:n]), 0)


def _plain_lines(cue: Cue) -> list[str]:
    return [" ".join(plain_text(line).split()) for line in cue.lines]


def _utterance(cue: Cue) -> Utterance:
    """The whole cue; words only where stamps inside the cue time them."""
    words = speech_words(_words(cue)) if _has_stamps(cue) else ()
    return Utterance(cue.start_s, cue.end_s, "\n".join(cue.lines), words)


def _has_stamps(cue: Cue) -> bool:
    return any(_INLINE_STAMP.search(line) for line in cue.lines)


def _words(cue: Cue) -> list[Word]:
    """Words between the stamps inside a cue; several between two stamps share the time by their characters."""
    pieces = _INLINE_STAMP.split(" ".join(cue.lines))
    texts = [plain_text(piece) for piece in pieces[::2]]
    starts_s = [cue.start_s]
    for stamp in pieces[1::2]:
        start_s = stamp_seconds(stamp)
        starts_s.append(starts_s[-1] if start_s is None else min(max(start_s, starts_s[-1]), cue.end_s))
    ends_s = [*starts_s[1:], cue.end_s]
    words: list[Word] = []
    for text, start_s, end_s in zip(texts, starts_s, ends_s, strict=True):
        longest_s = _MAX_WORD_S * max(1, len(text.split()))
        words += spread_words(text, start_s, min(end_s, start_s + longest_s))
    return words

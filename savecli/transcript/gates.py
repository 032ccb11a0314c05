"""Which recognised segments are believed; statistics only, no lists of suspicious words.

Thresholds on probability and compression are those of the Whisper paper (section 4.5) unless a comment says more.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from savecli.core.records import Word

MIN_AVG_LOGPROB = -1.0
MAX_COMPRESSION_RATIO = 2.4
# A window that the model itself takes for silence must be surer of its words than one of speech.
MAX_NO_SPEECH_PROB, MIN_AVG_LOGPROB_IN_SILENCE = 0.6, -0.5
# Below, the words were not heard where the attention places them; real speech lies at 0.5 to 0.95.
MIN_WORD_PROBABILITY = 0.2
# "no, no, no, no" is said; five times the same in a row, over half of a segment, is a stuck decoder.
_LOOP = re.compile(r"(.{2,80}?)\1{4,}")
_MAX_LOOP_SHARE = 0.5
# A chorus may repeat a segment; the third time in a row is the model talking to itself.
_MAX_SAME_SEGMENTS = 2
# The same words after a longer pause are said again: "Next, please."
_ECHO_GAP_S = 10.0


@dataclass(frozen=True)
class HeardSegment:
    """A recognised piece of text with what the recogniser thinks of it.

    Args:
        words: with times in the video; may be empty when the alignment failed.
        avg_logprob: mean natural logarithm of the token probabilities.
        no_speech_prob: probability that the sound is no speech.
        word_probability: mean over the words, or None without words.
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_prob: float
    word_probability: float | None = None


def believed(segments: Iterable[HeardSegment]) -> tuple[HeardSegment, ...]:
    """The segments that are probably speech, without loops and runs of the same text."""
    return without_echoes([segment for segment in segments if is_confident(segment) and not is_loop(segment.text)])


def is_confident(segment: HeardSegment) -> bool:
    """Whether the recogniser's own numbers speak for the segment."""
    floor = MIN_AVG_LOGPROB if segment.no_speech_prob <= MAX_NO_SPEECH_PROB else MIN_AVG_LOGPROB_IN_SILENCE
    has_words = segment.word_probability is None or segment.word_probability >= MIN_WORD_PROBABILITY
    # `not <` would let NaN through.
    return segment.avg_logprob >= floor and has_words


def is_loop(text: str) -> bool:
    """Whether the text says the same few words over and over."""
    plain = _normal(text) + " "
    looped = sum(len(match.group()) for match in _LOOP.finditer(plain))
    return looped > _MAX_LOOP_SHARE * len(plain) or compression_ratio(text) > MAX_COMPRESSION_RATIO


def compression_ratio(text: str) -> float:
    """Bytes of the text over bytes after zlib; above 2.4 a text repeats itself."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def without_echoes(segments: Sequence[HeardSegment]) -> tuple[HeardSegment, ...]:
    """Of three or more segments with the same words, each soon after the one before, only the first."""
    runs: list[list[HeardSegment]] = []
    for segment in segments:
        before = runs[-1][-1] if runs else None
        if before and segment.start_s - before.end_s <= _ECHO_GAP_S and _normal(before.text) == _normal(segment.text):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return tuple(segment for run in runs for segment in (run if len(run) <= _MAX_SAME_SEGMENTS else run[:1]))


def _normal(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))

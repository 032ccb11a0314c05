"""Which words belong to which clip."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from savecli.archive.schema import TimedSpan
from savecli.core.records import Span, Utterance, Word
from savecli.transcript.base import timed_words


@dataclass(frozen=True)
class ClipSpeech:
    """What is said in a clip: the text, and the characters and times of its words."""

    text: str
    words: tuple[TimedSpan, ...]


@dataclass(frozen=True)
class _PlacedWord:
    word: Word
    utterance_idx: int


class SpeechTrack:
    """A transcript laid out in time, from which clips take their words.

    Every word belongs to exactly one clip: the one its middle lies in.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        placed = [_PlacedWord(word, idx) for idx, utterance in enumerate(utterances) for word in timed_words(utterance)]
        self._words = sorted(placed, key=lambda item: (_middle(item.word), item.utterance_idx))
        self._middles = [_middle(item.word) for item in self._words]
        self._utterances = utterances

    def within(self, span: Span, *, is_last: bool = False) -> ClipSpeech:
        """What is said in `span`; the last clip of a video also takes words timed after its end."""
        start = bisect_left(self._middles, span.start_s) if span.start_s > 0 else 0
        end = len(self._words) if is_last else bisect_left(self._middles, span.end_s)
        return _joined(self._by_utterance(self._words[start:end]))

    def _by_utterance(self, placed: Iterable[_PlacedWord]) -> Iterable[tuple[str, list[Word]]]:
        """Words grouped by utterance, each group with the text it is written as."""
        groups: dict[int, list[Word]] = {}
        for item in placed:
            groups.setdefault(item.utterance_idx, []).append(item.word)
        for idx, words in sorted(groups.items()):
            utterance = self._utterances[idx]
            is_whole = len(words) == len(timed_words(utterance))
            # A script without spaces stays without them when an utterance is cut in two.
            glue = " " if " " in utterance.text.strip() or utterance.text.isascii() else ""
            yield (utterance.text if is_whole else glue.join(word.text for word in words)), words


def _joined(groups: Iterable[tuple[str, list[Word]]]) -> ClipSpeech:
    text = ""
    spans: list[TimedSpan] = []
    for part, words in groups:
        text += (" " if text else "") + part
        cursor = len(text) - len(part)
        for word in words:
            start = text.find(word.text, cursor)
            if start >= 0:  # a word that its own text lacks keeps its time out, never a wrong place
                cursor = start + len(word.text)
                spans.append(TimedSpan(start, cursor, word.start_s, word.end_s))
    return ClipSpeech(text, tuple(spans))


def _middle(word: Word) -> float:
    return (word.start_s + word.end_s) / 2

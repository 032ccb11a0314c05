"""Running words cut into utterances that read like sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable

from savecli.core.records import Utterance, Word

MAX_UTTERANCE_S = 8.0
_PAUSE_S = 0.7
# A sentence of one or two short words ("Yes.", "Oh no!") reads better with its neighbour than alone.
_MIN_SENTENCE_S = 1.2
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", '."', '?"', '!"', ".”", "?”", "!”")
# Thai, Lao, Khmer, Japanese and Chinese are written without spaces between words.
_UNSPACED = r"[\u0e00-\u0eff\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
_NO_SPACE = re.compile(rf"(?<={_UNSPACED}) (?={_UNSPACED})")


def group_words(words: Iterable[Word], *, max_s: float = MAX_UTTERANCE_S) -> tuple[Utterance, ...]:
    """Utterances of at most `max_s` seconds, cut at sentence ends and pauses, else at the widest gap.

    A single word longer than `max_s` stays whole.
    """
    utterances: list[Utterance] = []
    group: list[Word] = []
    for word in words:
        if group and (_is_sentence_end(group) or word.start_s - group[-1].end_s >= _PAUSE_S):
            utterances.append(_utterance(group))
            group = []
        while group and word.end_s - group[0].start_s > max_s:
            cut = _best_cut([*group, word])
            utterances.append(_utterance(group[:cut]))
            group = group[cut:]
        group.append(word)
    if group:
        utterances.append(_utterance(group))
    return tuple(utterances)


def _is_sentence_end(group: list[Word]) -> bool:
    return group[-1].text.endswith(_SENTENCE_ENDS) and group[-1].end_s - group[0].start_s >= _MIN_SENTENCE_S


def _best_cut(words: list[Word]) -> int:
    """Index of the word that begins the next utterance: after a comma or the widest gap of the later half."""
    candidates = range(max(1, len(words) // 2), len(words))
    ends_clause = tuple(",;:、，")
    return max(
        candidates,
        key=lambda i: (words[i].start_s - words[i - 1].end_s + 0.2 * words[i - 1].text.endswith(ends_clause), i),
    )


def _utterance(words: list[Word]) -> Utterance:
    text = _NO_SPACE.sub("", " ".join(word.text for word in words))
    return Utterance(words[0].start_s, words[-1].end_s, text, tuple(words))

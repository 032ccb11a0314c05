"""Which words of a text a query matches: stems count, accents and case do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from savecli.archive.analyzer import is_stop_word, terms

_CHUNK = re.compile(r"\S+")

# Six little words are as telling as one with meaning: enough for "what your country can do for you", too little for a
# text that shares only the grammar of a long question.
LITTLE_WORD_WEIGHT = 1 / 6


@dataclass(frozen=True)
class QueryTerms:
    """A query as index terms.

    Args:
        content: terms that carry meaning; all terms where none does, as in "to be or not to be".
        little: the other terms: "the", "for", "you".
        language: whose stems these are.
    """

    content: frozenset[str]
    little: frozenset[str]
    language: str

    @property
    def every(self) -> frozenset[str]:
        """All terms."""
        return self.content | self.little


def query_terms(text: str, *, language: str) -> QueryTerms:
    """The terms of a typed query."""
    every = frozenset(terms(text, language=language))
    little = {
        term
        for chunk in _CHUNK.findall(text)
        for term in terms(chunk, language=language)
        if is_stop_word(chunk, language=language)
    }
    content = every - little or every
    return QueryTerms(content, every - content, language)


def matched_terms(text: str, query: QueryTerms) -> frozenset[str]:
    """The query's terms that `text` holds."""
    return query.every.intersection(terms(text, language=query.language))


def evidence(matched: frozenset[str], query: QueryTerms) -> float:
    """How many words with meaning the matched terms are worth; 0 when none of them has any."""
    content = len(matched & query.content)
    return content + LITTLE_WORD_WEIGHT * len(matched & query.little) if content else 0.0


def coverage(matched: frozenset[str], query: QueryTerms) -> float:
    """Share of the query that was matched, 0 to 1, little words counting little."""
    whole = evidence(query.every, query)
    return evidence(matched, query) / whole if whole else 0.0


def match_spans(text: str, query: QueryTerms) -> tuple[tuple[int, int], ...]:
    """`(start, end)` offsets of matched words, neighbours joined.

    A little word ("the", "for") is marked only inside a run that also holds a word with meaning.
    """
    runs: list[tuple[int, int]] = []
    run: list[tuple[int, int, bool]] = []
    for start, end, found in _chunks(text, query):
        if found & query.every:
            run.append((start, end, bool(found & query.content)))
        else:
            runs += _closed(run, text)
            run = []
    runs += _closed(run, text)
    return tuple(runs)


def _chunks(text: str, query: QueryTerms) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Words of `text` with their terms; in a script without spaces, where a chunk is a sentence, those found inside."""
    for chunk in _CHUNK.finditer(text):
        found = terms(chunk.group(), language=query.language)
        if len(found) > 1 and not chunk.group().isascii():
            yield from _inner_words(chunk, found)
        else:
            yield chunk.start(), chunk.end(), frozenset(found)


def _inner_words(chunk: re.Match[str], found: tuple[str, ...]) -> Iterator[tuple[int, int, frozenset[str]]]:
    cursor, lowered = 0, chunk.group().lower()
    for term in found:
        at = lowered.find(term, cursor)
        if at < 0:  # a folded or stemmed term is not there letter by letter: mark the whole chunk
            yield chunk.start(), chunk.end(), frozenset(found)
            return
        yield chunk.start() + at, chunk.start() + at + len(term), frozenset([term])
        cursor = at + len(term)


def _closed(run: list[tuple[int, int, bool]], text: str) -> list[tuple[int, int]]:
    if not any(is_content for _, _, is_content in run):
        return []
    start, end = run[0][0], run[-1][1]
    return [_without_outer_punctuation(text, start, end)]


def _without_outer_punctuation(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end

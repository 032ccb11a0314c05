"""Which words match, what is marked, and which passage is shown."""

from __future__ import annotations

import pytest

from savecli.search.catalogue import below_root, path_matcher
from savecli.search.confidence import Level, joint_level, words_level
from savecli.search.matching import coverage, evidence, match_spans, matched_terms, query_terms
from savecli.search.rank import fuse_ranks
from savecli.search.snippets import make_snippet


def marked(text: str, query: str, language: str = "English") -> list[str]:
    spans = match_spans(text, query_terms(query, language=language))
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("SPS, or Stiff Person Syndrome, is rare", "stiff person syndrome", ["Stiff Person Syndrome"]),
        ("he was running to the runs", "run", ["running", "runs"]),
        ("the cat, the dog", "the dog", ["the dog"]),
        ("for the you", "dog for the", []),
        ("Un CAFÉ crème!", "cafe", ["CAFÉ"]),
        ("to be or not to be", "to be or not", ["to be or not to be"]),
        ("東京タワーに行きました。", "東京", ["東京"]),
        ("nothing here", "elephant", []),
    ],
)
def test_marks(text: str, query: str, expected: list[str]) -> None:
    assert marked(text, query) == expected


def test_little_words_count_little_and_nothing_alone() -> None:
    query = query_terms("ask not what your country can do for you", language="English")
    partly = matched_terms("and not what you can do for your country", query)
    assert words_level(coverage(partly, query), evidence(partly, query)) == Level.MEDIUM
    grammar = matched_terms("that is not what you can do for your mother", query)
    assert words_level(coverage(grammar, query), evidence(grammar, query)) == Level.LOW
    whole = matched_terms("Ask not what your country can do for you", query)
    assert words_level(coverage(whole, query), evidence(whole, query)) == Level.HIGH
    assert evidence(frozenset({"for", "you"}), query) == 0


def test_one_of_two_words_is_not_convincing() -> None:
    query = query_terms("stiff elephant", language="English")
    found = matched_terms("a stiff neck", query)
    assert words_level(coverage(found, query), evidence(found, query)) == Level.LOW


def test_two_kinds_of_medium_evidence_are_high() -> None:
    assert joint_level([Level.MEDIUM, Level.LOW, Level.MEDIUM]) == Level.HIGH
    assert joint_level([Level.MEDIUM, Level.LOW]) == Level.MEDIUM
    assert joint_level([]) == Level.LOW


def test_a_snippet_keeps_whole_words_around_the_matches_and_its_offsets() -> None:
    text = "word " * 100 + "needle in the haystack" + " word" * 100
    at = text.index("needle")
    snippet = make_snippet(text, ((at, at + 6), (at + 14, at + 22)))
    assert snippet is not None
    assert [snippet.text[start:end] for start, end in snippet.matches] == ["needle", "haystack"]
    assert snippet.text.startswith("…word")
    assert snippet.text.endswith("word…")
    assert len(snippet.text) <= 152
    assert set(snippet.text.strip("…").split()) == {"word", "needle", "in", "the", "haystack"}


def test_the_densest_passage_wins() -> None:
    text = "alpha " + "x " * 200 + "alpha beta gamma" + " y" * 200
    query = query_terms("alpha beta gamma", language="English")
    snippet = make_snippet(text, match_spans(text, query))
    assert snippet is not None
    assert [snippet.text[start:end] for start, end in snippet.matches] == ["alpha beta gamma"]


def test_short_and_empty_texts() -> None:
    assert make_snippet("", ()) is None
    snippet = make_snippet("short", ())
    assert snippet is not None
    assert snippet.text == "short"
    long_word = make_snippet("x" * 500, ((0, 500),))
    assert long_word is not None
    assert len(long_word.text) <= 152


def test_fusion_puts_first_what_is_good_in_both() -> None:
    assert fuse_ranks(["a", "b", "c"], ["b", "c", "d"])[0] == "b"
    assert fuse_ranks([], ["a"]) == ["a"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("talks", True),
        ("talks/a.mp4", True),
        ("/v/talks", True),
        ("*.mp4", True),
        ("talks/*", True),
        ("a.*", True),
        ("/v/*/a.mp4", True),
        ("talk", False),
        ("*.mkv", False),
        ("other/*", False),
        ("alks/a.mp4", False),
    ],
)
def test_path_patterns(pattern: str, expected: bool) -> None:
    assert path_matcher(pattern)("/v/talks/a.mp4", below_root("/v/talks/a.mp4", "/v")) is expected

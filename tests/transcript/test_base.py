"""Clean text and times for words."""

from __future__ import annotations

import pytest

from savecli.core.records import Utterance, Word
from savecli.transcript.base import (
    clean_utterances,
    plain_text,
    speech_text,
    speech_words,
    spread_words,
    timed_words,
    whole_words,
)


def words(*texts: str) -> tuple[Word, ...]:
    return tuple(Word(float(i), i + 1.0, text) for i, text in enumerate(texts))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<i>Hello</i> <b>there</b>", "Hello there"),
        ('<font color="#fff">Hello</font>', "Hello"),
        ("<v Roger Bingham>Hello", "Hello"),
        ("<c.colorE5E5E5>Hello</c>", "Hello"),
        ("he<00:00:01.500>llo", "hello"),
        (r"{\an8}Hello{\i0}", "Hello"),
        (r"One\Ntwo\hthree", "One\ntwo three"),
        ("Tom &amp; Jerry &lt;3 &#39;em", "Tom & Jerry <3 'em"),
        ("a < b and c > d, x <3", "a < b and c > d, x <3"),
        ("zero\u200bwidth \u202bmarks", "zerowidth marks"),
    ],
)
def test_markup_goes_and_text_stays(markup, text):
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("[Music]", ""),
        ("(applause)", ""),
        ("♪ ♪", ""),
        ("♪ Happy birthday ♪", "Happy birthday"),
        ("...", ""),
        ("[door opens] Who is there?", "Who is there?"),
        ("Thank you. (applause)", "Thank you."),
        ("(laughs) No.\n(sighs)", "No."),
        ("the WHO (in Geneva) said", "the WHO (in Geneva) said"),
        ("- Hello.\n- Hi.", "Hello. Hi."),
        ("-5 degrees", "-5 degrees"),
        (">> JOHN: so well-known", "JOHN: so well-known"),
        ("（拍手）ありがとう", "ありがとう"),
        ("  two\n  lines\t", "two lines"),
        ("3... 2... 1...", "3... 2... 1..."),
        ("a function() { return }", "a function() { return }"),
    ],
)
def test_only_speech_is_kept(text, spoken):
    assert speech_text(text) == spoken


def test_a_description_over_several_words_is_recognised():
    assert [word.text for word in speech_words(words("we", "[", "__", "]", "go", "[loud", "music]"))] == ["we", "go"]


def test_kept_words_keep_their_own_times():
    kept = speech_words(words("[Music]", "hello", "♪", "world"))
    assert kept == (Word(1, 2, "hello"), Word(3, 4, "world"))


def test_cleaning_sorts_and_drops_what_says_nothing():
    utterances = [
        Utterance(5, 6, "second"),
        Utterance(1, 2, "<i>first</i>"),
        Utterance(1, 2, "first"),
        Utterance(3, 4, "[Music]"),
        Utterance(4, 4, "no length"),
        Utterance(-2, -1, "before the start"),
    ]
    assert [u.text for u in clean_utterances(utterances)] == ["first", "second"]


def test_own_word_times_are_kept():
    own = words("hello", "world")
    assert timed_words(Utterance(0, 2, "hello world", own)) == own


def test_other_words_share_the_time_by_their_characters():
    timed = timed_words(Utterance(10, 16, "a bcd efghi"))
    assert [word.text for word in timed] == ["a", "bcd", "efghi"]
    assert timed[0].start_s == 10
    assert timed[-1].end_s == 16
    assert [round(word.end_s - word.start_s, 6) for word in timed] == [1, 2, 3]


def test_words_without_spaces_are_timed_by_character():
    assert [word.text for word in spread_words("今日は、いい。", 0, 6)] == ["今", "日", "は、", "い", "い。"]


def test_no_text_has_no_words():
    assert timed_words(Utterance(0, 1, "")) == ()


def test_fragments_join_the_word_before():
    assert [word.text for word in whole_words(words(" state", "-of", "-the", " art"))] == ["state-of-the", "art"]
    assert [word.text for word in whole_words(words("no", "spaces"))] == ["no", "spaces"]
    assert [word.text for word in whole_words(words(" 今", "日", "は"))] == ["今", "日", "は"]

"""Running words to utterances."""

from __future__ import annotations

from savecli.core.records import Word
from savecli.transcript.grouping import MAX_UTTERANCE_S, group_words


def running(text: str, *, step_s: float = 0.4, start_s: float = 0.0) -> list[Word]:
    return [Word(start_s + i * step_s, start_s + (i + 1) * step_s, word) for i, word in enumerate(text.split())]


def test_sentences_become_utterances():
    grouped = group_words(running("This is the first one. And is this the second? Yes it is."))
    assert [u.text for u in grouped] == ["This is the first one.", "And is this the second?", "Yes it is."]


def test_a_very_short_sentence_stays_with_its_neighbour():
    assert [u.text for u in group_words(running("No. I do not think so."))] == ["No. I do not think so."]


def test_a_pause_ends_an_utterance():
    grouped = group_words([*running("before the pause"), *running("after the pause", start_s=5)])
    assert [u.text for u in grouped] == ["before the pause", "after the pause"]
    assert (grouped[1].start_s, grouped[1].end_s) == (5, 6.2)


def test_endless_speech_is_cut_within_the_limit_and_loses_no_word():
    words = running(" ".join(f"word{i}" for i in range(200)))
    grouped = group_words(words)
    assert all(u.end_s - u.start_s <= MAX_UTTERANCE_S + 1e-6 for u in grouped)
    assert [word for u in grouped for word in u.words] == words


def test_the_cut_falls_behind_a_comma_rather_than_anywhere():
    words = running(" ".join(f"word{i}{',' if i == 14 else ''}" for i in range(24)))
    assert group_words(words)[0].text.endswith("word14,")


def test_scripts_without_spaces_are_joined_without():
    assert group_words([Word(0, 1, "你"), Word(1, 2, "好"), Word(2, 3, "Ada")])[0].text == "你好 Ada"


def test_one_overlong_word_stays_whole():
    assert len(group_words([Word(0, 20, "ommmm"), Word(20, 21, "yes")])) == 2


def test_no_words_are_no_utterances():
    assert group_words([]) == ()

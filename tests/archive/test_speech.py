"""Every spoken word belongs to exactly one clip, with its place in the text and its time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from savecli.archive.speech import SpeechTrack
from savecli.core.records import Span, Utterance, Word


def test_an_utterance_across_a_border_is_cut_between_its_words() -> None:
    words = tuple(Word(8 + n, 9 + n, text) for n, text in enumerate(["one", "two,", "three", "four."]))
    track = SpeechTrack([Utterance(8, 12, "one two, three four.", words)])
    first, second = track.within(Span(0, 10)), track.within(Span(10, 20), is_last=True)
    assert (first.text, second.text) == ("one two,", "three four.")
    spans = [(second.text[word.start : word.end], word.start_s, word.end_s) for word in second.words]
    assert spans == [("three", 10.0, 11.0), ("four.", 11.0, 12.0)]


def test_no_word_is_lost_or_doubled(rng: np.random.Generator) -> None:
    starts = np.sort(rng.uniform(0, 100, 30))
    utterances = [Utterance(s, s + rng.uniform(0.2, 6), f"w{n}a w{n}b w{n}c") for n, s in enumerate(starts)]
    borders = [0.0, *np.sort(rng.uniform(0, 100, 9)), 100.0]
    track = SpeechTrack(utterances)
    spans = [Span(a, b) for a, b in pairwise(borders)]
    clips = [track.within(span, is_last=span is spans[-1]) for span in spans]
    spoken = " ".join(clip.text for clip in clips if clip.text).split()
    assert sorted(spoken) == sorted(word for utterance in utterances for word in utterance.text.split())
    for clip in clips:
        assert [clip.text[word.start : word.end] for word in clip.words] == clip.text.split()


def test_words_timed_after_the_end_belong_to_the_last_clip() -> None:
    track = SpeechTrack([Utterance(9, 14, "late words")])
    assert track.within(Span(0, 10), is_last=True).text == "late words"


def test_a_script_without_spaces_stays_without() -> None:
    words = tuple(Word(9 + n, 10 + n, text) for n, text in enumerate(["今日は", "いい", "天気"]))
    track = SpeechTrack([Utterance(9, 12, "今日はいい天気", words)])
    assert track.within(Span(10, 20), is_last=True).text == "いい天気"
    whole = track.within(Span(0, 20))
    assert [whole.text[word.start : word.end] for word in whole.words] == ["今日は", "いい", "天気"]

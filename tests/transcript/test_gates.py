"""Which recognised segments are believed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from savecli.transcript.gates import HeardSegment, believed, is_confident, is_loop, without_echoes

GOOD = HeardSegment(
    start_s=0.0,
    end_s=2.0,
    text="And so, my fellow Americans.",
    words=(),
    avg_logprob=-0.3,
    no_speech_prob=0.05,
    word_probability=0.8,
)


def test_a_good_segment_is_believed():
    assert believed([GOOD]) == (GOOD,)


@pytest.mark.parametrize(
    "numbers",
    [
        {"avg_logprob": -1.2},
        {"avg_logprob": math.nan},
        {"no_speech_prob": 0.9, "avg_logprob": -0.7},
        {"word_probability": 0.1},
    ],
)
def test_a_segment_with_poor_numbers_is_not(numbers):
    assert not is_confident(replace(GOOD, **numbers))


def test_a_probable_silence_may_still_hold_words_that_are_sure():
    assert is_confident(replace(GOOD, no_speech_prob=0.9, avg_logprob=-0.2))
    assert is_confident(replace(GOOD, word_probability=None))


@pytest.mark.parametrize(
    "text",
    [
        "Thank you. " * 8,
        "I'm going to go to the " * 6,
        "so so so so so so so so so so",
        "ha" * 40,
        "你好" * 12,
        "Then it began: and the, and the, and the, and the, and the, and the, and the, and the",
    ],
)
def test_loops_are_found(text):
    assert is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
        "No, no, no, that is not what I said.",
        "Row, row, row your boat gently down the stream.",
        "It was very, very, very good.",
        "Yes.",
        "今日はいい天気ですね。散歩に行きましょう。",
        "one two three four five six seven eight nine ten eleven twelve",
    ],
)
def test_ordinary_speech_is_no_loop(text):
    assert not is_loop(text)


def test_the_same_segment_over_and_over_stays_once():
    texts = ["Hm.", "hm", "Hm!", "Next.", "Hm."]
    echoes = [replace(GOOD, start_s=i, end_s=i + 1.0, text=text) for i, text in enumerate(texts)]
    assert [s.text for s in without_echoes(echoes)] == ["Hm.", "Next.", "Hm."]


def test_twice_is_speech():
    assert len(without_echoes([GOOD, replace(GOOD, start_s=3.0)])) == 2


def test_the_same_words_every_minute_are_speech():
    calls = [replace(GOOD, start_s=60.0 * i, end_s=60.0 * i + 2, text="Next, please.") for i in range(5)]
    assert len(without_echoes(calls)) == 5

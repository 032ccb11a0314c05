"""Clip borders: what always holds, and what each kind of evidence is worth."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from savecli.core.records import Utterance, Word
from savecli.media.spans import MAX_CLIP_S, MIN_CLIP_S, clip_spans, next_border


def random_utterances(rng: np.random.Generator, duration_s: float) -> list[Utterance]:
    """Speech with pauses of all sizes, none at all among them, and now and then a very long utterance."""
    utterances, now_s = [], float(rng.uniform(0, 8))
    while now_s < duration_s:
        long = float(rng.choice([rng.uniform(0.3, 6), rng.uniform(6, 40)], p=[0.85, 0.15]))
        words: tuple[Word, ...] = ()
        if rng.random() < 0.5:
            edges = np.linspace(now_s, now_s + long, int(long * 2) + 2)
            words = tuple(Word(float(a), float(b) - 0.05, "w") for a, b in pairwise(edges))
        utterances.append(Utterance(now_s, now_s + long, "words", words))
        now_s += long + float(rng.choice([0.0, rng.uniform(0, 1), rng.uniform(1, 20)]))
    return utterances


@pytest.mark.parametrize("seed", range(40))
def test_clips_cover_the_video_and_have_allowed_lengths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    duration_s = float(rng.choice([rng.uniform(0.01, 15), rng.uniform(15, 40), rng.uniform(40, 900)]))
    cuts_s = sorted(rng.uniform(0, duration_s, rng.integers(0, 60)).tolist())
    spans = clip_spans(duration_s, utterances=random_utterances(rng, duration_s), cuts_s=cuts_s)
    assert spans[0].start_s == 0
    assert spans[-1].end_s == duration_s
    assert all(one.end_s == following.start_s for one, following in pairwise(spans))
    if duration_s <= MAX_CLIP_S:
        assert len(spans) == 1
    else:
        assert all(MIN_CLIP_S - 1e-9 <= span.duration_s <= MAX_CLIP_S + 1e-9 for span in spans)


@pytest.mark.parametrize("seed", range(40))
def test_no_border_cuts_an_utterance_while_a_pause_is_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    utterances = random_utterances(rng, 300)
    cuts_s = sorted(rng.uniform(0, 300, 40).tolist())
    spans = clip_spans(300, utterances=utterances, cuts_s=cuts_s)
    for span in spans[:-1]:
        cut = [u for u in utterances if u.start_s < span.end_s < u.end_s]
        if cut:
            low_s, high_s = span.start_s + MIN_CLIP_S, min(span.start_s + MAX_CLIP_S, 300 - MIN_CLIP_S)
            moments = np.linspace(low_s, high_s, 500)
            said = np.any([(u.start_s < moments) & (moments < u.end_s) for u in utterances], axis=0)
            assert said.all(), f"the border {span.end_s} cuts {cut[0]} although there is a pause"


@pytest.mark.parametrize("seed", range(20))
def test_borders_are_decided_by_the_next_fifteen_seconds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    utterances = random_utterances(rng, 200)
    cuts_s = sorted(rng.uniform(0, 200, 30).tolist())
    start_s = float(rng.uniform(0, 150))
    near = [u for u in utterances if u.end_s > start_s and u.start_s < start_s + MAX_CLIP_S]
    near_cuts_s = [cut_s for cut_s in cuts_s if start_s < cut_s <= start_s + MAX_CLIP_S]
    everything = next_border(start_s, 200, utterances=utterances, cuts_s=cuts_s)
    assert next_border(start_s, 200, utterances=near, cuts_s=near_cuts_s) == everything


def test_without_evidence_clips_last_ten_seconds() -> None:
    assert next_border(0, 60) == 10
    assert [span.end_s for span in clip_spans(60)] == [10, 20, 30, 40, 50, 60]


def test_a_picture_cut_beats_ten_seconds() -> None:
    assert next_border(0, 60, cuts_s=[3, 7, 14.5, 30]) == 7


def test_a_pause_beats_a_cut_in_an_utterance() -> None:
    said = [Utterance(0, 8, "a"), Utterance(8.5, 20, "b")]
    border_s = next_border(0, 60, utterances=said, cuts_s=[10])
    assert 8 < border_s < 8.5


def test_a_cut_in_a_pause_beats_a_nearer_pause() -> None:
    said = [Utterance(0, 6, "a"), Utterance(7, 9.8, "b"), Utterance(10.2, 20, "c")]
    assert next_border(0, 60, utterances=said, cuts_s=[6.4]) == 6.4


def test_two_utterances_that_touch_leave_a_border_between_them() -> None:
    assert next_border(0, 60, utterances=[Utterance(0, 9, "a"), Utterance(9, 20, "b")]) == 9


def test_a_border_keeps_its_distance_from_speech() -> None:
    assert next_border(0, 60, utterances=[Utterance(2, 9.9, "a"), Utterance(12, 20, "b")]) == pytest.approx(10.15)


def test_a_very_long_utterance_is_cut_between_words() -> None:
    words = tuple(Word(s + 0.1, s + 0.8, "w") for s in range(30))
    border_s = next_border(0, 60, utterances=[Utterance(0, 30, "long", words)])
    assert not any(word.start_s < border_s < word.end_s for word in words)
    assert abs(border_s - 10) < 0.5


def test_a_very_long_utterance_without_word_times_is_cut_at_a_picture_cut_or_ten_seconds() -> None:
    said = [Utterance(0, 30, "long")]
    assert next_border(0, 60, utterances=said, cuts_s=[6.5]) == 6.5
    assert next_border(0, 60, utterances=said) == 10


def test_overlapping_utterances_count_as_one() -> None:
    said = [Utterance(0, 9, "a"), Utterance(4, 11, "b"), Utterance(11.4, 20, "c")]
    assert 11 < next_border(0, 60, utterances=said) < 11.4


@pytest.mark.parametrize("duration_s", [0, -1, float("nan"), float("inf")])
def test_a_senseless_duration_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="allowed: a positive number of seconds"):
        clip_spans(duration_s)


def test_ten_hours_of_speech_take_no_time() -> None:
    utterances = [Utterance(2.0 * n, 2.0 * n + 1.9, "words") for n in range(18_000)]
    began = time.process_time()
    spans = clip_spans(36_000, utterances=utterances, cuts_s=[7.0 * n for n in range(5000)])
    assert time.process_time() - began < 2
    assert len(spans) > 2400

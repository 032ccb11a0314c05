"""Where somebody speaks, and that nobody speaks in silence, noise and music."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.transcript.voice import (
    RATE_HZ,
    Stretch,
    find_speech,
    joined_stretches,
    speech_windows,
)
from tests.transcript import sounds

LIMITS = {"max_stretch_s": 28.0, "min_silence_s": 0.5}


def blocks(waveform, *, block_s=7.3):
    step = round(block_s * RATE_HZ)
    for start in range(0, len(waveform), step):
        yield waveform[start : start + step]


@pytest.mark.parametrize("make", [sounds.silence, sounds.white_noise, sounds.pink_noise, sounds.music])
def test_nobody_speaks(make):
    assert list(speech_windows(blocks(make(60)), **LIMITS)) == []


def test_both_sentences_are_found_where_they_are():
    first, second = find_speech(sounds.spoken(), **LIMITS)
    assert first.start / RATE_HZ == pytest.approx(0.4, abs=0.3)
    assert first.end / RATE_HZ == pytest.approx(4.3, abs=0.3)
    assert second.start / RATE_HZ == pytest.approx(6.4, abs=0.3)


def test_windows_keep_their_place_and_cut_no_sentence():
    """Speech every half minute for five minutes, looked at in windows of twenty seconds."""
    spoken = sounds.spoken()
    waveform = sounds.silence(300)
    for start_s in range(5, 300, 30):
        start = start_s * RATE_HZ
        waveform[start : start + len(spoken)] += spoken
    found = []
    for window in speech_windows(blocks(waveform), window_s=20.0, **LIMITS):
        assert len(window.waveform) <= 60 * RATE_HZ
        for stretch in window.stretches:
            found.append(window.start_s + stretch.start / RATE_HZ)
            heard = window.waveform[stretch.start : stretch.end]
            place = round(window.start_s * RATE_HZ) + stretch.start
            assert np.array_equal(heard, waveform[place : place + len(heard)])
    expected = [start_s + offset_s for start_s in range(5, 300, 30) for offset_s in (0.4, 6.4)]
    assert found == pytest.approx(expected, abs=0.3)


def test_speech_without_a_pause_is_cut_at_the_limit():
    spoken = sounds.spoken()[int(0.6 * RATE_HZ) : int(4.0 * RATE_HZ)]
    windows = list(speech_windows(blocks(np.tile(spoken, 20)), max_stretch_s=10.0, min_silence_s=0.5, window_s=25.0))
    stretches = [stretch for window in windows for stretch in window.stretches]
    assert max(stretch.end - stretch.start for stretch in stretches) <= 10.5 * RATE_HZ
    assert sum(stretch.end - stretch.start for stretch in stretches) >= 0.9 * 20 * len(spoken)


@pytest.mark.parametrize("num_samples", [0, 1, 100, 5000])
def test_a_moment_of_sound_is_no_speech_and_no_crash(num_samples):
    assert list(speech_windows(iter([np.zeros(num_samples, np.float32)]), **LIMITS)) == []
    assert list(speech_windows(iter([]), **LIMITS)) == []


def test_stretches_are_joined_up_to_the_limit():
    stretches = [Stretch(s * RATE_HZ, e * RATE_HZ) for s, e in [(0, 5), (6, 12), (20, 27), (40, 41)]]
    joined = joined_stretches(stretches, max_s=28)
    assert [(s.start // RATE_HZ, s.end // RATE_HZ) for s in joined] == [(0, 27), (40, 41)]

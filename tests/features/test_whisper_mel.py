"""Whisper's spectrogram against the two extractors its users have: faster-whisper's and transformers'."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.features.whisper_mel import NUM_COLUMNS, RATE_HZ, whisper_log_mel


def sound(seconds: float, rng: np.random.Generator) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.4 * np.sin(2 * np.pi * 330 * time_s) + 0.05 * rng.normal(size=len(time_s))).astype(np.float32)


@pytest.mark.parametrize("num_mel_bins", [80, 128])
@pytest.mark.parametrize("seconds", [0.5, 7.3, 34.0])
def test_equals_transformers(seconds: float, num_mel_bins: int, rng: np.random.Generator) -> None:
    import transformers

    extractor = transformers.WhisperFeatureExtractor(feature_size=num_mel_bins)
    waveform = sound(seconds, rng)
    theirs = extractor(waveform, sampling_rate=RATE_HZ, return_tensors="np")["input_features"][0]
    ours = whisper_log_mel(waveform, num_mel_bins=num_mel_bins)
    assert ours.shape == (num_mel_bins, NUM_COLUMNS)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_filters_equal_faster_whispers(rng: np.random.Generator) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    waveform = sound(30.0, rng)
    theirs = FeatureExtractor()(waveform, padding=0)[:, :NUM_COLUMNS]
    np.testing.assert_allclose(whisper_log_mel(waveform)[:, : theirs.shape[1] - 2], theirs[:, :-2], atol=2e-3)


def test_silence_is_flat_and_finite() -> None:
    bank = whisper_log_mel(np.zeros(RATE_HZ, np.float32))
    assert np.isfinite(bank).all()
    assert np.ptp(bank) == 0

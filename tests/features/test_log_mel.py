"""Filter banks against the published front end, and properties of the windows of long sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from savecli.features.log_mel import (
    MIN_STRETCHED_SAMPLES,
    NUM_ROWS,
    RATE_HZ,
    SILENCE,
    log_mel_windows,
    missing_log_mel,
    stretched_log_mel,
)
from savecli.features.resampling import resampled

# The tolerances the golden data states: rounding is amplified by the logarithm where a bin is nearly empty.
MAX_ERROR, MEAN_ERROR, SUMMARY_ERROR = 5e-3, 1e-4, 1e-3

STEP = 160
ROW = 400


@pytest.fixture(scope="module")
def cases(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "fbank.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tensors(golden: Path) -> dict[str, np.ndarray]:
    return load_file(golden / "fbank.safetensors")


def waveform_of(name: str, case: dict[str, Any], tensors: dict[str, np.ndarray]) -> np.ndarray:
    """`(C, N)` float32, as the golden data stores it: whole, as a repeated second, or not at all for silence."""
    if f"{name}.waveform_int16" in tensors:
        return tensors[f"{name}.waveform_int16"].astype(np.float32) / 32768
    if f"{name}.block_int16" in tensors:
        block = tensors[f"{name}.block_int16"].astype(np.float32) / 32768
        return np.concatenate([block * gain for gain in tensors[f"{name}.gain"]])[None, : case["samples"]]
    return np.zeros((case["channels"], case["samples"]), np.float32)


def test_every_golden_bank_is_met(cases, tensors):
    sounds = {name: case for name, case in cases.items() if "samples" in case}
    assert sounds
    for name, case in sounds.items():
        bank = stretched_log_mel(waveform_of(name, case, tensors), rate_hz=case["sample_rate"])
        error = np.abs(bank[tensors[f"{name}.rows"]] - tensors[f"{name}.values"])
        assert error.max() <= MAX_ERROR, name
        assert error.mean() <= MEAN_ERROR, name
        summaries = {
            "row_mean": bank.mean(axis=1),
            "bin_mean": bank.mean(axis=0),
            "bin_std": bank.std(axis=0, ddof=1),
        }
        for what, seen in summaries.items():
            assert np.abs(seen - tensors[f"{name}.{what}"]).max() <= SUMMARY_ERROR, f"{name}.{what}"
        for what, number in {
            "mean": bank.mean(),
            "std": bank.std(ddof=1),
            "min": bank.min(),
            "max": bank.max(),
        }.items():
            assert abs(number - case[what]) <= SUMMARY_ERROR, f"{name} {what}"


def test_resampling_meets_the_golden_samples(cases, tensors):
    for name, case in cases.items():
        if f"{name}.resampled_first400" not in tensors:
            continue
        wave = waveform_of(name, case, tensors)
        sound = resampled(wave, rate_hz=case["sample_rate"], new_rate_hz=RATE_HZ)[0]
        assert len(sound) == case["samples_at_16k"]
        # Sums of some forty products in float32.
        assert np.abs(sound[:400] - tensors[f"{name}.resampled_first400"]).max() <= 1e-5
        assert np.abs(sound[-400:] - tensors[f"{name}.resampled_last400"]).max() <= 1e-5
        assert np.abs(sound[::29] - tensors[f"{name}.resampled_every29"]).max() <= 1e-5


def test_what_the_reference_cannot_do_is_refused(cases):
    for samples, outcome in cases["shortest_supported_samples"].items():
        sound = np.zeros(int(samples), np.float32)
        if outcome == "ok":
            assert stretched_log_mel(sound).shape == (NUM_ROWS, 128)
        else:
            with pytest.raises(ValueError, match=f"{samples} samples .* allowed: {MIN_STRETCHED_SAMPLES} or more"):
                stretched_log_mel(sound)
    assert cases["missing_file"]["all_zero"]
    assert not missing_log_mel().any()


@pytest.mark.parametrize("rates", [(48000, 16000), (44101, 16000), (8000, 16000), (22050, 16000)])
def test_resampling_keeps_a_tone(rates):
    old, new = rates
    tone = np.sin(2 * np.pi * 440 * np.arange(old // 2) / old).astype(np.float32)[None]
    expected = np.sin(2 * np.pi * 440 * np.arange(new // 2) / new)
    seen = resampled(tone, rate_hz=old, new_rate_hz=new)[0]
    assert abs(len(seen) - new // 2) <= 1
    # Away from the ends, where the filter meets the zeros outside; the pass band of so short a filter has 1 % ripple.
    assert np.abs(seen[200 : new // 2 - 200] - expected[200 : new // 2 - 200]).max() < 0.01


def test_resampling_to_the_same_rate_is_the_identity(rng):
    sound = rng.normal(size=(2, 50)).astype(np.float32)
    assert np.array_equal(resampled(sound, rate_hz=16000, new_rate_hz=16000), sound)
    with pytest.raises(ValueError, match="rates are 0 and 16000"):
        resampled(sound, rate_hz=0, new_rate_hz=16000)
    with pytest.raises(ValueError, match=r"\(C, N\)"):
        resampled(sound[0], rate_hz=8000, new_rate_hz=16000)


def test_windows_do_not_depend_on_the_blocks(rng):
    sound = rng.normal(0, 0.1, 2 * NUM_ROWS * STEP + 7000).astype(np.float32)
    whole = list(log_mel_windows([sound]))
    cuts = np.sort(rng.integers(0, len(sound), 9))
    pieces = list(log_mel_windows(np.split(sound, cuts)))
    assert [window.start_s for window in whole] == [0.0, 10.24, 20.48]
    for one, other in zip(whole, pieces, strict=True):
        assert np.array_equal(one.bank, other.bank)
        assert np.array_equal(one.mask, other.mask)


def test_a_window_is_the_published_bank_where_that_does_not_stretch(rng):
    # The published step is N // 1024 samples; this many give the 10 ms of the windows.
    sound = rng.normal(0, 0.1, NUM_ROWS * STEP + ROW - STEP).astype(np.float32)
    assert len(sound) // NUM_ROWS == STEP
    (window,) = log_mel_windows([sound])
    assert window.mask.all()
    # The mean over the clip, which the windows leave out, is taken away again row by row; what is left is rounding.
    assert np.abs(window.bank - stretched_log_mel(sound)).max() <= MAX_ERROR


def test_every_row_is_in_one_window_and_the_rest_is_silence(rng):
    num_rows = NUM_ROWS + 40
    sound = rng.normal(0, 0.1, (num_rows - 1) * STEP + ROW).astype(np.float32)
    first, last = log_mel_windows([sound])
    assert first.mask.all()
    assert last.mask.sum() == 40
    assert np.all(last.mask[:40])
    assert last.bank[40:] == pytest.approx(SILENCE, abs=1e-6)
    (later,) = log_mel_windows([sound[NUM_ROWS * STEP :]])
    assert np.array_equal(later.bank, last.bank)


def test_slivers_of_sound(rng):
    sound = rng.normal(0, 0.1, NUM_ROWS * STEP + ROW).astype(np.float32)
    assert len(list(log_mel_windows([sound]))) == 1  # one row over: less than a patch
    (only,) = log_mel_windows([sound[: ROW + STEP]])  # but all there is
    assert only.mask.sum() == 2
    assert list(log_mel_windows([sound[: ROW - 1]])) == []
    assert list(log_mel_windows([])) == []


def test_digital_silence_has_its_value():
    assert stretched_log_mel(np.zeros(RATE_HZ, np.float32)) == pytest.approx(SILENCE, abs=1e-6)


def test_broken_sound_is_refused():
    broken = np.full(RATE_HZ, np.nan, np.float32)
    with pytest.raises(ValueError, match="NaN"):
        stretched_log_mel(broken)
    with pytest.raises(ValueError, match="NaN"):
        list(log_mel_windows([broken]))
    with pytest.raises(ValueError, match=r"\(C, N\)"):
        stretched_log_mel(np.zeros((1, 1, RATE_HZ), np.float32))
    with pytest.raises(ValueError, match=r"\(N,\)"):
        list(log_mel_windows([np.zeros((2, RATE_HZ), np.float32)]))


def test_small_banks_hear_the_same_tone():
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    sound = (0.5 * np.sin(2 * np.pi * 1000 * time_s)).astype(np.float32)
    bank = stretched_log_mel(sound, num_rows=128, num_mel_bins=32)
    assert bank.shape == (128, 32)
    assert not (bank[127] - bank[127, 0]).any()  # the rounded-down step leaves a row over
    loudest = stretched_log_mel(sound)[100].argmax() / 128
    assert np.abs(bank[:127].argmax(axis=1) / 32 - loudest).max() <= 1 / 32
    assert missing_log_mel(num_rows=128, num_mel_bins=32).shape == (128, 32)


def test_a_smaller_bank_stretches_shorter_sound(rng):
    sound = rng.normal(0, 0.1, 900).astype(np.float32)
    assert stretched_log_mel(sound, num_rows=128).shape == (128, 128)
    with pytest.raises(ValueError, match=r"900 samples .* allowed: 1024 or more"):
        stretched_log_mel(sound)

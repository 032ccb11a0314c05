"""The voice of the drawn world: its words, spoken once by a synthesiser (`benchmarks/record_voice.py`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.datasets.world_sound import SOUND_RATE_HZ, Waveform

VOICE_FILE = Path(__file__).with_name("world_voice.npz")
VOICE_RATE_HZ = 8000
_MU = 255
_PAUSE_S = 0.04


def voiced(sentence: str, *, num_samples: int) -> Waveform:
    """`(num_samples,)` float32 at 16 kHz: the words one after another from the start on; what is too long is cut off.

    Words that were never recorded are pauses.
    """
    sound = np.zeros(num_samples, np.float32)
    words, start = _words(), 0
    for word in sentence.split():
        samples = words.get(word)
        if samples is None:
            continue
        room = sound[start : start + len(samples)]
        room[:] = samples[: len(room)]
        start += len(samples) + round(_PAUSE_S * SOUND_RATE_HZ)
    return sound


def mu_law(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Samples in [-1, 1] in a byte each, finer where it is quiet (ITU-T G.711's curve)."""
    curved = np.sign(samples) * np.log1p(_MU * np.abs(samples)) / np.log1p(_MU)
    held: npt.NDArray[np.int8] = np.round(curved * 127).astype(np.int8)
    return held


def from_mu_law(held: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """The inverse of `mu_law`, but for rounding."""
    curved = held / 127
    samples: npt.NDArray[np.float64] = np.sign(curved) * np.expm1(np.abs(curved) * np.log1p(_MU)) / _MU
    return samples


@cache
def _words() -> dict[str, Waveform]:
    with np.load(VOICE_FILE) as held:
        return {word: _at_sound_rate(from_mu_law(held[word])) for word in held.files}


def _at_sound_rate(samples: npt.NDArray[np.float64]) -> Waveform:
    count = len(samples) * SOUND_RATE_HZ // VOICE_RATE_HZ
    places = np.arange(count) * (VOICE_RATE_HZ / SOUND_RATE_HZ)
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)

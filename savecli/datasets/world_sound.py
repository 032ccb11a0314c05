"""Sounds of the drawn world, each kind with a shape of its own in time and pitch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Waveform = npt.NDArray[np.float32]

SOUND_RATE_HZ = 16000
_SILENCE_LEVEL = 0.003  # the noise of a microphone
_SCALE = (0, 2, 4, 7, 9, 12)  # half tones of the music


def made_sound(kind: str, *, seed: int, num_samples: int) -> Waveform:
    """`(num_samples,)` float32 in [-1, 1] at 16 kHz: an event or a distractor, at a pitch and pace of its own."""
    rng = np.random.default_rng([seed, 2])
    time_s = np.arange(num_samples) / SOUND_RATE_HZ
    sound = _MAKERS[kind](rng, time_s)
    sound = sound / max(float(np.abs(sound).max()), 1e-6) * rng.uniform(0.35, 0.8)
    return np.asarray(sound + rng.normal(0, _SILENCE_LEVEL, num_samples), np.float32)


def _strokes(rng: np.random.Generator, time_s: Samples, *, every_s: float) -> Samples:
    """Seconds since the last stroke, of strokes at an even pace from a random moment on."""
    pace_s = every_s * rng.uniform(0.85, 1.15)
    since: Samples = (time_s + rng.random() * pace_s) % pace_s
    return since


def _bell(rng: np.random.Generator, time_s: Samples) -> Samples:
    since, pitch_hz = _strokes(rng, time_s, every_s=1.1), rng.uniform(600, 760)
    partials = [(1.0, 1.0), (2.76, 0.6), (5.4, 0.3)]
    tones = sum(level * np.sin(2 * np.pi * pitch_hz * ratio * since) for ratio, level in partials)
    return np.asarray(tones * np.exp(-3.5 * since))


def _drum(rng: np.random.Generator, time_s: Samples) -> Samples:
    since = _strokes(rng, time_s, every_s=0.45)
    fall = rng.uniform(70, 90) * since + 3.0 * (1 - np.exp(-30 * since))
    return np.asarray(np.sin(2 * np.pi * fall) * np.exp(-12 * since))


def _beeps(rng: np.random.Generator, time_s: Samples) -> Samples:
    since = _strokes(rng, time_s, every_s=0.5)
    return np.asarray(np.sin(2 * np.pi * rng.uniform(1300, 1700) * time_s) * (since < 0.2))


def _bird(rng: np.random.Generator, time_s: Samples) -> Samples:
    since, start_hz = _strokes(rng, time_s, every_s=0.28), rng.uniform(2800, 3400)
    sweep = start_hz * since + 6000 * since**2
    return np.asarray(np.sin(2 * np.pi * sweep) * (since < 0.14))


def _siren(rng: np.random.Generator, time_s: Samples) -> Samples:
    pace_hz, middle_hz = rng.uniform(0.7, 0.9), rng.uniform(850, 1000)
    turn = 2 * np.pi * pace_hz * time_s + rng.uniform(0, 6)
    swept = 2 * np.pi * middle_hz * time_s - 350 / pace_hz * np.cos(turn)
    return np.asarray(np.sin(swept) + 0.3 * np.sin(2 * swept))


def _engine(rng: np.random.Generator, time_s: Samples) -> Samples:
    turn = rng.uniform(55, 75) * time_s + 0.3 * np.sin(2 * np.pi * 1.5 * time_s)
    teeth = 2 * (turn % 1) - 1
    return np.asarray(np.convolve(teeth, np.ones(6) / 6, "same"))


def _rain(rng: np.random.Generator, time_s: Samples) -> Samples:
    noise = rng.normal(size=len(time_s))
    return np.asarray(noise - 0.7 * np.roll(noise, 1))


def _clapping(rng: np.random.Generator, time_s: Samples) -> Samples:
    since = _strokes(rng, time_s, every_s=0.32)
    return np.asarray(rng.normal(size=len(time_s)) * np.exp(-35 * since))


def _music(rng: np.random.Generator, time_s: Samples) -> Samples:
    """A melody on a scale of five notes, with the overtones of a string."""
    notes = rng.choice(_SCALE, 32)
    since = time_s % 0.3
    pitch_hz = 260 * 2 ** (notes[(time_s / 0.3).astype(int) % 32] / 12)
    tones = sum(np.sin(2 * np.pi * pitch_hz * harmonic * since) / harmonic for harmonic in (1, 2, 3, 4))
    return np.asarray(tones * np.exp(-4 * since))


def _hum(rng: np.random.Generator, time_s: Samples) -> Samples:
    """Noise without high pitches, as of a fan."""
    return np.asarray(np.convolve(rng.normal(size=len(time_s)), np.hanning(60), "same"))


def _babble(rng: np.random.Generator, time_s: Samples) -> Samples:
    """Many voices at once: harmonics that come and go at the pace of syllables."""
    voices = np.zeros(len(time_s))
    for pitch_hz in rng.uniform(110, 240, 4):
        loudness = 1 + np.sin(2 * np.pi * rng.uniform(2.5, 5) * time_s + rng.uniform(0, 6))
        bend = pitch_hz * time_s + 2 * np.sin(2 * np.pi * rng.uniform(0.4, 1.1) * time_s)
        voices += loudness * sum(np.sin(2 * np.pi * bend * harmonic) / harmonic for harmonic in range(1, 8))
    return voices


_MAKERS: dict[str, Callable[[np.random.Generator, Samples], Samples]] = {
    "bell": _bell,
    "drum": _drum,
    "beeps": _beeps,
    "bird": _bird,
    "siren": _siren,
    "engine": _engine,
    "rain": _rain,
    "clapping": _clapping,
    "music": _music,
    "hum": _hum,
    "babble": _babble,
}

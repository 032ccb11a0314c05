"""Sounds made of numbers: noise through filters, decaying sines, plucked strings.

Every function returns mono float samples at `RATE_HZ` with a peak near 1, the same at every call.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE_HZ = 48_000

Samples = npt.NDArray[np.float64]


def waves(duration_s: float) -> Samples:
    """Surf: soft noise that swells and draws back every few seconds."""
    t = _times(duration_s)
    swell = 0.25 + 0.75 * np.clip(np.sin(2 * np.pi * t / 4.7 - 0.6), 0, 1) ** 2
    return _peak(_noise(duration_s, 60, 900, seed=1) + 0.6 * swell * _noise(duration_s, 400, 5_000, seed=2) * swell)


def gull() -> Samples:
    """Three falling cries."""
    return np.concatenate([_cry(0.34, 1_900, 1_250), np.zeros(_count(0.12)), _cry(0.3, 1_850, 1_200),
                           np.zeros(_count(0.1)), _cry(0.42, 1_950, 1_100)])  # fmt: skip


def bark() -> Samples:
    """Two short barks."""
    t = _times(0.2)
    pitch = 520 * np.exp(-t * 4) + 180
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    voice = sum(np.sin(phase * harmonic) / harmonic for harmonic in range(1, 9)) + 0.8 * _noise(0.2, 500, 4_000, seed=3)
    one = voice * np.exp(-t * 16) * np.clip(t / 0.008, 0, 1)
    return _peak(np.concatenate([one, np.zeros(_count(0.17)), 0.9 * one]))


def birds(duration_s: float) -> Samples:
    """Small birds, here and there."""
    rng = np.random.default_rng(4)
    song = np.zeros(_count(duration_s))
    for start_s in np.arange(0.3, duration_s - 0.8, 0.9):
        pitch = rng.uniform(3_000, 4_800)
        for chirp in range(rng.integers(2, 6)):
            _add(song, _cry(0.07, pitch, pitch * rng.uniform(0.8, 1.25), harmonics=1), start_s + chirp * 0.1)
    return _peak(song)


def kettle(duration_s: float) -> Samples:
    """Water that begins to rush, then the whistle: two close tones with breath on them, rising and let down again."""
    t = _times(duration_s)
    level = np.clip((t - 0.8) / 1.6, 0, 1) * np.clip((duration_s - t) / 0.7, 0, 1)
    pitch = 2_250 * (0.86 + 0.14 * level) * (1 + 0.004 * np.sin(2 * np.pi * 11 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    whistle = np.sin(phase) + 0.5 * np.sin(1.19 * phase) + 0.15 * np.sin(2 * phase)
    return _peak(level * (whistle + 0.3 * _noise(duration_s, 1_800, 5_000, seed=5))) * 0.8 + 0.2 * _noise(
        duration_s, 200, 2_500, seed=6
    ) * np.clip((duration_s - t) / 0.5, 0, 1)


def pouring(duration_s: float) -> Samples:
    """Water into a cup: bubbles whose pitch climbs as the cup fills."""
    rng = np.random.default_rng(7)
    water = 0.25 * _noise(duration_s, 700, 5_000, seed=8)
    for start_s in rng.uniform(0, duration_s - 0.1, round(duration_s * 45)):
        t = _times(0.06)
        pitch = (500 + 700 * start_s / duration_s) * rng.uniform(0.7, 1.5)
        _add(water, 0.5 * np.sin(2 * np.pi * pitch * t * (1 + 2 * t)) * np.exp(-t * 70), start_s)
    return _peak(water * _fades(duration_s, 0.2))


def applause(duration_s: float) -> Samples:
    """A room of clapping hands."""
    rng = np.random.default_rng(9)
    t = _times(0.03)
    claps = np.zeros(_count(duration_s))
    for _person in range(26):
        clap = _noise(0.03, rng.uniform(600, 1_200), rng.uniform(2_200, 5_000), seed=int(rng.integers(1e6)))
        start_s, pace_s = rng.uniform(0, 0.5), rng.uniform(0.19, 0.27)
        while start_s < duration_s - 0.05:
            _add(claps, clap * np.exp(-t * 160) * rng.uniform(0.5, 1), start_s)
            start_s += pace_s * rng.uniform(0.92, 1.08)
    return _peak(claps * _fades(duration_s, 0.6))


def crowd(duration_s: float, *, goal_s: float) -> Samples:
    """A stadium: a murmur that becomes a roar at `goal_s`."""
    t = _times(duration_s)
    roar = np.clip((t - goal_s) / 0.5, 0, 1) * (0.55 + 0.45 * np.exp(-np.clip(t - goal_s - 2, 0, None) / 3))
    murmur = _noise(duration_s, 180, 900, seed=10) * (0.2 + 0.03 * np.sin(2 * np.pi * 0.4 * t))
    voices = sum(_noise(duration_s, pitch, pitch * 1.35, seed=round(pitch)) for pitch in (420, 640, 980, 1_500))
    return _peak(murmur + 0.8 * roar * voices)


def rain(duration_s: float) -> Samples:
    """Steady rain with single drops on the glass."""
    rng = np.random.default_rng(11)
    shower = 0.5 * _noise(duration_s, 900, 9_000, seed=12)
    t = _times(0.02)
    for start_s in rng.uniform(0, duration_s - 0.05, round(duration_s * 14)):
        _add(
            shower, rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(1_200, 3_200) * t) * np.exp(-t * 260), start_s
        )
    return _peak(shower)


def train(duration_s: float) -> Samples:
    """Wheels over rail joints: da-dum, da-dum, over a low roll."""
    roll = 0.35 * _noise(duration_s, 40, 420, seed=13)
    t = _times(0.16)
    for start_s in np.arange(0.2, duration_s - 0.4, 0.92):
        for offset_s, weight in ((0.0, 1.0), (0.15, 0.8)):
            thud = np.sin(2 * np.pi * 95 * t) * np.exp(-t * 28) + 0.5 * _noise(0.16, 250, 2_200, seed=14) * np.exp(
                -t * 55
            )
            _add(roll, weight * thud, start_s + offset_s)
    return _peak(roll * _fades(duration_s, 0.8))


def chime() -> Samples:
    """The three notes before an announcement."""
    notes = np.zeros(_count(1.7))
    for place, pitch in enumerate((784.0, 659.3, 523.3)):
        t = _times(0.9)
        tone = np.sin(2 * np.pi * pitch * t) + 0.3 * np.sin(4 * np.pi * pitch * t)
        _add(notes, tone * np.exp(-t * 4.5), place * 0.38)
    return _peak(notes)


def rocket(duration_s: float, *, ignition_s: float) -> Samples:
    """Nothing, then a low roar that shakes."""
    t = _times(duration_s)
    level = np.clip((t - ignition_s) / 1.2, 0, 1) * (1 - 0.45 * np.clip((t - ignition_s - 4) / 6, 0, 1))
    shaking = 0.75 + 0.25 * _noise(duration_s, 4, 14, seed=15)
    return _peak(
        level * shaking * (_noise(duration_s, 25, 160, seed=16) + 0.45 * _noise(duration_s, 160, 1_400, seed=17))
    )


def campfire(duration_s: float) -> Samples:
    """A low burn with cracks and pops."""
    rng = np.random.default_rng(18)
    fire = 0.16 * _noise(duration_s, 80, 700, seed=19)
    t = _times(0.03)
    for start_s in rng.uniform(0, duration_s - 0.05, round(duration_s * 16)):
        crack = _noise(0.03, 900, 7_000, seed=int(rng.integers(1e6))) * np.exp(-t * rng.uniform(150, 500))
        _add(fire, crack * rng.uniform(0.1, 1) ** 2, start_s)
    return _peak(fire)


def guitar(duration_s: float) -> Samples:
    """A slow picked pattern over four chords, each string plucked as Karplus and Strong do it."""
    chords = (
        (110.0, 220.0, 261.6, 329.6),
        (87.3, 174.6, 220.0, 261.6),
        (130.8, 196.0, 261.6, 329.6),
        (98.0, 196.0, 246.9, 293.7),
    )
    tune = np.zeros(_count(duration_s))
    for step, start_s in enumerate(np.arange(0.2, duration_s - 0.3, 0.32)):
        chord = chords[step // 8 % 4]
        string = (0, 2, 3, 1, 2, 3, 1, 2)[step % 8]
        _add(tune, _plucked(chord[string], 1.8, seed=step), start_s)
    return _peak(tune * _fades(duration_s, 0.7))


def click() -> Samples:
    """A chess piece set down."""
    t = _times(0.08)
    return _peak(
        np.sin(2 * np.pi * 880 * t) * np.exp(-t * 90) + 0.6 * _noise(0.08, 600, 4_000, seed=20) * np.exp(-t * 140)
    )


def murmur(duration_s: float) -> Samples:
    """The quiet of a room with people in it."""
    return _peak(_noise(duration_s, 90, 600, seed=21))


def _times(duration_s: float) -> Samples:
    return np.arange(_count(duration_s)) / RATE_HZ


def _count(duration_s: float) -> int:
    return round(duration_s * RATE_HZ)


def _noise(duration_s: float, low_hz: float, high_hz: float, *, seed: int) -> Samples:
    """White noise with only the band between the two frequencies left, at a standard deviation of a third."""
    count = _count(duration_s)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    pitch = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum *= np.clip((pitch - low_hz * 0.8) / (low_hz * 0.2), 0, 1) / (1 + (pitch / high_hz) ** 4)
    band = np.fft.irfft(spectrum, count)
    return np.asarray(band / (3 * band.std() + 1e-9))


def _cry(duration_s: float, start_hz: float, end_hz: float, *, harmonics: int = 4) -> Samples:
    t = _times(duration_s)
    phase = 2 * np.pi * np.cumsum(np.linspace(start_hz, end_hz, len(t))) / RATE_HZ
    tone = np.sum([np.sin(phase * harmonic) / harmonic for harmonic in range(1, harmonics + 1)], axis=0)
    return np.asarray(tone * np.sin(np.pi * t / duration_s) ** 0.7 * 0.6)


def _plucked(pitch_hz: float, duration_s: float, *, seed: int) -> Samples:
    """A ring of noise that is averaged with its neighbour on every round, and so loses its high tones first."""
    ring = np.random.default_rng(seed).uniform(-1, 1, round(RATE_HZ / pitch_hz))
    rounds: list[Samples] = []
    while len(rounds) * len(ring) < _count(duration_s):
        rounds.append(ring)
        ring = 0.498 * (ring + np.roll(ring, -1))
    return np.concatenate(rounds)[: _count(duration_s)] * np.clip((duration_s - _times(duration_s)) / 0.1, 0, 1)


def _fades(duration_s: float, fade_s: float) -> Samples:
    t = _times(duration_s)
    return np.clip(t / fade_s, 0, 1) * np.clip((duration_s - t) / fade_s, 0, 1)


def _peak(samples: Samples) -> Samples:
    return np.asarray(samples / (np.abs(samples).max() + 1e-9))


def _add(track: Samples, sound: Samples, start_s: float) -> None:
    first = _count(start_s)
    part = sound[: max(0, len(track) - first)]
    track[first : first + len(part)] += part

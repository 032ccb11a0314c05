"""From a waveform to the filter bank (README, section 8), in float64."""

from __future__ import annotations

import math

import numpy as np

RATE_HZ = 16000
ROWS, BINS, WINDOW, SPECTRUM = 1024, 128, 400, 512


def resampled(wave: np.ndarray, old: int, new: int) -> np.ndarray:
    """`(C, ceil(N * new / old))` of `(C, N)`: the sum over the window of each output sample."""
    common = math.gcd(old, new)
    old, new = old // common, new // common
    band = 0.99 * min(old, new)
    count, reach = math.ceil(new * wave.shape[1] / old), math.ceil(6 * old / band) + 1
    centre = np.arange(count) * old // new
    source = centre[:, None] + np.arange(-reach, reach + 1)
    time = band * (source / old - (np.arange(count) / new)[:, None])
    kernel = (band / old) * np.sinc(time) * np.cos(np.pi * time / 12) ** 2 * (np.abs(time) < 6)
    padded = np.pad(wave, ((0, 0), (reach, 2 * reach)))
    return (padded[:, np.minimum(source + reach, padded.shape[1] - 1)] * kernel).sum(axis=2)


def frame_shift(num_samples: int) -> int:
    """At 16 kHz."""
    return num_samples // ROWS


def triangles() -> np.ndarray:
    """`(128, 257)` weights of the bins of the spectrum."""

    def mel(hz: np.ndarray) -> np.ndarray:
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(*mel(np.array([20.0, RATE_HZ / 2])), BINS + 2)
    bins = mel(np.arange(SPECTRUM // 2) * RATE_HZ / SPECTRUM)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.pad(np.maximum(0, np.minimum(rising, falling)), ((0, 0), (0, 1)))


def filter_bank(wave: np.ndarray) -> np.ndarray:
    """`(1024, 128)` of `(C, N)` at 16 kHz."""
    sound = (wave - wave.mean())[0]
    shift = frame_shift(len(sound))
    starts = np.arange(1 + (len(sound) - WINDOW) // shift) * shift
    frames = sound[starts[:, None] + np.arange(WINDOW)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    power = np.abs(np.fft.rfft(frames * hann, SPECTRUM)) ** 2
    bank = np.log(np.maximum(power @ triangles().T, 1.1920929e-07))[:ROWS]
    bank = np.pad(bank, ((0, ROWS - len(bank)), (0, 0)))
    return (bank + 5.118) / (2 * 3.2527153)

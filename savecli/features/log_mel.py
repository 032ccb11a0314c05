"""Sound to log-mel filter banks, the pictures of sound that AST looks at.

Two ways to fit a sound to AST's 1,024 rows. `stretched_log_mel` is the published one: whatever the duration, the step
between rows is chosen so that the whole clip fills them, so a note's length depends on the clip's. `LogMelWindows` is
ours for long sound: a row every 10 ms, as AST was trained, in windows of 10.24 s, and a mask where sound ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from savecli.features.resampling import resampled

Waveform = npt.NDArray[np.float32]
Bank = npt.NDArray[np.float32]

RATE_HZ = 16000
NUM_ROWS = 1024
NUM_MEL_BINS = 128

_ROW_SAMPLES = 400  # 25 ms
_STEP_SAMPLES = 160  # 10 ms, the step of AST's training
_FFT_SAMPLES = 512
_PRE_EMPHASIS = 0.97
_LOWEST_HZ, _HIGHEST_HZ = 20.0, RATE_HZ / 2
_MIN_ENERGY = 1.1920929e-07  # float32's epsilon, the floor of the published filter banks
_MEAN, _DOUBLE_STD = -5.118, 2 * 3.2527153  # over the training clips, from the published systems
# Value of digital silence, and of filters too narrow to hold a frequency bin.
SILENCE = (math.log(_MIN_ENERGY) - _MEAN) / _DOUBLE_STD

# AST's patches are 16 rows long; a rest that fills none says nothing the window before did not.
_PATCH_ROWS = 16

# Shorter sound than this leaves less than one sample between rows.
MIN_STRETCHED_SAMPLES = NUM_ROWS


@dataclass(frozen=True, eq=False)
class LogMelWindow:
    """10.24 s of a longer sound.

    Args:
        start_s: where its first row begins.
        bank: `(1024, 128)` float32; rows without sound hold the value of silence.
        mask: `(1024,)` bool, True where a row comes from sound.
    """

    start_s: float
    bank: Bank
    mask: npt.NDArray[np.bool_]


def stretched_log_mel(
    waveform: Waveform, *, rate_hz: int = RATE_HZ, num_rows: int = NUM_ROWS, num_mel_bins: int = NUM_MEL_BINS
) -> Bank:
    """`(num_rows, num_mel_bins)` float32, normalised: a whole sound on so many rows, as published systems do.

    Of several channels the first is used, after the mean of all of them is taken away. Sound of which the rounded-down
    step leaves fewer rows ends in rows of zero *before* normalising, which is a loud value afterwards.

    Args:
        waveform: `(N,)` or `(C, N)` float in [-1, 1].
        rate_hz: of the waveform; other rates than 16 kHz are resampled.
        num_rows, num_mel_bins: size of the bank; AST's by default.

    Raises:
        ValueError: fewer samples at 16 kHz than rows are to be stretched (for AST 64 ms), or the waveform has NaN or
            another shape. Treat so short a sound as missing.
    """
    channels = resampled(_channels(waveform), rate_hz=rate_hz, new_rate_hz=RATE_HZ)
    num_samples = channels.shape[1]
    if num_samples < num_rows:
        raise ValueError(f"sound of {num_samples} samples at {RATE_HZ} Hz; allowed: {num_rows} or more")
    sound = torch.from_numpy(np.ascontiguousarray(channels[0])) - float(channels.mean(dtype=np.float64))
    step_samples = num_samples // num_rows
    energies = _log_energies(sound, step_samples=step_samples, max_rows=num_rows, num_mel_bins=num_mel_bins)
    bank = torch.zeros(num_rows, num_mel_bins)
    bank[: len(energies)] = energies
    return _normalised(bank)


def missing_log_mel(*, num_rows: int = NUM_ROWS, num_mel_bins: int = NUM_MEL_BINS) -> Bank:
    """Zeros in a bank's size: what the published systems feed for a clip without sound, beside a mask of False."""
    return np.zeros((num_rows, num_mel_bins), np.float32)


def log_mel_windows(blocks: Iterable[Waveform]) -> Iterator[LogMelWindow]:
    """Windows of 1,024 rows, a row every 10 ms, of mono sound at 16 kHz that comes in blocks of any size.

    Window n begins at second 10.24 n. Rows run across the borders of blocks and windows, so none is lost, and the
    result does not depend on the blocks. The last window is filled up with the value of silence and masked; it is left
    out where less than a patch of it is sound and another window came before. Less than one row (25 ms) gives none.
    Memory does not grow with the length of the sound.

    Raises:
        ValueError: a block is not `(N,)`, or holds NaN.
    """
    window_samples = NUM_ROWS * _STEP_SAMPLES
    held = np.zeros(0, np.float32)
    num_windows = 0
    for block in blocks:
        if block.ndim != 1:
            raise ValueError(f"a block is {block.shape}; allowed: (N,)")
        held = np.concatenate([held, _channels(block)[0]])
        while len(held) >= window_samples + _ROW_SAMPLES - _STEP_SAMPLES:
            yield _window(held, num_windows)
            held = held[window_samples:]
            num_windows += 1
    num_rows = _num_rows(len(held), _STEP_SAMPLES)
    if num_rows >= _PATCH_ROWS or (num_rows and not num_windows):
        yield _window(held, num_windows)


def _window(sound: Waveform, place: int) -> LogMelWindow:
    energies = _log_energies(torch.from_numpy(sound), step_samples=_STEP_SAMPLES, max_rows=NUM_ROWS)
    bank = torch.full((NUM_ROWS, NUM_MEL_BINS), math.log(_MIN_ENERGY))
    bank[: len(energies)] = energies
    start_s = place * NUM_ROWS * _STEP_SAMPLES / RATE_HZ
    return LogMelWindow(start_s, _normalised(bank), np.arange(NUM_ROWS) < len(energies))


def _channels(waveform: Waveform) -> Waveform:
    """`(C, N)` float32 of `(N,)` or `(C, N)`."""
    channels = np.asarray(waveform, np.float32)
    channels = channels[None] if channels.ndim == 1 else channels
    if channels.ndim != 2 or not len(channels):
        raise ValueError(f"waveform is {waveform.shape}; allowed: (N,) or (C, N)")
    if not np.isfinite(channels).all():
        raise ValueError("waveform holds NaN or infinity; look for a decoder that reads floats as something else")
    return channels


def _num_rows(num_samples: int, step_samples: int) -> int:
    return max(1 + (num_samples - _ROW_SAMPLES) // step_samples, 0)


def _log_energies(
    sound: torch.Tensor, *, step_samples: int, max_rows: int, num_mel_bins: int = NUM_MEL_BINS
) -> torch.Tensor:
    """`(rows, M)` natural logarithms of mel energies, of the first rows that lie wholly within `(N,)` sound."""
    num_rows = min(_num_rows(len(sound), step_samples), max_rows)
    if not num_rows:
        return torch.zeros(0, num_mel_bins)
    rows = sound.unfold(0, _ROW_SAMPLES, step_samples)[:num_rows]
    rows = rows - rows.mean(dim=1, keepdim=True)
    before = torch.cat([rows[:, :1], rows[:, :-1]], dim=1)
    rows = (rows - _PRE_EMPHASIS * before) * torch.hann_window(_ROW_SAMPLES, periodic=False)
    power = torch.fft.rfft(rows, n=_FFT_SAMPLES).abs().square()
    energies: torch.Tensor = power[:, :-1] @ _mel_filters(num_mel_bins)
    return energies.clamp(min=_MIN_ENERGY).log()


@cache
def _mel_filters(num_mel_bins: int) -> torch.Tensor:
    """`(256, M)` weights of triangles that are equally spaced and straight on the mel scale."""

    def mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1127.0 * np.log1p(hz / 700.0)

    low, high = mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    corners = low + np.arange(num_mel_bins + 2) * (high - low) / (num_mel_bins + 1)
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    bins = mel(np.arange(_FFT_SAMPLES // 2) * RATE_HZ / _FFT_SAMPLES)[:, None]
    weights = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    return torch.from_numpy(np.maximum(weights, 0.0).astype(np.float32))


def _normalised(bank: torch.Tensor) -> Bank:
    normalised: Bank = ((bank - _MEAN) / _DOUBLE_STD).numpy()
    return normalised

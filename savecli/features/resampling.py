"""Sound at one rate to the same sound at another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]

# Zero crossings on each side of the filter's middle, and the share of the lower Nyquist rate that is let through: the
# published audio front end resamples with these.
_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99

# Output samples filtered at once; each takes some forty inputs.
_BLOCK = 1 << 16


def resampled(waveform: Waveform, *, rate_hz: int, new_rate_hz: int) -> Waveform:
    """`(C, ceil(N * new_rate_hz / rate_hz))` float32 of `(C, N)`: a sinc filter under a squared cosine, zeros outside.

    Memory and time grow with the sound, not with the rates, so that 44,101 Hz costs what 44,100 Hz does.

    Raises:
        ValueError: a rate is not positive, or the waveform is not `(C, N)`.
    """
    if waveform.ndim != 2:
        raise ValueError(f"waveform is {waveform.shape}; allowed: (C, N)")
    if rate_hz < 1 or new_rate_hz < 1:
        raise ValueError(f"rates are {rate_hz} and {new_rate_hz} Hz; allowed: 1 or more")
    if rate_hz == new_rate_hz:
        return waveform
    divisor = math.gcd(rate_hz, new_rate_hz)
    old, new = rate_hz // divisor, new_rate_hz // divisor
    cutoff = _ROLLOFF * min(old, new)
    reach = math.ceil(_ZERO_CROSSINGS * old / cutoff)
    kernels = _kernels(old, new, cutoff=cutoff, reach=reach)
    num_out = -(-new * waveform.shape[1] // old)
    # Output j lies at input j * old / new; its taps begin `reach` before the input sample at or below that place.
    padded = np.pad(waveform, ((0, 0), (reach, reach + 1)))
    out = np.empty((len(waveform), num_out), np.float32)
    taps = np.arange(kernels.shape[1])
    for start in range(0, num_out, _BLOCK):
        j = np.arange(start, min(start + _BLOCK, num_out))
        window = padded[:, (j * old // new)[:, None] + taps]
        out[:, start : start + _BLOCK] = np.einsum("cjk,jk->cj", window, kernels[j % new])
    return out


def _kernels(old: int, new: int, *, cutoff: float, reach: int) -> npt.NDArray[np.float32]:
    """`(new, 2 * reach + 2)` taps: row p is for outputs that lie `p * old % new / new` after an input sample."""
    fraction = (np.arange(new) * old % new) / new
    distance = (np.arange(-reach, reach + 2)[None, :] - fraction[:, None]) / old
    places = distance * cutoff
    window = np.where(np.abs(places) < _ZERO_CROSSINGS, np.cos(np.pi * places / (2 * _ZERO_CROSSINGS)) ** 2, 0.0)
    kernels: npt.NDArray[np.float32] = (cutoff / old * np.sinc(places) * window).astype(np.float32)
    return kernels

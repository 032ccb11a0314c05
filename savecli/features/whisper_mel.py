"""Sound to the log-mel spectrogram that Whisper's encoder takes (SAVE-2 and SAVE-3).

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2: 80 (large-v3: 128)
mel bins of 25 ms windows every 10 ms, over 30 s, "globally scaled to be between -1 and 1 with approximately zero mean".
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch

RATE_HZ = 16000
DURATION_S = 30
NUM_COLUMNS = 3000

_WINDOW_SAMPLES = 400  # 25 ms, also the size of the transform
_STEP_SAMPLES = 160  # 10 ms
_FLOOR = 1e-10
_RANGE = 8.0  # decades below the loudest that are kept

# Slaney's mel scale: straight up to 1 kHz, logarithmic above, as in his Auditory Toolbox (1998).
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def whisper_log_mel(waveform: npt.NDArray[np.float32], *, num_mel_bins: int = 80) -> npt.NDArray[np.float32]:
    """`(num_mel_bins, 3000)` float32, about -1 to 1; shorter sound is followed by silence, longer is cut at 30 s.

    Args:
        waveform: `(num_samples,)` mono at 16 kHz.
    """
    samples = torch.zeros(DURATION_S * RATE_HZ)
    kept = torch.from_numpy(np.ascontiguousarray(waveform[: len(samples)], dtype=np.float32))
    samples[: len(kept)] = kept
    spectrum = torch.stft(
        samples,
        _WINDOW_SAMPLES,
        _STEP_SAMPLES,
        window=torch.hann_window(_WINDOW_SAMPLES),
        center=True,
        return_complex=True,
    )
    power = spectrum[:, :-1].abs() ** 2  # the frame centred on the very end is not Whisper's
    mel = torch.from_numpy(_filters(num_mel_bins)) @ power
    decades = mel.clamp(min=_FLOOR).log10()
    decades = torch.maximum(decades, decades.max() - _RANGE)
    scaled: npt.NDArray[np.float32] = ((decades + 4) / 4).numpy()
    return scaled


@cache
def _filters(num_mel_bins: int) -> npt.NDArray[np.float32]:
    """`(num_mel_bins, 201)` triangles of equal area over the transform's frequencies."""
    frequencies = np.linspace(0, RATE_HZ / 2, _WINDOW_SAMPLES // 2 + 1)
    edges = _hz(np.linspace(0, _mel(RATE_HZ / 2), num_mel_bins + 2))
    rising = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return triangles.astype(np.float32)


def _mel(hz: float) -> float:
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP) if hz >= _BREAK_HZ else hz / _HZ_PER_MEL


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    straight = mel * _HZ_PER_MEL
    curved = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel >= _BREAK_MEL, curved, straight)

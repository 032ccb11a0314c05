"""Pillow's antialiased bicubic resize, number for number.

torch's kernel for bytes rounds its weights to fewer bits, which shows as a step of 1 in 255 when shrinking and 2 when
enlarging. This one is for the presets of published systems, and to measure the fast one against.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_CURVE = -0.5  # Pillow's choice of Keys' bicubic
_REACH = 2.0  # input pixels to each side that the kernel sees, where nothing shrinks
_WEIGHT_BITS = 22  # of 32: 8 for the value, 2 for sign and overshoot


def bicubic_resized(frames: Pixels, *, height: int, width: int) -> Pixels:
    """`(F, height, width, C)` uint8 of `(F, H, W, C)` uint8: one side after the other, rounded in between.

    The width comes first, unless it grows while the height shrinks: Pillow 13 keeps what lies in between small.

    Raises:
        ValueError: the array is not `(F, H, W, C)` uint8, or a side is below 1.
    """
    if frames.ndim != 4 or frames.dtype != np.uint8 or 0 in frames.shape[1:]:
        raise ValueError(f"frames are {frames.shape} {frames.dtype}; allowed: (F, H, W, C) uint8")
    if height < 1 or width < 1:
        raise ValueError(f"size is {height}x{width}; allowed: 1 or more")
    resized = np.empty((len(frames), height, width, frames.shape[3]), np.uint8)
    is_height_first = height < frames.shape[1] and width > frames.shape[2]
    for frame, out in zip(frames, resized, strict=True):
        if is_height_first:
            out[:] = _with_width(_with_height(frame, height), width)
        else:
            out[:] = _with_height(_with_width(frame, width), height)
    return resized


def _with_width(pixels: Pixels, width: int) -> Pixels:
    columns: Pixels = _with_height(pixels.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return columns


def _with_height(pixels: Pixels, num_rows: int) -> Pixels:
    """`(num_rows, W, C)` of `(H, W, C)`: each new row is a weighted sum of neighbouring ones."""
    if num_rows == len(pixels):
        return pixels
    first, weights = _weights(pixels.shape[0], num_rows)
    source = np.ascontiguousarray(pixels).astype(np.int32)
    total = np.full((num_rows, *source.shape[1:]), 1 << (_WEIGHT_BITS - 1), np.int32)  # a half, to round
    last = len(source) - 1
    for tap in range(weights.shape[1]):
        # Taps behind the border have weight 0; which pixel they read does not matter.
        total += source[np.minimum(first + tap, last)] * weights[:, tap, None, None]
    clipped: Pixels = np.clip(total >> _WEIGHT_BITS, 0, 255).astype(np.uint8)
    return clipped


def _weights(num_in: int, num_out: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """First input of each output, `(num_out,)`, and weights `(num_out, taps)` whose sum is `2 ** _WEIGHT_BITS`."""
    scale = num_in / num_out
    stretch = max(scale, 1.0)
    centre = (np.arange(num_out) + 0.5) * scale
    first = np.maximum((centre - _REACH * stretch + 0.5).astype(np.intp), 0)
    last = np.minimum((centre + _REACH * stretch + 0.5).astype(np.intp), num_in)
    places = first[:, None] + np.arange(math.ceil(_REACH * stretch) * 2 + 1)
    weights = _bicubic((places + 0.5 - centre[:, None]) / stretch)
    weights[places >= last[:, None]] = 0.0
    weights *= (1 << _WEIGHT_BITS) / weights.sum(axis=1, keepdims=True)
    rounded = np.trunc(weights + np.copysign(0.5, weights))
    return first, rounded.astype(np.int32)


def _bicubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.abs(distance)
    near = ((_CURVE + 2.0) * x - (_CURVE + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * _CURVE
    return np.where(x < 1.0, near, np.where(x < _REACH, far, 0.0))

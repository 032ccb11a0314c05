"""Hard cuts between frames that were sampled for another purpose: evidence that costs next to nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Colours are counted in 8 x 8 x 8 boxes over every fourth pixel of every fourth line.
_LEVELS = 8
_STRIDE = 4

# Share of pixels that change their box at a cut, at least; and how many times more than at the step before, as in a
# moving scene every step changes much.
_MIN_CHANGE = 0.4
_MIN_RATIO = 2.0


class CutFinder:
    """Told one frame after the other, says between which of them the picture was cut."""

    def __init__(self) -> None:
        self._histogram: npt.NDArray[np.float64] | None = None
        self._change = 0.0

    def is_cut_before(self, pixels: npt.NDArray[np.uint8]) -> bool:
        """Whether a cut lies between the last frame and this one, `(H, W, 3)`."""
        histogram = _colour_histogram(pixels)
        before, self._histogram = self._histogram, histogram
        if before is None:
            return False
        change, last_change = 0.5 * float(np.abs(histogram - before).sum()), self._change
        self._change = change
        return change > _MIN_CHANGE and change > _MIN_RATIO * last_change


def _colour_histogram(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Shares of the picture in each box of colours; they sum to 1."""
    box = (pixels[::_STRIDE, ::_STRIDE] // (256 // _LEVELS)).astype(np.intp)
    boxes = (box[..., 0] * _LEVELS + box[..., 1]) * _LEVELS + box[..., 2]
    return np.bincount(boxes.ravel(), minlength=_LEVELS**3) / boxes.size

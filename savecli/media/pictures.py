"""From the decoder's frame to upright RGB pixels of the wanted size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter


class PictureMaker:
    """Turns decoded frames of one stream into arrays; keeps the scaler's tables between frames.

    Args:
        short_side: pixels of the shorter side; smaller frames stay as they are, None keeps every size.
        aspect: width of a stored pixel divided by its height; None or 0 is square.
    """

    def __init__(self, *, short_side: int | None, aspect: Fraction | None) -> None:
        if short_side is not None and short_side < 1:
            raise ValueError(f"short_side is {short_side}; allowed: 1 or more, or None")
        self._short_side = short_side
        self._aspect = aspect
        self._reformatter = VideoReformatter()

    def pixels(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """`(H, W, 3)` RGB, upright, scaled from the decoder's own planes in one step.

        swscale reads the stream's colour matrix and range from the frame: another matrix would shift every colour.
        """
        width, height = display_size(frame.width, frame.height, aspect=self._aspect)
        if self._short_side is not None:
            width, height = _shrunk(width, height, self._short_side)
        # One thread: the pipeline runs several readers, and small pictures gain nothing from more.
        rgb = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="BICUBIC", threads=1
        )
        upright = np.rot90(rgb.to_ndarray(), k=quarter_turns(frame))
        return np.ascontiguousarray(upright, dtype=np.uint8)


def display_size(width: int, height: int, *, aspect: Fraction | None) -> tuple[int, int]:
    """Size of a stored picture with its pixels made square by widening or heightening, never by losing lines."""
    if not aspect or aspect == 1:
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns, 0 to 3, that bring the stored picture upright."""
    return round(frame.rotation / 90) % 4


def _shrunk(width: int, height: int, short_side: int) -> tuple[int, int]:
    shorter = min(width, height)
    if shorter <= short_side:
        return width, height
    return max(1, round(width * short_side / shorter)), max(1, round(height * short_side / shorter))

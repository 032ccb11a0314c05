"""Frames as decoded to the tensor a vision tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from savecli.features.bicubic import bicubic_resized

# `pillow-bicubic` is exact to Pillow and several times slower than torch's `bicubic`, which is within 2 of 255 of it.
Interpolation = Literal["bicubic", "bilinear", "pillow-bicubic"]
ResizeMode = Literal["shortest", "squash"]


def pixel_tensor(
    frames: npt.NDArray[np.uint8],
    *,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: Interpolation = "bicubic",
    resize_mode: ResizeMode = "shortest",
) -> torch.Tensor:
    """`(F, 3, S, S)` float32, normalised, of `(F, H, W, 3)` uint8 RGB frames; `S` is `image_size`.

    Follows the preprocessing CLIP was trained with (PIL's antialiased resize, then a centre crop), in torch.
    """
    square = square_pixels(frames, image_size=image_size, interpolation=interpolation, resize_mode=resize_mode)
    return normalised_pixels(square, mean=mean, std=std)


def square_pixels(
    frames: npt.NDArray[np.uint8],
    *,
    image_size: int,
    interpolation: Interpolation = "bicubic",
    resize_mode: ResizeMode = "shortest",
) -> torch.Tensor:
    """`(F, 3, S, S)` uint8 of `(F, H, W, 3)` uint8 RGB frames: resized and cropped, not yet normalised.

    `shortest` scales the shorter side to `S` and cuts out the centre; `squash` scales both sides to `S`.
    Bytes, not floats: a quarter of the traffic to a GPU, and torch's fast uint8 kernel, which rounds as PIL does.

    Raises:
        ValueError: the array is not `(F, H, W, 3)` uint8.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames are {frames.shape} {frames.dtype}; allowed: (F, H, W, 3) uint8")
    height, width = _scaled_size(frames.shape[1], frames.shape[2], image_size, resize_mode)
    if interpolation == "pillow-bicubic":
        frames = bicubic_resized(frames, height=height, width=width)
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    if (height, width) != tuple(pixels.shape[2:]):
        pixels = functional.interpolate(pixels, size=(height, width), mode=interpolation, antialias=True)
    # The rounding is torchvision's CenterCrop, so that odd margins fall on the same side as in training.
    top, left = round((height - image_size) / 2), round((width - image_size) / 2)
    return pixels[:, :, top : top + image_size, left : left + image_size]


def normalised_pixels(pixels: torch.Tensor, *, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """`(F, 3, S, S)` float32 of uint8 pixels on any device: `(value / 255 - mean) / std` per channel."""
    scale = torch.tensor([1.0 / (255.0 * s) for s in std], device=pixels.device).view(1, 3, 1, 1)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=pixels.device).view(1, 3, 1, 1)
    return pixels.float() * scale - shift


def _scaled_size(height: int, width: int, image_size: int, resize_mode: ResizeMode) -> tuple[int, int]:
    """Height and width after resizing; the longer side is cut down to whole pixels, as torchvision does."""
    if resize_mode == "squash":
        return image_size, image_size
    if height <= width:
        return image_size, int(image_size * width / height)
    return int(image_size * height / width), image_size

"""Frames to tensors, compared with the preprocessing CLIP was trained with (PIL, through open_clip's own transform)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from savecli.features.pixels import pixel_tensor, square_pixels
from savecli.model.clip_config import PixelFormat

MEAN, STD = PixelFormat().mean, PixelFormat().std


def picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A smooth picture with sharp edges and noise, `(H, W, 3)` uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = np.stack([np.sin(x / 9) * 90, np.cos(y / 7) * 90, ((x // 16 + y // 16) % 2) * 120 - 60], axis=-1)
    return np.clip(128 + waves + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def reference(frame: np.ndarray, *, size: int = 224, interpolation: str = "bicubic", mode: str = "shortest"):
    """open_clip's evaluation transform on a PIL image."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(
        PreprocessCfg(size=size, mean=MEAN, std=STD, interpolation=interpolation, resize_mode=mode), is_train=False
    )
    return transform(Image.fromarray(frame))


@pytest.mark.parametrize("shape", [(1080, 1920), (720, 1280), (1280, 720), (240, 427), (227, 224)])
def test_resizing_is_within_one_step_of_pil(rng, shape):
    frame = picture(rng, *shape)
    ours = pixel_tensor(frame[None], image_size=224, mean=MEAN, std=STD)[0]
    # One step of 255 is 0.0146 to 0.0150 after the division by std; PIL and torch differ in the last bit of a sum.
    difference = (ours - reference(frame)).abs()
    assert difference.max() <= 0.0151
    assert difference.mean() <= 2e-4


def test_enlarging_is_within_two_steps_of_pil(rng):
    frame = picture(rng, 100, 180)
    ours = pixel_tensor(frame[None], image_size=224, mean=MEAN, std=STD)[0]
    assert (ours - reference(frame)).abs().max() <= 2 * 0.0151


def test_frames_of_the_right_size_are_exact(rng):
    frame = picture(rng, 224, 398)
    ours = pixel_tensor(frame[None], image_size=224, mean=MEAN, std=STD)[0]
    assert torch.allclose(ours, reference(frame), atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_squash_keeps_the_whole_picture(rng, interpolation):
    frame = picture(rng, 120, 200)
    ours = pixel_tensor(
        frame[None], image_size=96, mean=MEAN, std=STD, interpolation=interpolation, resize_mode="squash"
    )[0]
    assert (ours - reference(frame, size=96, interpolation=interpolation, mode="squash")).abs().max() <= 0.0151


def test_a_frame_does_not_depend_on_its_neighbours(rng):
    frames = np.stack([picture(rng, 90, 160) for _ in range(3)])
    together = square_pixels(frames, image_size=64)
    alone = torch.cat([square_pixels(frame[None], image_size=64) for frame in frames])
    assert together.dtype == torch.uint8
    assert torch.equal(together, alone)


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match=r"\(F, H, W, 3\) uint8"):
        square_pixels(np.zeros((2, 3, 8, 8), np.uint8), image_size=8)
    with pytest.raises(ValueError, match="float64"):
        square_pixels(np.zeros((2, 8, 8, 3)), image_size=8)  # type: ignore[arg-type]

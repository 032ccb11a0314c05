"""Pictures of the drawn world's scenes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from savecli.datasets.world_scene import Scene

Floats = npt.NDArray[np.float32]

SIDE = 64
FRAME_RATE_HZ = 8
_RADIUS = {"small": 10.0, "big": 19.0}
_COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 225, 50),
    "green": (50, 180, 60),
    "blue": (40, 80, 230),
    "purple": (150, 50, 180),
    "pink": (255, 150, 200),
    "white": (245, 245, 245),
}
_PLACES = {
    "meadow": (30, 95, 35),
    "beach": (205, 180, 125),
    "snow": (215, 222, 232),
    "night": (10, 10, 28),
    "sea": (20, 65, 120),
    "room": (112, 112, 112),
}
# Turns of a motion within the clip: no multiple of a half, so that a few evenly spread frames never look all the same.
_TURNS = 1.5
_REACH = 13.0  # pixels that a motion goes from its middle


def drawn_frames(scene: Scene, *, seed: int, num_frames: int) -> npt.NDArray[np.uint8]:
    """`(num_frames, 64, 64, 3)` RGB; the seed decides where the motion begins, the exact place and the texture."""
    rng = np.random.default_rng([seed, 1])
    centre, radius, is_shown = _course(rng, scene, num_frames)
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32) + 0.5
    x = column - centre[:, 0, None, None]
    y = row - centre[:, 1, None, None]
    distance = _signed_distance(scene.shape, x, y, radius[:, None, None])
    cover = np.clip(0.5 - distance, 0, 1) * is_shown[:, None, None]
    colour = np.array(_COLOURS[scene.colour], np.float32) + rng.uniform(-10, 10, 3).astype(np.float32)
    ground = _ground(rng, scene.place)
    pixels = ground + cover[..., None] * (colour - ground)
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)


def _course(rng: np.random.Generator, scene: Scene, num_frames: int) -> tuple[Floats, Floats, Floats]:
    """Centres `(F, 2)`, radii `(F,)` and whether it is to be seen `(F,)` over the clip."""
    phase = 2 * np.pi * (_TURNS * (np.arange(num_frames) + 0.5) / num_frames + rng.random())
    swing = np.sin(phase)
    offset = rng.uniform(-3, 3, 2) if scene.motion != "still" else rng.uniform(-8, 8, 2)
    centre = np.full((num_frames, 2), SIDE / 2) + offset
    radius = np.full(num_frames, _RADIUS[scene.size] * rng.uniform(0.9, 1.1), np.float32)
    is_shown = np.ones(num_frames)
    if scene.motion == "sideways":
        centre[:, 0] += _REACH * swing
    if scene.motion == "updown":
        centre[:, 1] += _REACH * swing
    if scene.motion == "blinking":
        is_shown = (swing > 0).astype(float)
    return centre.astype(np.float32), radius, is_shown.astype(np.float32)


def _signed_distance(shape: str, x: Floats, y: Floats, radius: Floats) -> Floats:
    """Pixels to the border of the shape, negative inside; x to the right, y down."""
    across, along = np.abs(x), np.abs(y)
    if shape == "circle":
        distance = np.hypot(x, y) - radius
    elif shape == "square":
        distance = np.maximum(across, along) - 0.85 * radius
    elif shape == "triangle":
        distance = np.maximum(y - 0.6 * radius, 0.87 * across - 0.5 * y - 0.5 * radius)
    elif shape == "cross":
        upright = np.maximum(across - 0.3 * radius, along - radius)
        distance = np.minimum(upright, np.maximum(along - 0.3 * radius, across - radius))
    elif shape == "ring":
        distance = np.abs(np.hypot(x, y) - 0.78 * radius) - 0.22 * radius
    else:
        distance = np.maximum(across - 1.1 * radius, along - 0.3 * radius)  # a bar
    return np.asarray(distance, np.float32)


def _ground(rng: np.random.Generator, place: str) -> Floats:
    """`(64, 64, 3)`: the place without anything in it."""
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    light = rng.normal(0, 3, (SIDE, SIDE)).astype(np.float32)
    if place == "meadow":
        light += 10 * np.sin(2.1 * column + 0.3 * row)
    elif place == "beach":
        light += 6 * np.sin(0.2 * column + 0.5 * row)
    elif place == "night":
        light += 150 * (rng.random((SIDE, SIDE)) > 0.985)
    elif place == "sea":
        light += 14 * np.sin(0.8 * row + 0.5 * np.sin(0.3 * column))
    elif place == "room":
        light -= 35 * (row > 0.75 * SIDE)
    ground = np.array(_PLACES[place], np.float32) + light[..., None] + rng.uniform(-8, 8)
    return np.asarray(ground, np.float32)

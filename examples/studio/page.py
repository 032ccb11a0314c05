"""A page to draw on: 640 x 360 units, drawn at twice the size so that every edge comes out smooth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

WIDTH, HEIGHT = 640, 360
_SCALE = 2

Point = tuple[float, float]


class Page:
    """One frame being drawn. Colours are CSS strings; an eighth and ninth digit (`#rrggbbaa`) let light through.

    Args:
        voice: how loudly someone speaks at this moment, 0 to 1. Mouths open by it.
    """

    def __init__(self, *, voice: float = 0.0) -> None:
        self.voice = voice
        self.image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE))
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def picture(self) -> Image.Image:
        """The finished 640 x 360 picture."""
        return self.image.reduce(_SCALE)

    def gradient(self, *stops: str, top: float = 0, bottom: float = HEIGHT) -> None:
        """A vertical run of colours across the whole width, evenly spaced from `top` to `bottom`."""
        size = (WIDTH * _SCALE, round((bottom - top) * _SCALE))
        self.image.paste(_gradient(stops, size), (0, round(top * _SCALE)))

    def glow(self, x: float, y: float, radius: float, color: str, *, strength: float = 1.0) -> None:
        """A soft round light that fades to nothing at `radius`."""
        mask = _glow_mask(round(radius * _SCALE)).point(lambda alpha: round(alpha * strength))
        corner = (round((x - radius) * _SCALE), round((y - radius) * _SCALE))
        self.image.paste(ImageColor.getrgb(color)[:3], (*corner, corner[0] + mask.width, corner[1] + mask.height), mask)

    def polygon(self, points: Iterable[Point], color: str) -> None:
        self._draw.polygon(_scaled(points), fill=color)

    def blob(self, points: Sequence[Point], color: str) -> None:
        """A closed smooth shape through `points`."""
        self.polygon(smooth(points), color)

    def line(self, points: Sequence[Point], color: str, width: float = 2) -> None:
        """A line with round joints and round ends."""
        self._draw.line(_scaled(points), fill=color, width=max(1, round(width * _SCALE)), joint="curve")
        if width > 2:
            for x, y in (points[0], points[-1]):
                self.circle(x, y, width / 2, color)

    def circle(self, x: float, y: float, radius: float, color: str) -> None:
        self.ellipse(x, y, radius, radius, color)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, color: str) -> None:
        self._draw.ellipse(_scaled([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)]), fill=color)

    def box(self, left: float, top: float, right: float, bottom: float, color: str, *, radius: float = 0) -> None:
        corners = _scaled([(left, top), (right, bottom)])
        self._draw.rounded_rectangle(corners, radius=radius * _SCALE, fill=color)

    def text(self, x: float, y: float, text: str, size: float, color: str, *, anchor: str = "la") -> None:
        """Text in the font that comes with Pillow; `anchor` as Pillow has it (`la`: left, top; `mm`: middle)."""
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=color, font=_font(round(size * _SCALE)), anchor=anchor)

    def inset(self, page: Page, left: float, top: float, width: float) -> None:
        """Another page, shrunk to `width`, laid on this one: a slide on a screen."""
        size = (round(width * _SCALE), round(width * _SCALE * HEIGHT / WIDTH))
        self.image.paste(page.image.resize(size, Image.Resampling.BOX), (round(left * _SCALE), round(top * _SCALE)))

    def add_light(self, light: np.ndarray) -> None:
        """Add `(HEIGHT, WIDTH, 3)` light to the picture, as the sky adds up colours."""
        size = (WIDTH * _SCALE, HEIGHT * _SCALE)
        layer = Image.fromarray(light.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        summed = np.asarray(self.image).astype(np.uint16) + np.asarray(layer)
        self.image.paste(Image.fromarray(summed.clip(0, 255).astype(np.uint8)))


def smooth(points: Sequence[Point], *, steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through `points`."""
    corners = np.asarray(points, dtype=float)
    before, after, later = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0), np.roll(corners, -2, axis=0)
    curve = []
    for step in range(steps):
        u = step / steps
        curve.append(
            corners
            + 0.5 * u * (after - before)
            + 0.5 * u**2 * (2 * before - 5 * corners + 4 * after - later)
            + 0.5 * u**3 * (3 * corners - before - 3 * after + later)
        )
    return [(float(x), float(y)) for x, y in np.stack(curve, axis=1).reshape(-1, 2)]


def placed(points: Iterable[Point], x: float, y: float, *, turn: float = 0.0, scale: float = 1.0) -> list[Point]:
    """Points of a small drawing around (0, 0), turned (radians), scaled and moved to (x, y)."""
    cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
    return [(x + px * cos - py * sin, y + px * sin + py * cos) for px, py in points]


def hills(base: float, height: float, seed: int, *, shift: float = 0.0, rough: float = 1.0) -> list[Point]:
    """The outline of a range of hills down to the foot of the page; `shift` moves it sideways."""
    rng = np.random.default_rng(seed)
    waves = [
        (rng.uniform(0.004, 0.011) * (1.9**octave) * rough, rng.uniform(0, 6.3), 0.55**octave) for octave in range(4)
    ]
    ridge = []
    for x in range(-4, WIDTH + 9, 4):
        rise = sum(weight * math.sin((x + shift) * pace + phase) for pace, phase, weight in waves)
        ridge.append((float(x), base - height * (0.5 + 0.35 * rise)))
    return [*ridge, (WIDTH + 8, HEIGHT), (-4, HEIGHT)]


def eased(t: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, a gentle rise between them."""
    u = min(1.0, max(0.0, (t - start) / (end - start)))
    return u * u * (3 - 2 * u)


def mixed(first: str, second: str, share: float) -> str:
    """The colour `share` of the way from the first to the second."""
    pairs = zip(ImageColor.getrgb(first)[:3], ImageColor.getrgb(second)[:3], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * min(1.0, max(0.0, share))):02x}" for a, b in pairs)


def _scaled(points: Iterable[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


@lru_cache(maxsize=64)
def _gradient(stops: tuple[str, ...], size: tuple[int, int]) -> Image.Image:
    colors = np.array([ImageColor.getrgb(stop)[:3] for stop in stops], dtype=float)
    places = np.linspace(0, len(stops) - 1, size[1])
    column = np.stack([np.interp(places, range(len(stops)), colors[:, channel]) for channel in range(3)], axis=-1)
    return Image.fromarray(np.repeat(column[:, None].round().astype(np.uint8), size[0], axis=1))


@lru_cache(maxsize=64)
def _glow_mask(radius: int) -> Image.Image:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / max(1, radius)
    return Image.fromarray((np.clip(1 - np.hypot(x, y), 0, 1) ** 2 * 255).astype(np.uint8))


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

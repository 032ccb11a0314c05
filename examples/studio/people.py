"""Flat little people, so that the scenes have someone in them."""

from __future__ import annotations

from studio.page import Page, Point, mixed


def head(
    page: Page,
    x: float,
    y: float,
    size: float,
    *,
    skin: str,
    hair: str,
    bun: bool = False,
    beard: bool = False,
    glasses: bool = False,
    look: float = 0.0,
    mouth: float | None = None,
) -> None:
    """A face of `size` (its radius), looking left (-1) to right (1); the mouth opens by the page's voice."""
    shift = look * size * 0.3
    if bun:
        page.circle(x - shift, y - size * 1.25, size * 0.5, hair)
    page.circle(x, y - size * 0.12, size * 1.08, hair)
    page.box(x - size * 0.22, y + size * 0.6, x + size * 0.22, y + size * 1.5, skin)
    page.ellipse(x + shift * 0.4, y + size * 0.16, size * 0.86, size * 0.92, skin)
    if beard:
        page.ellipse(x + shift * 0.6, y + size * 0.7, size * 0.62, size * 0.42, hair)
    for side in (-1, 1):
        eye = x + shift + side * size * 0.34
        page.circle(eye, y + size * 0.1, size * 0.1, "#2b2430")
        page.circle(x + shift + side * size * 0.55, y + size * 0.42, size * 0.15, "#e8706e44")
        if glasses:
            page.circle(eye, y + size * 0.1, size * 0.28, "#4a3a3a")
            page.circle(eye, y + size * 0.1, size * 0.22, mixed(skin, "#ffffff", 0.3))
            page.circle(eye, y + size * 0.1, size * 0.1, "#2b2430")
    opening = page.voice if mouth is None else mouth
    page.ellipse(x + shift, y + size * 0.56, size * 0.2, size * (0.04 + 0.18 * opening), "#8a3038")


def torso(page: Page, x: float, shoulder_y: float, hip_y: float, width: float, color: str) -> None:
    """Rounded shoulders down to the hips."""
    half = width / 2
    page.box(x - half, shoulder_y, x + half, hip_y, color, radius=min(half * 0.6, (hip_y - shoulder_y) / 2))
    page.box(x - half, (shoulder_y + hip_y) / 2, x + half, hip_y, color)


def limb(page: Page, points: list[Point], color: str, width: float, *, end: str | None = None) -> None:
    """An arm or a leg; `end` colours the hand or the shoe."""
    page.line(points, color, width)
    if end:
        page.circle(*points[-1], width * 0.55, end)


def umbrella(page: Page, x: float, y: float, width: float, color: str) -> None:
    """An open umbrella whose tip is at (x, y)."""
    half = width / 2
    page.line([(x, y), (x, y + width * 0.85)], "#4a4038", 2)
    dome = [(x + half * u, y + half * 0.85 * (1 - (1 - u * u) ** 0.5)) for u in [i / 12 for i in range(-12, 13)]]
    page.polygon(dome, color)
    for rib in (-0.66, 0.0, 0.66):
        page.ellipse(x + half * rib, y + half * 0.86, half * 0.33, half * 0.12, "#00000022")
    page.line([(x, y), (x, y - width * 0.06)], "#4a4038", 2)

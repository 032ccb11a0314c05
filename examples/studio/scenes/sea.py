"""By the sea: a sailing boat at dusk, a dog on the beach."""

from __future__ import annotations

import math

import numpy as np

from studio.page import HEIGHT, WIDTH, Page, Point, hills, mixed, placed
from studio.people import limb


def sailing(page: Page, t: float) -> None:
    """A sailing boat crosses a calm bay while the sun goes down."""
    page.gradient("#2f2a5c", "#8a4a78", "#f08a62", "#ffd59a", bottom=215)
    sun_y = 188 + t * 1.6
    page.glow(440, sun_y, 170, "#ffe2a8", strength=0.8)
    page.circle(440, sun_y, 30, "#fff0c4")
    page.polygon([(x, y) for x, y in hills(214, 46, 3, shift=120)], "#7a4468")
    page.polygon([(x, y) for x, y in hills(216, 24, 8, shift=40)], "#5c345c")
    _sea(page, 213, t)
    for row in range(16):
        y = 218 + row * 7
        sway = 7 * math.sin(t * 2.1 + row * 1.3)
        page.ellipse(440 + sway, y, 34 - row + 5 * math.sin(t * 3 + row), 1.4, "#ffdca0b0")
    x, y = 170 + t * 16, 246 + 2.5 * math.sin(t * 1.7)
    _sailing_boat(page, x, y, turn=0.035 * math.sin(t * 1.3 + 1), scale=1.15)
    for number in range(3):
        _gull(
            page, 300 + number * 46 + t * 9, 70 + number * 17 + 6 * math.sin(t + number), t * 7 + number * 2, 9 - number
        )
    for row in range(4):
        y = 288 + row * 20
        crest = [
            (x, y + (3 + row) * math.sin(x * 0.03 + t * (1.3 + row * 0.2) + row * 2)) for x in range(-8, WIDTH + 9, 8)
        ]
        page.polygon([*crest, (WIDTH, HEIGHT), (0, HEIGHT)], "#241f4a55")


def lighthouse(page: Page, t: float) -> None:
    """The boat passes a lighthouse whose beam sweeps through the blue hour."""
    page.gradient("#141a3c", "#38386e", "#a2607c", "#e89a78", bottom=240)
    for number, (x, y) in enumerate(np.random.default_rng(5).uniform((0, 0), (WIDTH, 120), (36, 2))):
        page.circle(float(x), float(y), 0.7 + 0.4 * math.sin(t * 2 + number), "#fff4d8aa")
    page.polygon(hills(242, 34, 12), "#3a2f5c")
    _sea(page, 238, t, near="#12163a", far="#8a5876")
    _sailing_boat(page, 150 + t * 11, 254 + 1.5 * math.sin(t * 1.6), turn=0.03 * math.sin(t * 1.4), scale=0.6)
    lamp_x, lamp_y = 472.0, 92.0
    for side in (0, math.pi):
        turn = t * 0.8 + side
        reach, spread, tilt = 640 * math.cos(turn), 26 + 34 * abs(math.cos(turn)), 18 * math.sin(turn)
        for share in np.linspace(0.1, 1, 28):
            end_x, end_y = lamp_x + reach * share, lamp_y + tilt * share
            page.polygon(
                [(lamp_x, lamp_y), (end_x, end_y - spread * share), (end_x, end_y + spread * share)], "#fff0b804"
            )
    page.blob(
        [(360, 300), (400, 262), (440, 244), (510, 240), (560, 262), (620, 268), (660, 310), (500, 330)], "#1d1a36"
    )
    page.polygon([(456, 112), (488, 112), (500, 246), (444, 246)], "#f4ece0")
    page.polygon([(453.5, 140), (490.5, 140), (493.5, 172), (450.5, 172)], "#d1495b")
    page.polygon([(447.8, 204), (496.2, 204), (499.2, 236), (444.8, 236)], "#d1495b")
    page.polygon([(472, 112), (488, 112), (500, 246), (472, 246)], "#1d1a3630")
    page.box(450, 108, 494, 114, "#2a2440")
    page.box(460, 80, 484, 108, "#ffe9a6", radius=2)
    page.polygon([(454, 82), (472, 62), (490, 82)], "#b23a4c")
    page.glow(lamp_x, lamp_y, 70, "#fff3c4", strength=0.65 + 0.35 * abs(math.cos(t * 0.8)))
    page.box(467, 218, 477, 244, "#4a3048", radius=4)
    for row in range(3):
        y = 300 + row * 20
        crest = [(x, y + 4 * math.sin(x * 0.035 - t * 1.4 + row * 2)) for x in range(-8, WIDTH + 9, 8)]
        page.polygon([*crest, (WIDTH, HEIGHT), (0, HEIGHT)], "#0d102c66")


def dog_running(page: Page, t: float) -> None:
    """A brown dog gallops along the water after a red ball."""
    _beach(page, t, speed=190)
    ball_x = 470 + 24 * math.sin(t * 0.9)
    ball_y = 296 - 52 * abs(math.sin(t * 3.1))
    page.ellipse(ball_x, 312, 16, 4, "#b08a5a88")
    page.circle(ball_x, ball_y, 14, "#d8434e")
    page.circle(ball_x - 4, ball_y - 5, 4, "#ffffff88")
    _running_dog(page, 250 + 26 * math.sin(t * 0.7), 268, t * 13)
    for puff in range(6):
        age = (t * 2.2 + puff / 6) % 1
        page.circle(176 - age * 90, 316 - 16 * age, 3 + 6 * age, f"#e9cf9f{round(190 * (1 - age)):02x}")


def dog_sitting(page: Page, t: float) -> None:
    """The dog sits in front of the sea with the ball between its paws, panting, its tail wagging."""
    _beach(page, 4.0 + t * 0.02, speed=190)
    coat, dark = "#9a5b32", "#6e3d20"
    wag = 26 * math.sin(t * 11)
    page.ellipse(330, 330, 120, 12, "#b08a5a88")
    page.line([(250, 306), (206, 290), (178 + wag * 0.4, 256 + abs(wag) * 0.2)], coat, 16)
    page.blob([(262, 330), (250, 262), (292, 190), (352, 184), (392, 232), (396, 328)], coat)
    page.blob([(318, 214), (366, 212), (378, 262), (356, 298), (326, 290)], "#f0dcc0")
    page.ellipse(284, 312, 48, 24, mixed(coat, dark, 0.3))
    pant = 2.5 * math.sin(t * 12)
    for x in (332, 372):
        page.line([(x, 258), (x + 2, 324)], coat, 24)
        page.ellipse(x + 6, 328, 20, 9, "#f0dcc0")
    y = 140 + pant * 0.5
    page.ellipse(350, y, 54, 50, coat)
    page.blob([(302, y - 34), (280, y - 16), (276, y + 38), (296, y + 46), (314, y - 6)], dark)
    page.blob([(398, y - 34), (420, y - 16), (424, y + 38), (404, y + 46), (386, y - 6)], dark)
    page.blob([(332, y - 46), (368, y - 46), (362, y + 2), (338, y + 2)], "#f0dcc0")
    page.box(340, y + 34, 362, y + 62 + pant * 2, "#e8727c", radius=10)
    page.ellipse(350, y + 24, 32, 24, "#f0dcc0")
    page.ellipse(350, y + 12, 13, 9, "#2b2024")
    page.line([(350, y + 18), (350, y + 32)], "#2b2024", 2.4)
    page.line([(334, y + 34), (350, y + 38), (366, y + 34)], "#2b2024", 2.4)
    blink = 0.15 if t % 2.6 > 2.45 else 1.0
    for x in (328, 372):
        page.ellipse(x, y - 8, 6.5, 6.5 * blink, "#2b2024")
        page.circle(x + 2, y - 10, 2 * blink, "#ffffff")
    page.box(306, 186, 394, 198, "#3f7fb5", radius=6)
    page.circle(352, 204, 8, "#f2b33d")
    page.circle(430, 322, 18, "#d8434e")
    page.circle(425, 316, 5, "#ffffff88")


def _sea(page: Page, horizon: float, t: float, *, far: str = "#d9806c", near: str = "#262354") -> None:
    page.gradient(far, mixed(far, near, 0.6), near, near, top=horizon)
    for row in range(11):
        y = horizon + 5 + row * row * 0.9 + row * 3
        for number in range(5):
            x = (number * 149 + row * 61 + t * (5 + row)) % (WIDTH + 80) - 40
            page.ellipse(x, y, 16 + row * 2, 0.7 + row * 0.06, "#ffd9b433")


def _sailing_boat(page: Page, x: float, y: float, *, turn: float, scale: float) -> None:
    def shape(points: list[Point]) -> list[Point]:
        return placed(points, x, y, turn=turn, scale=scale)

    page.ellipse(x, y + 20 * scale, 58 * scale, 6 * scale, "#1a173a66")
    page.polygon(shape([(-3, -8), (-3, -118), (-50, -20), (-46, -16)]), "#f7e8d2")
    page.polygon(shape([(3, -12), (3, -128), (34, -70), (62, -14)]), "#e8645a")
    page.polygon(shape([(3, -60), (3, -80), (46, -46), (52, -34)]), "#f7e8d2")
    page.polygon(shape([(-2, 0), (-2, -132), (2, -132), (2, 0)]), "#3a2a2c")
    page.polygon(shape([(2, -132), (2, -122), (18, -127)]), "#f2b33d")
    page.polygon(shape([(-58, -6), (66, -6), (48, 16), (-42, 16)]), "#20305c")
    page.polygon(shape([(-58, -6), (66, -6), (62, -1), (-54, -1)]), "#f7e8d2")
    for seat in (-24, -8):
        (cx, cy), (bx, by) = shape([(seat, -20), (seat, -10)])
        page.circle(bx, by, 6 * scale, "#3f7f8a" if seat == -24 else "#d6a03c")
        page.circle(cx, cy, 4.6 * scale, "#8a4a3a")


def _gull(page: Page, x: float, y: float, beat: float, size: float) -> None:
    lift = size * 0.6 * math.sin(beat)
    inner, elbow_y = size * 0.4, y - size * 0.3
    wings = [(x - size, y - lift), (x - inner, elbow_y), (x, y), (x + inner, elbow_y), (x + size, y - lift)]
    page.line(wings, "#2c2348", 1.6)


def _beach(page: Page, t: float, *, speed: float) -> None:
    page.gradient("#5fb4e0", "#a8dcf0", "#e4f5f4", bottom=150)
    page.glow(540, 50, 90, "#fffbe0")
    page.circle(540, 50, 24, "#fff6c4")
    for number, (y, size) in enumerate(((44, 1.0), (78, 0.7), (30, 0.8), (64, 1.1))):
        x = (number * 220 + 60 - t * speed * 0.05) % 800 - 80
        for dx, dy, radius in ((-30, 6, 15), (-8, -4, 22), (18, 0, 18), (38, 8, 12)):
            page.circle(x + dx * size, y + dy * size, radius * size, "#f8fdff")
    page.gradient("#2f8fb8", "#4fb3c8", "#8fd6d2", top=150, bottom=262)
    for row in range(5):
        y = 160 + row * 14
        for number in range(6):
            x = (number * 131 + row * 57 - t * speed * (0.1 + 0.05 * row)) % 760 - 60
            page.ellipse(x, y, 22 + row * 3, 1.1, "#ffffff66")
    wash = 8 * math.sin(t * 1.3)
    shore = [(float(x), 228 + wash + 5 * math.sin((x + t * speed * 0.5) * 0.02)) for x in range(-8, WIDTH + 9, 8)]
    page.polygon([(x, y + 8) for x, y in shore] + [(WIDTH, HEIGHT), (0, HEIGHT)], "#d9b886")
    page.line([(x, y + 2) for x, y in shore], "#ffffffdd", 8)
    page.polygon([(x, y + 26) for x, y in shore] + [(WIDTH, HEIGHT), (0, HEIGHT)], "#eed3a0")
    for number, (x, y) in enumerate(np.random.default_rng(10).uniform((0, 268), (760, 352), (46, 2))):
        page.ellipse((float(x) - t * speed) % 760 - 60, float(y), 2 + number % 3, 1.2, "#cfae78")
    for number in range(3):
        x = (number * 260 + 120 - t * speed) % 780 - 70
        page.polygon(
            [
                (
                    x + 9 * (1 if k % 2 else 0.42) * math.cos(k * math.pi / 5),
                    340 + 5 * (1 if k % 2 else 0.42) * math.sin(k * math.pi / 5),
                )
                for k in range(10)
            ],
            "#e8845a",
        )


def _running_dog(page: Page, x: float, y: float, stride: float) -> None:
    """In profile, to the right; the legs of each pair move half a beat apart, as they do in a gallop."""
    coat, dark = "#9a5b32", "#6e3d20"
    hop = -9 * abs(math.sin(stride / 2))
    page.ellipse(x, 316, 84, 7, "#b08a5a88")
    y += hop
    for lag, color, front in ((0.5, dark, True), (0.5, dark, False), (0.0, coat, True), (0.0, coat, False)):
        phase = stride + lag + (0.0 if front else 2.4)
        swing, lift = math.sin(phase), max(0.0, math.cos(phase))
        hip = (x + (52 if front else -56), y + 8)
        knee = (hip[0] + 22 * swing + (-6 if front else 6), hip[1] + 24 - 8 * lift)
        paw = (hip[0] + 42 * swing, hip[1] + 45 - 20 * lift)
        limb(page, [hip, knee, paw], color, 13, end="#f0dcc0")
    tail = 9 * math.sin(stride * 0.9)
    page.line([(x - 66, y - 14), (x - 96, y - 34 + tail * 0.4), (x - 118, y - 40 + tail)], coat, 10)
    page.blob(
        [
            (x - 74, y - 12),
            (x - 44, y - 27),
            (x + 20, y - 26),
            (x + 66, y - 34),
            (x + 76, y - 4),
            (x + 52, y + 23),
            (x - 6, y + 14),
            (x - 56, y + 20),
        ],
        coat,
    )
    page.blob([(x + 20, y + 12), (x + 66, y - 6), (x + 60, y + 20), (x + 40, y + 24)], "#f0dcc0")
    nod = 4 * math.sin(stride + 1)
    hx, hy = x + 94, y - 50 + nod
    page.blob([(x + 48, y - 22), (hx - 20, hy - 12), (hx + 6, hy + 16), (x + 76, y + 4)], coat)
    page.ellipse(hx, hy, 27, 24, coat)
    page.blob([(hx + 10, hy - 10), (hx + 44, hy - 1), (hx + 48, hy + 11), (hx + 20, hy + 19)], "#f0dcc0")
    page.circle(hx + 47, hy + 2, 6, "#2b2024")
    page.blob([(hx + 18, hy + 14), (hx + 30, hy + 14), (hx + 24, hy + 30 + nod), (hx + 14, hy + 27 + nod)], "#e8727c")
    page.circle(hx + 10, hy - 6, 4, "#2b2024")
    page.circle(hx + 11.5, hy - 7.5, 1.3, "#ffffff")
    flap = 12 * math.sin(stride + 2)
    page.blob(
        [
            (hx - 10, hy - 20),
            (hx + 4, hy - 18),
            (hx - 12, hy + 2 + flap * 0.4),
            (hx - 38, hy + 4 - flap),
            (hx - 30, hy - 12 - flap * 0.5),
        ],
        dark,
    )
    page.line([(x + 62, y - 34), (x + 82, y - 8)], "#3f7fb5", 7)

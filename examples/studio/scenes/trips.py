"""Away from home: a night train, a café in the rain."""

from __future__ import annotations

import math

import numpy as np

from studio.page import HEIGHT, WIDTH, Page, eased, hills, mixed
from studio.people import head, limb, torso, umbrella


def platform(page: Page, t: float) -> None:
    """A blue night train draws in along a lamp-lit platform; a woman waits with her suitcase."""
    page.gradient("#0e1530", "#1c2a52", "#33406a")
    for x, y in np.random.default_rng(2).uniform((0, 0), (WIDTH, 130), (40, 2)):
        page.circle(float(x), float(y), 0.8, "#fff6dcaa")
    page.polygon(hills(238, 70, 21), "#151d3c")
    arrival = 1 - eased(t, 0.2, 5.5)
    _carriages(page, -40 + 760 * arrival, 150, scale=1.0)
    page.box(0, 268, WIDTH, HEIGHT, "#4a4a5c")
    page.box(0, 268, WIDTH, 276, "#e8c34a")
    for x in range(0, WIDTH, 80):
        page.line([(x, 278), (x - 46, HEIGHT)], "#40404f", 1.5)
    page.box(0, 0, WIDTH, 34, "#1a1a2c")
    for x in range(30, WIDTH, 145):
        page.box(x, 34, x + 7, 268, "#262640")
    for x in (104, 394):
        page.line([(x, 34), (x, 56)], "#15152a", 2)
        page.box(x - 24, 54, x + 24, 60, "#f8eec8", radius=3)
        page.glow(x, 60, 95, "#ffe9b0", strength=0.5)
        page.ellipse(x, 312, 90, 18, "#ffe9b018")
    page.box(222, 46, 300, 92, "#2456a6", radius=6)
    page.text(261, 69, "7", 36, "#ffffff", anchor="mm")
    page.circle(540, 68, 26, "#f4f0e4")
    page.circle(540, 68, 23, "#ffffff")
    for hand, length in ((2.0 + t * 0.01, 18), (-1.0, 12)):
        page.line([(540, 68), (540 + length * math.sin(hand), 68 - length * math.cos(hand))], "#20202e", 2.5)
    _traveller(page, 330, 292, t)


def viaduct(page: Page, t: float) -> None:
    """The lit train crosses a stone viaduct in front of snowy mountains under a full moon."""
    page.gradient("#0b1433", "#1d2d60", "#4d5a8c")
    for number, (x, y) in enumerate(np.random.default_rng(7).uniform((0, 0), (WIDTH, 150), (60, 2))):
        page.circle(float(x), float(y), 0.8 + 0.3 * math.sin(t * 3 + number), "#fff8e6bb")
    page.glow(500, 70, 120, "#e8ecff", strength=0.55)
    page.circle(500, 70, 27, "#f6f3e2")
    page.circle(491, 63, 5, "#e4dfc9")
    page.circle(509, 79, 4, "#e4dfc9")
    for peak_x, peak_y, width in ((90, 92, 210), (280, 60, 260), (450, 120, 190), (600, 84, 230)):
        page.polygon([(peak_x - width, 300), (peak_x, peak_y), (peak_x + width, 300)], "#3a4878")
        page.polygon([(peak_x, peak_y), (peak_x + width, 300), (peak_x + width * 0.12, 300)], "#2e3a66")
        cap = 0.34 * (300 - peak_y)
        slope = width * 0.34
        page.polygon(
            [(peak_x, peak_y), (peak_x + slope, peak_y + cap), (peak_x + slope * 0.45, peak_y + cap * 0.72),
             (peak_x + slope * 0.1, peak_y + cap * 1.1), (peak_x - slope * 0.4, peak_y + cap * 0.74),
             (peak_x - slope, peak_y + cap)],
            "#eef2ff",
        )  # fmt: skip
    page.polygon(hills(306, 60, 31), "#1b2850")
    _carriages(page, 660 - t * 128, 203, scale=0.34)
    page.box(0, 236, WIDTH, 250, "#7b7890")
    for x in range(-10, WIDTH + 60, 70):
        page.box(x, 246, x + 20, HEIGHT, "#66647e")
        page.box(x, 246, x + 6, HEIGHT, "#58566f")
        page.polygon([(x + 20 + 25 + 25 * math.cos(a), 275 - 25 * math.sin(a)) for a in np.linspace(0, math.pi, 15)]
                     + [(x + 20, 246), (x + 70, 246)], "#66647e")  # fmt: skip
        page.box(x + 18, 244, x + 72, 251, "#66647e")
    page.polygon(hills(356, 44, 40), "#0e1733")


def compartment(page: Page, t: float) -> None:
    """Inside the train: a traveller looks out at the moon; snowy hills slide by."""
    page.gradient("#0f1a40", "#2a3a72", "#5a6698", bottom=270)
    page.glow(330, 80, 100, "#e8ecff", strength=0.6)
    page.circle(330, 80, 22, "#f6f3e2")
    page.polygon(hills(232, 120, 51, shift=t * 22, rough=1.3), "#8c9cc8")
    page.polygon(hills(246, 80, 52, shift=t * 60), "#c4d0ee")
    page.polygon(hills(272, 50, 53, shift=t * 150), "#e8eefc")
    for number in range(9):
        x = (number * 97 - t * 300) % 800 - 80
        page.polygon([(x - 15, 268), (x, 196 + number % 3 * 12), (x + 15, 268)], "#1f3350")
    for left, top, right, bottom in ((0, 0, 70, 360), (570, 0, 640, 360), (0, 0, 640, 36), (0, 262, 640, 360)):
        page.box(left, top, right, bottom, "#6a3d33")
    page.box(62, 28, 578, 36, "#4c2a26", radius=3)
    page.box(56, 258, 584, 272, "#8c5644", radius=5)
    page.box(62, 30, 70, 262, "#4c2a26")
    page.box(570, 30, 578, 262, "#4c2a26")
    page.blob([(70, 34), (118, 34), (104, 140), (120, 258), (70, 262)], "#b8434c")
    page.blob([(570, 34), (522, 34), (536, 140), (520, 258), (570, 262)], "#b8434c")
    shake = 0.8 * math.sin(t * 13)
    page.box(330, 284, 560, 296, "#c9996b", radius=5)
    page.box(424, 252 + shake, 456, 284, "#f2ead8", radius=5)
    page.ellipse(461, 266 + shake, 7, 8, "#f2ead8")
    torso(page, 190, 252 + shake, 372, 118, "#2f6f73")
    head(page, 196, 196 + shake, 36, skin="#e0a987", hair="#3a2420", bun=True, look=0.9)
    page.glow(110, 60, 130, "#ffcf8a", strength=0.4)


def cafe_window(page: Page, t: float) -> None:
    """From a warm café table: two steaming cups, rain on the glass, umbrellas in the street."""
    page.gradient("#7d8ca0", "#9aa8b4", "#8893a0", bottom=250)
    for x, width, color in (
        (60, 120, "#b9846a"),
        (180, 96, "#c9b28a"),
        (276, 130, "#8f7a86"),
        (406, 110, "#b79a7a"),
        (516, 130, "#94706a"),
    ):
        page.box(x, 50, x + width, 250, color)
        for row in range(3):
            for column in range(3):
                page.box(
                    x + 14 + column * width / 3.4,
                    66 + row * 50,
                    x + 30 + column * width / 3.4,
                    94 + row * 50,
                    "#56606e",
                )
    page.box(0, 222, WIDTH, 270, "#5c6470")
    for number, color in enumerate(("#d8434e", "#f2b33d", "#3f7fb5")):
        x = (90 + number * 230 + t * (34 - number * 7)) % 760 - 60
        torso(page, x, 172, 236, 30, mixed(color, "#303848", 0.65))
        umbrella(page, x + 4, 118, 92, color)
    rng = np.random.default_rng(14)
    for x, speed, start, length in rng.uniform((0, 40, 0, 6), (WIDTH, 150, 300, 22), (70, 4)):
        y = (start + t * speed) % 290 - 20
        page.line([(x, y), (x, y + length)], "#dfe8f088", 1.5)
        page.circle(float(x), float(y + length), 1.9, "#eef4f8bb")
    page.box(0, 0, WIDTH, 26, "#4a2c22")
    for x in (0, 300, 618):
        page.box(x, 0, x + 22, 262, "#4a2c22")
    page.box(0, 250, WIDTH, HEIGHT, "#8a5434")
    page.box(0, 250, WIDTH, 259, "#a86a42")
    for x in (150, 470):
        page.line([(x, 0), (x, 50)], "#2a1a16", 2)
        page.polygon([(x - 30, 74), (x - 12, 48), (x + 12, 48), (x + 30, 74)], "#d98b3a")
        page.glow(x, 78, 120, "#ffd591", strength=0.6)
    for x, cup in ((215, "#f4ebdd"), (402, "#2f6f73")):
        page.ellipse(x, 330, 62, 13, "#e8dccb")
        page.box(x - 36, 276, x + 36, 328, cup, radius=16)
        page.ellipse(x + 42, 298, 15, 16, cup)
        page.ellipse(x + 42, 298, 8, 9, "#8a5434")
        page.ellipse(x, 279, 33, 8, "#5b3420")
        _steam(page, x, 268, t)
    page.box(288, 300, 330, 338, "#c8a06a", radius=5)


def cafe_street(page: Page, t: float) -> None:
    """The café from outside: awning, lit windows, wet cobbles, someone with a red umbrella."""
    page.gradient("#59677c", "#7c8898")
    page.box(70, 20, 570, 272, "#d8c4a4")
    page.box(70, 20, 570, 34, "#b99e78")
    for x in (110, 240, 370, 490):
        page.box(x, 46, x + 44, 98, "#5a6472", radius=3)
        page.box(x - 6, 98, x + 50, 104, "#b99e78")
    page.box(96, 150, 360, 260, "#ffd890", radius=4)
    page.box(390, 150, 470, 272, "#6a3d33", radius=4)
    page.box(400, 160, 460, 216, "#ffd890", radius=3)
    for x in (140, 232, 316):
        torso(page, x, 214, 260, 42, "#9a5a48")
        page.circle(x, 200, 14, "#7a4030")
    page.box(224, 150, 230, 260, "#6a3d33")
    for stripe in range(10):
        left = 84 + stripe * 40
        color = "#b23a4c" if stripe % 2 == 0 else "#f6efe2"
        page.polygon([(left + 6, 116), (left + 42, 116), (left + 40, 150), (left, 150)], color)
        page.ellipse(left + 20, 150, 20, 9, color)
    page.text(276, 133, "CAFE", 27, "#2d2030", anchor="mm")  # the font that comes with Pillow has no É
    page.line([(301, 120), (307, 114)], "#2d2030", 2.5)
    page.glow(228, 205, 210, "#ffdf9e", strength=0.4)
    page.box(0, 272, WIDTH, HEIGHT, "#4d5564")
    for row in range(5):
        for x in range(-30 + row % 2 * 20, WIDTH, 42):
            page.ellipse(x, 284 + row * 17, 19, 6, "#5a6373")
    page.ellipse(230, 316, 120, 15, "#ffd89044")
    x = 560 - t * 34
    step = 9 * math.sin(t * 6)
    page.ellipse(x, 340, 40, 6, "#2c323d66")
    limb(page, [(x - 4, 286), (x - 5 + step, 336)], "#2b3140", 10, end="#7a2c34")
    limb(page, [(x + 4, 286), (x + 5 - step, 336)], "#343b4c", 10, end="#7a2c34")
    torso(page, x, 228, 296, 40, "#e0b04a")
    head(page, x, 208, 14, skin="#e6b596", hair="#5b3420", look=-0.8, mouth=0.0)
    umbrella(page, x - 20, 148, 112, "#d8434e")
    limb(page, [(x + 4, 238), (x - 12, 254), (x - 20, 240)], "#c99a3a", 11, end="#e6b596")
    for left, start, speed in np.random.default_rng(15).uniform((-20, 0, 500), (WIDTH + 40, 400, 700), (110, 3)):
        y = (start + t * speed) % 400 - 20
        page.line([(left, y), (left - 4, y + 20)], "#e4ecf455", 1)
    for number in range(14):
        age = (t * 1.6 + number * 0.37) % 1
        page.ellipse(
            (number * 131) % WIDTH,
            292 + (number * 37) % 64,
            12 * age,
            3.4 * age,
            f"#e4ecf4{round(110 * (1 - age)):02x}",
        )


def _carriages(page: Page, left: float, top: float, *, scale: float) -> None:
    """A locomotive that leads to the left and three carriages."""
    height, length = 96 * scale, 300 * scale
    for number in range(4):
        x = left + number * (length + 6 * scale)
        color = "#b8434c" if number == 0 else "#2b4c8c"
        page.box(x, top, x + length, top + height, color, radius=12 * scale)
        page.box(x, top + height * 0.66, x + length, top + height * 0.76, "#f0d9a0")
        page.box(x + 4 * scale, top, x + length - 4 * scale, top + 9 * scale, "#1b2240", radius=4 * scale)
        for window in range(1 if number == 0 else 6):
            wx = x + (22 + window * 44) * scale
            page.box(wx, top + 22 * scale, wx + 32 * scale, top + 54 * scale, "#ffe3a0", radius=4 * scale)
            if (window + number) % 3 == 1:
                page.circle(wx + 16 * scale, top + 42 * scale, 7 * scale, "#7a5a4a")
                page.box(wx + 7 * scale, top + 47 * scale, wx + 25 * scale, top + 54 * scale, "#7a5a4a")
        for wheel in (40, 86, 214, 260):
            page.circle(x + wheel * scale, top + height + 4 * scale, 13 * scale, "#14182c")
            page.circle(x + wheel * scale, top + height + 4 * scale, 5 * scale, "#5a6078")
    page.glow(left, top + height * 0.6, 60 * scale, "#fff2c0")


def _traveller(page: Page, x: float, y: float, t: float) -> None:
    page.ellipse(x + 6, y + 40, 50, 7, "#24243488")
    limb(page, [(x - 8, y - 20), (x - 9, y + 36)], "#25304a", 11, end="#1a1a24")
    limb(page, [(x + 8, y - 20), (x + 9, y + 36)], "#2c3856", 11, end="#1a1a24")
    torso(page, x, y - 86, y - 8, 46, "#c8553d")
    limb(page, [(x + 20, y - 74), (x + 28, y - 44), (x + 36, y - 20)], "#b34a35", 10, end="#e6b596")
    head(page, x, y - 108 + 0.8 * math.sin(t * 2), 16, skin="#e6b596", hair="#2e2026", look=-0.7, mouth=0.0)
    page.box(x - 18, y - 90, x + 18, y - 78, "#f0c75e", radius=6)
    page.box(x + 22, y - 16, x + 56, y + 38, "#d9a441", radius=5)
    page.box(x + 34, y - 24, x + 44, y - 16, "#7a5a2c", radius=3)
    page.line([(x + 22, y + 4), (x + 56, y + 4)], "#b5842f", 2)


def _steam(page: Page, x: float, y: float, t: float) -> None:
    for strand in (-10, 4, 16):
        for puff in range(7):
            age = (t * 0.5 + puff / 7 + strand * 0.05) % 1
            drift = 7 * math.sin(age * 6 + strand)
            page.glow(x + strand + drift, y - age * 58, 6 + 10 * age, "#ffffff", strength=0.5 * (1 - age))

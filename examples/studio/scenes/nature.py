"""Outdoors: a garden that grows, northern lights, a campfire."""

from __future__ import annotations

import math

import numpy as np

from studio.page import HEIGHT, WIDTH, Page, eased, hills, mixed
from studio.people import head, limb, torso

_DAY_S = 3.0


def garden(page: Page, t: float) -> None:
    """Four days in twelve seconds: the sun runs over, tomato plants climb their sticks and the fruit turns red."""
    day = t / _DAY_S % 1
    light = max(0.0, math.sin(day * math.pi)) ** 0.6
    page.gradient(
        mixed("#10183c", "#4fa8e0", light),
        mixed("#2c3562", "#a4dcf2", light),
        mixed("#4a4a78", "#f4f2d8", light),
        bottom=262,
    )
    if light < 0.5:
        for x, y in np.random.default_rng(3).uniform((0, 0), (WIDTH, 170), (45, 2)):
            page.circle(float(x), float(y), 0.9, f"#fff6dc{round(220 * (1 - 2 * light)):02x}")
    sun_x, sun_y = 20 + 600 * day, 210 - 180 * math.sin(day * math.pi)
    page.glow(sun_x, sun_y, 110, "#fff3b8", strength=light)
    page.circle(sun_x, sun_y, 24, mixed("#f0884a", "#fff3b8", light))
    for number in range(3):
        x = (number * 260 + t * 120) % 860 - 100
        for dx, radius in ((-26, 13), (-4, 20), (20, 15)):
            page.circle(x + dx, 60 + number * 28, radius, mixed("#3a4470", "#ffffff", light))
    page.polygon(hills(250, 46, 9), mixed("#1c2c3c", "#7fb36a", light))
    fence = mixed("#3a3c58", "#f6f0e2", light)
    for x in range(6, WIDTH, 34):
        page.polygon([(x, 264), (x, 176), (x + 9, 164), (x + 18, 176), (x + 18, 264)], fence)
    page.box(0, 192, WIDTH, 201, mixed("#34365a", "#e6dcc6", light))
    page.box(0, 234, WIDTH, 243, mixed("#34365a", "#e6dcc6", light))
    page.box(0, 256, WIDTH, HEIGHT, mixed("#1d2a2c", "#6fa055", light))
    soil = mixed("#20181c", "#6e4630", light)
    page.ellipse(320, 318, 300, 36, soil)
    grown = t / (4 * _DAY_S)
    for number, x in enumerate((110, 250, 390, 530)):
        _tomato_plant(page, x, 318 + 6 * (number % 2), max(0.0, grown * 1.12 - 0.03 * number), t, number, light)


def _tomato_plant(page: Page, x: float, foot: float, grown: float, t: float, number: int, light: float) -> None:
    page.line([(x + 8, foot), (x + 8, foot - 176)], mixed("#3a2a28", "#b98a58", light), 4)
    height = 166 * eased(grown, 0.0, 0.85)
    leaf, stem = mixed("#14302c", "#4f9a48", light), mixed("#122824", "#3c7d3c", light)
    sway = 3 * math.sin(t * 5 + number)
    page.line([(x, foot), (x + 3, foot - height * 0.5), (x + 5 + sway, foot - height)], stem, 4)
    for pair in range(7):
        base = (pair + 0.6) / 7
        size = 25 * eased(grown, base * 0.8, base * 0.8 + 0.25)
        if size < 1:
            continue
        y = foot - height * base
        for side in (-1, 1):
            tip_x, tip_y = x + 4 + side * size * 1.5 + sway * base, y - 5 + size * 0.2
            page.blob(
                [
                    (x + 4, y),
                    (x + 4 + side * size * 0.7, y - size * 0.55),
                    (tip_x, tip_y),
                    (x + 4 + side * size * 0.7, y + size * 0.4),
                ],
                leaf,
            )
    for fruit in range(5):
        size = 11.5 * eased(grown, 0.42 + 0.05 * fruit, 0.72 + 0.05 * fruit)
        if size < 1:
            continue
        ripe = eased(grown, 0.66 + 0.05 * fruit, 0.86 + 0.04 * fruit)
        fx = x + (-24, 30, -19, 26, 4)[fruit] + sway * 0.4
        fy = foot - (40, 62, 88, 108, 130)[fruit] * min(1.0, height / 150)
        color = mixed("#141c24", mixed("#9cc25a", "#e0352f", ripe), 0.25 + 0.75 * light)
        page.circle(fx, fy, size, color)
        page.circle(fx - size * 0.3, fy - size * 0.35, size * 0.25, "#ffffff55")
        page.ellipse(fx, fy - size * 0.95, size * 0.6, size * 0.22, stem)


def northern_lights(page: Page, t: float) -> None:
    """Green and violet curtains of light over a snowed-in cabin."""
    page.gradient("#050a20", "#0b1c3a", "#163a54")
    for number, (x, y) in enumerate(np.random.default_rng(16).uniform((0, 0), (WIDTH, 210), (110, 2))):
        page.circle(float(x), float(y), 0.6 + 0.5 * abs(math.sin(t + number)), "#ffffffcc")
    page.add_light(_aurora(t))
    page.polygon(hills(252, 80, 61), "#12304a")
    page.polygon(hills(282, 50, 62), "#9fc0d6")
    page.polygon(hills(316, 36, 63), "#cfe2ee")
    for x, size in ((40, 1.1), (92, 0.8), (140, 1.3), (500, 0.9), (548, 1.4), (606, 1.0)):
        for tier in range(3):
            top = 300 - 100 * size + tier * 26 * size
            half = (15 + tier * 9) * size
            page.polygon([(x - half, top + 46 * size), (x, top), (x + half, top + 46 * size)], "#0c2430")
            page.polygon(
                [(x - half * 0.5, top + 20 * size), (x, top), (x + half * 0.5, top + 20 * size), (x, top + 13 * size)],
                "#dcecf4",
            )
    page.glow(330, 276, 110, "#ffca7a", strength=0.6)
    page.box(270, 246, 390, 308, "#4a2c22")
    for y in range(254, 306, 10):
        page.line([(270, y), (390, y)], "#3a2018", 1.5)
    page.polygon([(256, 250), (330, 200), (404, 250)], "#e8f2f8")
    page.polygon([(268, 250), (330, 210), (392, 250)], "#3a2018")
    page.box(366, 196, 380, 230, "#6a4a40")
    page.box(363, 192, 383, 199, "#e8f2f8", radius=3)
    for x in (286, 344):
        page.box(x, 262, x + 30, 288, "#ffd98a", radius=2)
        page.line([(x + 15, 262), (x + 15, 288)], "#4a2c22", 2)
    page.ellipse(330, 320, 200, 14, "#e4f0f6")
    for puff in range(10):
        age = (t * 0.25 + puff / 10) % 1
        page.circle(
            373 + 26 * age + 4 * math.sin(age * 9), 190 - 64 * age, 4 + 9 * age, f"#dfe8f0{round(80 * (1 - age)):02x}"
        )
    for x, start, speed in np.random.default_rng(17).uniform((0, 0, 16), (WIDTH, 380, 34), (60, 3)):
        page.circle(float(x + 8 * math.sin(t + start)), float((start + t * speed) % 380 - 10), 1.3, "#ffffffcc")


def _aurora(t: float) -> np.ndarray:
    """Light to add, `(HEIGHT, WIDTH, 3)`: three curtains, bright at the hem and fading upwards."""
    x = np.arange(WIDTH)[None, :]
    y = np.arange(HEIGHT)[:, None]
    light = np.zeros((HEIGHT, WIDTH, 3))
    for number, (base, color) in enumerate(((150, (40, 220, 130)), (118, (60, 235, 150)), (176, (140, 70, 200)))):
        hem = base + 34 * np.sin(x * 0.011 + t * 0.35 + number * 2) + 13 * np.sin(x * 0.031 - t * 0.55 + number)
        rays = 0.55 + 0.45 * np.sin(x * 0.045 + 2.2 * np.sin(x * 0.013 + t * 0.4) + t * 0.7 + number)
        rise = hem - y
        glow = np.where(rise >= 0, np.exp(-rise / (48 + 16 * rays)), np.exp(rise / 6)) * rays
        light += glow[..., None] * np.array(color) * (0.75, 0.6, 0.6)[number]
    return light


def campfire(page: Page, t: float) -> None:
    """A man plays the guitar by a campfire in front of a tent; sparks fly up into the night."""
    flicker = 0.85 + 0.1 * math.sin(t * 9) + 0.05 * math.sin(t * 23)
    page.gradient("#0a1226", "#162444", "#2c3450")
    for x, y in np.random.default_rng(22).uniform((0, 0), (WIDTH, 150), (70, 2)):
        page.circle(float(x), float(y), 0.8, "#fff8e0bb")
    for x in range(-10, WIDTH + 30, 46):
        top = 70 + (x * 37) % 60
        page.polygon([(x - 36, 260), (x, top), (x + 36, 260)], "#0d1a2a")
    page.box(0, 252, WIDTH, HEIGHT, "#1c2620")
    page.glow(320, 280, 300, "#ff9a3c", strength=0.5 * flicker)
    page.polygon([(30, 292), (120, 150), (214, 292)], "#c8553d")
    page.polygon([(120, 150), (214, 292), (150, 292)], "#9a3f30")
    page.polygon([(96, 292), (120, 172), (142, 292)], "#3a1c1c")
    page.ellipse(320, 318, 120, 18, "#2c2018")
    for number in range(9):
        page.ellipse(320 + 84 * math.cos(number * 0.7), 318 + 15 * math.sin(number * 0.7), 15, 9, "#6a665f")
    page.line([(276, 318), (364, 300)], "#5a3622", 13)
    page.line([(276, 300), (364, 318)], "#6e452c", 13)
    for color, size in (("#e8532a", 1.0), ("#f7902f", 0.74), ("#ffd35a", 0.48), ("#fff4c0", 0.24)):
        for tongue, (dx, tall) in enumerate(((-26, 66), (0, 104), (26, 72))):
            lick = 9 * math.sin(t * 8 + tongue * 2) + 4 * math.sin(t * 17 + tongue)
            height = tall * size * (0.88 + 0.12 * math.sin(t * 11 + tongue * 3))
            x = 320 + dx * size
            page.blob(
                [
                    (x - 24 * size, 304),
                    (x - 17 * size, 304 - height * 0.45),
                    (x + lick * size, 304 - height),
                    (x + 17 * size, 304 - height * 0.45),
                    (x + 24 * size, 304),
                    (x, 312),
                ],
                color,
            )
    for number in range(18):
        age = (t * 0.5 + number / 18) % 1
        x = 320 + (number * 53 % 60 - 30) * (0.5 + age) + 10 * math.sin(age * 8 + number)
        page.circle(x, 250 - 200 * age, 1.9 * (1 - age) + 0.5, f"#ffc45a{round(255 * (1 - age)):02x}")
    _guitarist(page, 486, 214, t)


def _guitarist(page: Page, x: float, y: float, t: float) -> None:
    page.box(x - 78, 296, x + 92, 322, "#5a3a26", radius=13)
    page.ellipse(x + 90, 309, 9, 13, "#8a6040")
    limb(page, [(x + 8, 290), (x - 48, 282), (x - 54, 338)], "#2b3a5c", 24, end="#3a2418")
    limb(page, [(x + 22, 292), (x - 18, 290), (x - 16, 342)], "#34466c", 24, end="#3a2418")
    torso(page, x + 14, y + 8, 300, 66, "#b23a4c")
    head(page, x + 8, y - 26, 25, skin="#e6b088", hair="#4a2c1c", beard=True, look=-0.8, mouth=0.0)
    page.box(x - 20, y - 54, x + 36, y - 42, "#3f7f6a", radius=6)
    page.ellipse(x + 6, y - 54, 22, 10, "#3f7f6a")
    page.line([(x - 20, y + 54), (x - 96, y + 22)], "#5a3420", 7)
    page.blob(
        [
            (x - 30, y + 38),
            (x - 2, y + 34),
            (x + 10, y + 44),
            (x + 40, y + 44),
            (x + 46, y + 76),
            (x + 16, y + 88),
            (x - 4, y + 78),
            (x - 30, y + 72),
        ],
        "#d99a4e",
    )
    page.circle(x - 2, y + 60, 9, "#3a2418")
    page.box(x - 104, y + 14, x - 90, y + 28, "#3a2418", radius=3)
    strum = 8 * math.sin(t * 2 * math.pi / 0.64)
    limb(
        page,
        [(x - 12, y + 24), (x - 50, y + 44), (x - 66 + 3 * math.sin(t * 1.2), y + 33)],
        "#9a3242",
        15,
        end="#e6b088",
    )
    limb(page, [(x + 40, y + 24), (x + 48, y + 58), (x + 8, y + 58 + strum)], "#9a3242", 15, end="#e6b088")

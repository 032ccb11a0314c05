"""At home: tea in the kitchen, a birthday."""

from __future__ import annotations

import math

import numpy as np

from studio.page import HEIGHT, WIDTH, Page, eased, mixed, placed, smooth
from studio.people import head, limb, torso

CANDLES_OUT_S = 4.4  # in `birthday_table`


def kitchen(page: Page, t: float) -> None:
    """Grandmother stands by the stove; the red kettle begins to steam and whistle."""
    page.gradient("#cfe6dc", "#bddcd0")
    for y in range(140, 250, 22):
        page.line([(0, y), (WIDTH, y)], "#a9cdbf", 1)
        for x in range((y // 22) % 2 * 22, WIDTH, 44):
            page.line([(x, y), (x, y + 22)], "#a9cdbf", 1)
    page.box(44, 34, 196, 176, "#ffffff", radius=5)
    page.box(52, 42, 188, 168, "#9fd4ee")
    page.glow(150, 74, 70, "#fff6c8")
    page.ellipse(98, 164, 46, 20, "#8cc07a")
    page.ellipse(156, 168, 32, 15, "#74ad68")
    page.box(52, 168, 188, 176, "#ffffff")
    page.box(117, 42, 123, 168, "#ffffff")
    page.box(36, 176, 204, 184, "#f0e4cf", radius=3)
    page.box(60, 156, 84, 178, "#c8704a", radius=4)
    for lean in (-0.6, -0.2, 0.25, 0.6):
        page.line([(72, 156), (72 + lean * 30, 126 + abs(lean) * 14)], "#4a8a4e", 5)
    page.box(420, 66, 610, 74, "#a8734a", radius=2)
    for x, color in ((438, "#e8b04a"), (476, "#d1495b"), (514, "#5b8e7d"), (556, "#3f7fb5")):
        page.box(x, 34, x + 28, 66, color, radius=5)
        page.box(x - 1, 28, x + 29, 36, "#6b4a34", radius=2)
    page.box(0, 250, WIDTH, 264, "#e9d7b7")
    page.box(0, 264, WIDTH, HEIGHT, "#8fb7a4")
    for x in (20, 150, 530):
        page.box(x, 276, x + 112, 352, "#9fc5b2", radius=5)
        page.circle(x + 98, 312, 4, "#e9d7b7")
    page.box(290, 246, 512, HEIGHT, "#f4f2ee", radius=5)
    page.box(310, 290, 492, 350, "#3c4048", radius=7)
    for x in (322, 352, 450, 480):
        page.circle(x, 274, 7, "#5a5f6a")
    for flame in range(7):
        x = 368 + flame * 11
        page.polygon([(x - 5, 246), (x, 230 - 4 * math.sin(t * 17 + flame * 2)), (x + 5, 246)], "#4d8fe8cc")
    page.box(352, 240, 452, 246, "#30343c", radius=2)
    shake = 0.9 * math.sin(t * 40) * eased(t, 1.0, 2.5)
    _kettle(page, 402 + shake, 206, tilt=0.0)
    for puff in range(22):
        age = (t * 0.9 + puff / 22) % 1
        strength = eased(t, 0.8, 2.4)
        y = 172 - age * 54 + 9 * math.sin(puff * 2 + t * 3) * age
        page.glow(466 + age * 84, y, 8 + 34 * age, "#ffffff", strength=strength * (1 - age))
    reach = eased(t, 3.6, 4.8)
    torso(page, 246, 156, 300, 80, "#7d5ba6")
    page.box(218, 198, 276, HEIGHT, "#f6efe2", radius=14)
    page.line([(230, 160), (230, 204)], "#f6efe2", 7)
    page.line([(264, 160), (264, 204)], "#f6efe2", 7)
    page.box(206, 286, 286, HEIGHT, "#6b4c92")
    page.box(218, 276, 276, HEIGHT, "#f6efe2")
    limb(
        page,
        [(278, 176), (302 + 12 * reach, 216 - 14 * reach), (316 + 56 * reach, 230 - 72 * reach)],
        "#6b4c92",
        17,
        end="#eec3a4",
    )
    limb(page, [(214, 176), (204, 222), (228, 250)], "#6b4c92", 17, end="#eec3a4")
    head(page, 248, 116, 30, skin="#eec3a4", hair="#dcdce4", bun=True, glasses=True, look=0.7)


def pouring_tea(page: Page, t: float) -> None:
    """Close up: hot water runs from the kettle into a flowered cup."""
    page.gradient("#f2d9b0", "#e7c089", bottom=230)
    page.glow(90, 40, 260, "#fff4d6", strength=0.8)
    page.box(0, 226, WIDTH, HEIGHT, "#b97b4e")
    for y in (252, 284, 322):
        page.line([(0, y), (WIDTH, y + 3)], "#a96c42", 1.5)
    page.ellipse(500, 302, 86, 22, "#f7f1e6")
    page.ellipse(500, 299, 70, 16, "#e8dfce")
    for x, y in ((468, 292), (500, 286), (532, 293), (486, 300), (516, 301)):
        page.ellipse(x, y, 22, 10, "#c8823c")
        page.ellipse(x - 4, y - 2, 3, 1.6, "#6e4020")
        page.ellipse(x + 7, y + 1, 3, 1.6, "#6e4020")
    tilt = 0.42 * eased(t, 0.0, 0.9) - 0.42 * eased(t, 6.2, 7.2)
    pouring = eased(t, 0.8, 1.1) * (1 - eased(t, 6.1, 6.4))
    _kettle(page, 168, 98 - 14 * eased(t, 6.2, 7.4), tilt=tilt, scale=1.5)
    page.ellipse(318, 314, 100, 20, "#f7f1e6")
    page.ellipse(318, 311, 80, 13, "#e4d6c0")
    page.ellipse(396, 256, 27, 30, "#fbf7ef")
    page.ellipse(396, 256, 15, 18, "#d9a978")
    page.polygon(smooth([(246, 208), (390, 208), (380, 272), (348, 308), (288, 308), (256, 272)]), "#fbf7ef")
    page.ellipse(318, 211, 72, 17, "#e9decb")
    level = eased(t, 1.0, 6.4)
    page.ellipse(318, 221 - 9 * level, 54 + 13 * level, 9 + 4.5 * level, mixed("#d9b27a", "#9a5426", level))
    for x, y in ((282, 258), (318, 276), (356, 256)):
        for petal in range(5):
            angle = petal * 2 * math.pi / 5
            page.circle(x + 7 * math.cos(angle), y + 7 * math.sin(angle), 5, "#d1495b")
        page.circle(x, y, 4, "#f2b33d")
        page.ellipse(x + 13, y + 8, 7, 3.4, "#5b8e4d")
    if pouring > 0.05:
        stream = [(279 + 6 * u + 22 * u**0.5, 112 + 104 * u * u) for u in np.linspace(0, 1, 14)]
        page.line(stream, "#d8f0f8e0", 7 * pouring)
        page.line(stream, "#ffffffb0", 2.4 * pouring)
        for ring in range(3):
            age = (t * 2 + ring / 3) % 1
            page.ellipse(308, 214, 6 + 26 * age, 2 + 5 * age, f"#ffffff{round(90 * (1 - age)):02x}")
    for puff in range(26):
        age = (t * 0.45 + puff / 26) % 1
        drift = 14 * math.sin(age * 5 + puff)
        page.glow(
            330 + drift + (puff % 5 - 2) * 14, 204 - age * 150, 12 + 30 * age, "#ffffff", strength=0.45 * (1 - age)
        )


def birthday_cake(page: Page, t: float) -> None:
    """Close up: a cake with five burning candles."""
    page.gradient("#3b2350", "#54306a")
    for number, color in enumerate(("#e8645a", "#f2b33d", "#5fb49c", "#4d8fe8", "#e88ab4", "#f2b33d")):
        page.circle(50 + number * 110, 70 + 30 * math.sin(number * 2.2), 44, mixed(color, "#3b2350", 0.62))
    page.glow(320, 120, 300, "#ffca7a", strength=0.55)
    page.box(0, 292, WIDTH, HEIGHT, "#f6e3d0")
    page.box(0, 292, WIDTH, 298, "#e2c9b0")
    _cake(page, 320, 300, t, scale=2.0, burning=1.0)


def birthday_table(page: Page, t: float) -> None:
    """Three children in paper hats sing; the girl blows out the candles and confetti falls."""
    page.gradient("#fbe3b8", "#f7cf9d")
    flags = ("#e8645a", "#f2b33d", "#5fb49c", "#4d8fe8", "#c77dba")
    for number in range(13):
        x = number * 52 - 4
        y = 22 + 20 * math.sin((x + 26) / WIDTH * math.pi * 2) ** 2
        page.polygon([(x, y), (x + 44, y), (x + 22, y + 40)], flags[number % 5])
    page.line(
        [(x, 21 + 20 * math.sin((x + 26) / WIDTH * math.pi * 2) ** 2) for x in range(-10, WIDTH + 10, 10)], "#8a5a44", 2
    )
    for x, y, color in ((60, 130, "#e8645a"), (104, 104, "#4d8fe8"), (560, 112, "#5fb49c"), (604, 142, "#f2b33d")):
        sway = 5 * math.sin(t * 1.2 + x)
        page.line([(x + sway, y + 36), (x + sway * 0.4, y + 90), (x, 280)], "#8a5a4499", 1.2)
        page.ellipse(x + sway, y, 28, 34, color)
        page.ellipse(x + sway - 9, y - 11, 6, 9, "#ffffff66")
    out = eased(t, CANDLES_OUT_S, CANDLES_OUT_S + 0.3)
    blow = eased(t, CANDLES_OUT_S - 0.9, CANDLES_OUT_S - 0.3) * (1 - eased(t, CANDLES_OUT_S + 0.5, CANDLES_OUT_S + 0.9))
    cheer = eased(t, CANDLES_OUT_S + 0.7, CANDLES_OUT_S + 1.1)
    children = (
        (190, "#5fb49c", "#e0a67e", "#4a2c1c", "#e88ab4"),
        (320, "#e8645a", "#f0c8a4", "#c9853c", "#4d8fe8"),
        (450, "#4d8fe8", "#a06a48", "#20161a", "#f2b33d"),
    )
    for number, (x, shirt, skin, hair, hat) in enumerate(children):
        bounce = -7 * cheer * abs(math.sin(t * 6 + number)) + 1.5 * math.sin(t * 2.2 + number)
        lean = 16 * blow if number == 1 else 0.0
        y = 168 + bounce + lean
        torso(page, x, y + 46, 330, 84, shirt)
        for side in (-1, 1):
            raised = 104 * cheer
            elbow = (x + side * (56 + 4 * cheer), y + 100 - raised * 0.6)
            hand = (x + side * (44 + 22 * cheer), y + 122 - raised * 1.45)
            limb(page, [(x + side * 36, y + 64), elbow, hand], shirt, 17, end=skin)
        mouth = (
            0.9 * cheer
            if cheer > 0.2
            else (0.5 * blow if number == 1 else 0.6 * abs(math.sin(t * 3 + number)) * (1 - blow))
        )
        head(page, x, y, 34, skin=skin, hair=hair, mouth=mouth, look=(1 - number) * 0.5)
        page.polygon([(x - 22, y - 30), (x + 22, y - 30), (x, y - 82)], hat)
        page.line([(x - 13, y - 50), (x + 17, y - 42)], "#ffffffaa", 4)
        page.circle(x, y - 82, 7, "#ffffff")
    page.box(40, 288, 600, HEIGHT, "#ffffff", radius=8)
    for x in range(40, 600, 40):
        page.ellipse(x + 20, 318, 20, 8, "#f2d7d9")
    page.box(40, 288, 600, 316, "#f2d7d9", radius=6)
    _cake(page, 320, 322, t, scale=0.88, burning=1 - out)
    for x in (120, 520):
        page.box(x - 14, 262, x + 14, 300, "#8fd0e8bb", radius=3)
        page.box(x - 12, 276, x + 12, 298, "#f2903d", radius=3)
    if cheer > 0:
        since = t - CANDLES_OUT_S - 0.7
        for number, (x, speed, spin) in enumerate(
            np.random.default_rng(6).uniform((0, 60, 2), (WIDTH, 150, 9), (90, 3))
        ):
            y = -30 - number * 2.2 + since * speed * 1.5
            bit = [(-4, -2), (4, -2), (4, 2), (-4, 2)]
            page.polygon(placed(bit, x + 10 * math.sin(t * 2 + number), y, turn=t * spin), flags[number % 5])


def _kettle(page: Page, x: float, y: float, *, tilt: float, scale: float = 1.0) -> None:
    def shape(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return placed(points, x, y, turn=tilt, scale=scale)

    page.line(shape([(-36, -18), (-30, -58), (0, -68), (30, -58), (36, -18)]), "#3a2a2c", 8 * scale)
    page.polygon(shape([(32, 4), (60, -34), (70, -30), (46, 24)]), "#b8333f")
    page.polygon(
        smooth(shape([(-46, 32), (-50, 4), (-32, -26), (0, -34), (32, -26), (50, 4), (46, 32), (0, 37)])), "#d8434e"
    )
    page.polygon(smooth(shape([(-36, 14), (-34, -6), (-22, -20), (-18, -10), (-26, 8)])), "#f08a8c")
    page.polygon(shape([(-22, -30), (22, -30), (16, -38), (-16, -38)]), "#b8333f")
    knob = shape([(0, -42)])[0]
    page.circle(*knob, 6 * scale, "#3a2a2c")


def _cake(page: Page, x: float, foot: float, t: float, *, scale: float, burning: float) -> None:
    def across(dx: float) -> float:
        return x + dx * scale

    def up(dy: float) -> float:
        return foot - dy * scale

    page.ellipse(x, up(-2), 104 * scale, 10 * scale, "#ffffff")
    page.ellipse(x, up(0), 98 * scale, 8 * scale, "#d9d4de")
    page.box(across(-80), up(52), across(80), up(0), "#8a5236", radius=8 * scale)
    page.box(across(-80), up(30), across(80), up(22), "#f6e3d0")
    page.box(across(-82), up(58), across(82), up(44), "#f7b6c8", radius=8 * scale)
    for number in range(9):
        length = 8 + 7 * math.sin(number * 2.3)
        page.box(
            across(-80 + number * 18), up(50), across(-66 + number * 18), up(40 - length), "#f7b6c8", radius=7 * scale
        )
    for number in range(7):
        page.circle(across(-66 + number * 22), up(60), 6 * scale, "#d8434e")
    for number, color in enumerate(("#4d8fe8", "#f2b33d", "#5fb49c", "#c77dba", "#e8645a")):
        cx = -52 + number * 26
        page.box(across(cx - 3.4), up(92), across(cx + 3.4), up(60), color, radius=2 * scale)
        page.line([(across(cx), up(92)), (across(cx), up(97))], "#3a2a2c", 1.2 * scale)
        flicker = 1.6 * math.sin(t * 15 + number * 2.1)
        if burning > 0.3:
            page.glow(across(cx), up(106), 30 * scale, "#ffd070", strength=0.75)
            page.blob(
                [
                    (across(cx - 4.6), up(101)),
                    (across(cx), up(96)),
                    (across(cx + 4.6), up(101)),
                    (across(cx + flicker), up(117)),
                ],
                "#ffb03a",
            )
            page.blob(
                [
                    (across(cx - 2.2), up(101)),
                    (across(cx), up(98)),
                    (across(cx + 2.2), up(101)),
                    (across(cx + flicker * 0.5), up(109)),
                ],
                "#fff3c0",
            )
        else:
            for puff in range(5):
                age = (t * 0.8 + puff / 5) % 1
                page.circle(across(cx + 4 * math.sin(age * 7 + number)), up(98 + 34 * age), (1.5 + 4 * age) * scale,
                            f"#8a8090{round(80 * (1 - age)):02x}")  # fmt: skip

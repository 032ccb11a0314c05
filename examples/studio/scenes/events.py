"""Crowds and countdowns: a rocket launch and a football goal."""

from __future__ import annotations

import math

import numpy as np

from studio.page import HEIGHT, WIDTH, Page, eased, hills, mixed, placed
from studio.people import head, limb

IGNITION_S = 7.4  # in `launch_pad`
RED = ("#d8434e", "#f4f4f4")  # shirt and shorts
GOAL_S = 5.2  # in `football_shot`


def launch_pad(page: Page, t: float) -> None:
    """A white rocket stands by its red tower; engines light and it lifts off in smoke."""
    page.gradient("#3f8fd0", "#9fd0ec", "#f4ead0", bottom=290)
    page.glow(90, 70, 130, "#fff8dc")
    page.circle(90, 70, 26, "#fff4c8")
    page.polygon(hills(290, 30, 71), "#8fb0a0")
    page.box(0, 284, WIDTH, HEIGHT, "#c9a878")
    page.box(0, 284, WIDTH, 290, "#7f9a7a")
    page.box(180, 286, 480, 304, "#8a8f98", radius=3)
    for y in range(72, 284, 30):
        page.line([(392, y), (432, y + 30)], "#a33a32", 3)
        page.line([(432, y), (392, y + 30)], "#a33a32", 3)
        page.line([(392, y), (432, y)], "#c8483c", 4)
    for x in (392, 432):
        page.line([(x, 66), (x, 286)], "#c8483c", 6)
    arm = eased(t, IGNITION_S - 2.2, IGNITION_S - 0.9)
    for y in (120, 190):
        page.line([(392, y), (352 + 36 * arm, y)], "#c8483c", 7)
    fire = eased(t, IGNITION_S, IGNITION_S + 0.5)
    rise = max(0.0, t - IGNITION_S - 0.9) ** 2 * 19
    shake = 1.4 * math.sin(t * 50) * fire
    if fire:
        _flame(page, 322 + shake, 284 - rise, t, size=1.15 * fire)
    _rocket(page, 322 + shake, 284 - rise, 1.0)
    for number, (x, y, grow, late) in enumerate(
        np.random.default_rng(24).uniform((-1, 0, 0.6, 0), (1, 1, 1.4, 3), (60, 4))
    ):
        age = t - IGNITION_S - 0.2 - late * 0.7
        if age > 0:
            spread = 1 - math.exp(-age * 0.9)
            tint = mixed("#fff0d0", "#c8ccd4", (number % 5) / 5 + age * 0.1)
            page.circle(322 + x * 330 * spread, 300 - y * 66 * spread, (10 + 46 * spread) * grow, tint + "e0")


def ascent(page: Page, t: float) -> None:
    """The rocket climbs through the clouds into a darker sky."""
    height = t / 6
    page.gradient(
        mixed("#2f78c0", "#0a1434", height), mixed("#7fbbe4", "#27508c", height), mixed("#d4ecf4", "#5f9ccc", height)
    )
    for x, y in np.random.default_rng(25).uniform((0, 0), (WIDTH, HEIGHT), (60, 2)):
        page.circle(float(x), float((y + t * 12) % HEIGHT), 0.9, f"#ffffff{round(200 * height):02x}")
    for number in range(8):
        x, y = (number * 173) % WIDTH, (number * 97 + t * 190) % 620 - 130
        for dx, dy, radius in ((-44, 8, 24), (-12, -8, 34), (26, -2, 28), (56, 8, 18)):
            page.circle(x + dx, y + dy, radius, mixed("#ffffff", "#3f6fa8", height * 0.8))
    for puff in range(26):
        age = puff / 26
        x = 320 - 6 * math.sin(age * 9 - t * 5) * age
        page.circle(x, 254 + age * 150, 10 + 30 * age, f"#f4f0ea{round(190 * (1 - age)):02x}")
    shake = 1.6 * math.sin(t * 46)
    _flame(page, 320 + shake, 236 + 3 * math.sin(t * 2), t, size=1.5)
    _rocket(page, 320 + shake, 236 + 3 * math.sin(t * 2), 1.15)


def football_shot(page: Page, t: float) -> None:
    """A striker in red dribbles past a defender and shoots; the ball flies past the keeper into the net."""
    _stadium(page, t, joy=eased(t, GOAL_S, GOAL_S + 0.5))
    _goal(page, t)
    run = eased(t, 0.0, 3.6)
    x = 40 + 210 * run
    dive = eased(t, GOAL_S - 0.7, GOAL_S + 0.2)
    _player(
        page,
        556 - 12 * dive,
        296 - 26 * dive,
        "#f2b33d",
        "#2b2b36",
        stride=0.0,
        lean=-1.0 * dive,
        arms=dive,
        number="1",
    )
    stumble = eased(t, 2.6, 3.4)
    _player(
        page,
        330 - 40 * stumble,
        320,
        "#3f6fc0",
        "#f4f4f4",
        stride=t * 6 * (1 - stumble),
        lean=-0.5 * stumble,
        facing=-1,
        number="4",
    )
    kick = eased(t, 3.9, 4.2) - eased(t, 4.5, 4.9)
    stride, joy = t * 9 * (1 - eased(t, 3.4, 3.7)), eased(t, GOAL_S + 0.2, GOAL_S + 0.7)
    _player(page, x, 316, *RED, stride=stride, lean=0.12, kick=kick, number="10", arms=joy, hair="#3a2018")
    flight = eased(t, 4.15, GOAL_S)
    ball_x = x + 30 + 5 * math.sin(t * 9) + (598 - x - 30) * flight
    ball_y = (
        340
        - 178 * flight
        + 66 * flight * flight
        - 34 * math.sin(flight * math.pi)
        + 40 * eased(t, GOAL_S, GOAL_S + 0.8)
    )
    page.ellipse(ball_x, 346, 10, 2.5, "#2c5c2c88")
    _ball(page, ball_x, ball_y, t * 10)


def football_joy(page: Page, t: float) -> None:
    """The team in red jumps for joy under the scoreboard."""
    _stadium(page, t, joy=1.0)
    page.box(214, 16, 426, 88, "#1a1f2c", radius=6)
    page.text(320, 42, "HOME  2 : 1  AWAY", 19, "#ffd35a", anchor="mm")
    page.text(320, 68, "90 + 1", 17, "#ff7a6a", anchor="mm")
    for number, x in enumerate((150, 250, 350, 450)):
        hop = 30 * abs(math.sin(t * 4.5 + number * 0.8))
        page.ellipse(x + 10, 350, 34, 6, "#2c5c2c88")
        shirt = ("7", "10", "9", "3")[number]
        hair = ("#20161a", "#3a2018", "#c9853c", "#5a3422")[number]
        sway = 0.05 * math.sin(t * 5 + number)
        _player(page, x, 330 - hop, *RED, stride=number + 0.6, lean=sway, arms=1.0, number=shirt, hair=hair, scale=1.45)
    for number, (x, start, speed) in enumerate(
        np.random.default_rng(26).uniform((0, 0, 70), (WIDTH, 400, 150), (70, 3))
    ):
        y = (start + t * speed) % 400 - 20
        bit = [(-4, -2), (4, -2), (4, 2), (-4, 2)]
        page.polygon(
            placed(bit, x + 9 * math.sin(t * 3 + number), y, turn=t * 5 + number),
            ("#d8434e", "#ffffff", "#ffd35a")[number % 3],
        )


def _rocket(page: Page, x: float, foot: float, size: float) -> None:
    def shape(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return placed(points, x, foot, scale=size)

    for side in (-1, 1):
        page.polygon(shape([(side * 20, -52), (side * 40, -6), (side * 40, 4), (side * 18, -8)]), "#c8483c")
    page.polygon(shape([(-12, 0), (12, 0), (17, 10), (-17, 10)]), "#3a3f4a")
    page.box(x - 22 * size, foot - 160 * size, x + 22 * size, foot, "#f6f4ee", radius=4 * size)
    page.blob(shape([(-22, -156), (-17, -188), (0, -216), (17, -188), (22, -156), (0, -150)]), "#c8483c")
    page.box(x + 6 * size, foot - 156 * size, x + 22 * size, foot, "#1a203018")
    page.box(x - 22 * size, foot - 46 * size, x + 22 * size, foot - 36 * size, "#2b3a5c")
    page.circle(x, foot - 126 * size, 11 * size, "#2b3a5c")
    page.circle(x, foot - 126 * size, 7.5 * size, "#9fdcf4")
    for row, letter in enumerate("SAVE"):
        page.text(x, foot - (100 - row * 15) * size, letter, 13 * size, "#2b3a5c", anchor="mm")


def _flame(page: Page, x: float, top: float, t: float, *, size: float) -> None:
    page.glow(x, top + 30 * size, 120 * size, "#ffd080", strength=0.8)
    for color, wide, tall in (("#ff8a3a", 22, 92), ("#ffc04a", 15, 66), ("#fff6d0", 8, 40)):
        length = tall * size * (0.88 + 0.12 * math.sin(t * 37 + wide))
        tip = (x + 3 * math.sin(t * 29), top + length)
        sides = [(x + wide * size, top + length * 0.4), tip, (x - wide * size, top + length * 0.4)]
        page.blob([(x - wide * 0.6 * size, top + 6), (x + wide * 0.6 * size, top + 6), *sides], color)


def _stadium(page: Page, t: float, *, joy: float) -> None:
    page.gradient("#27406c", "#6c8fbc", bottom=90)
    page.box(0, 80, WIDTH, 232, "#39445c")
    rng = np.random.default_rng(27)
    for row in range(5):
        shirts = rng.integers(0, 5, 28)
        for seat in range(28):
            jumps = (seat + row) % 3 == 0  # every third one: a whole stand that moves costs most of the file
            hop = 8 * joy * abs(math.sin(t * 4 + seat * 1.9)) if jumps else 0.0
            x, y = seat * 24 + row % 2 * 12, 104 + row * 25 - hop
            color = ("#d8434e", "#f4f4f4", "#e8b04a", "#b23a4c", "#7a8aa8")[shirts[seat]]
            page.box(x - 9, y + 6, x + 9, y + 26, color, radius=5)
            page.circle(x, y, 7, ("#e6b596", "#b07a54", "#8a5a3c")[(seat + row) % 3])
    page.box(0, 222, WIDTH, 244, "#20283a")
    page.box(0, 244, WIDTH, HEIGHT, "#4f9a48")
    for x in range(-60, WIDTH, 160):
        page.polygon([(x + 30, 244), (x + 110, 244), (x + 80, HEIGHT), (x - 20, HEIGHT)], "#5aa852")
    page.line([(0, 256), (WIDTH, 256)], "#ffffffaa", 2.5)


def _goal(page: Page, t: float) -> None:
    bulge = 16 * eased(t, GOAL_S - 0.1, GOAL_S + 0.2) * (1 - 0.6 * eased(t, GOAL_S + 0.3, GOAL_S + 1.2))
    for step in range(9):
        y = 150 + step * 21
        page.line([(574, y), (606 + bulge * math.sin(step / 8 * math.pi), y + 6), (652, y + 8)], "#ffffff77", 1.2)
        x = 574 + step * 9
        page.line([(x, 150), (x + bulge * 0.6, 240), (x, 322)], "#ffffff77", 1.2)
    page.line([(572, 324), (572, 146), (660, 146)], "#ffffff", 6)


def _player(
    page: Page,
    x: float,
    foot: float,
    shirt: str,
    shorts: str,
    *,
    stride: float,
    lean: float = 0.0,
    kick: float = 0.0,
    arms: float = 0.0,
    facing: int = 1,
    number: str = "",
    hair: str = "#20161a",
    scale: float = 1.0,
) -> None:
    skin = "#c98f6a"
    hip_y, shoulder_y = foot - 46 * scale, foot - 88 * scale
    top = x + lean * 44 * scale
    for side in (-1, 1):
        swing = side * 15 * math.sin(stride) * scale
        shin = (38 * kick * scale if side == 1 else 0.0) * facing
        knee = (x + side * 6 * scale + swing * 0.6 + shin * 0.5, hip_y + (22 - 6 * kick * (side == 1)) * scale)
        ankle = (
            x + side * 6 * scale + swing + shin,
            foot - (16 * kick * (side == 1) + 4 * max(0.0, math.cos(stride) * side)) * scale,
        )
        limb(page, [(x + side * 6 * scale, hip_y), knee, ankle], skin, 9 * scale, end="#1a1a24")
        page.line([(x + side * 6 * scale, hip_y - 2), knee], shorts, 14 * scale)
    page.polygon(
        [
            (top - 17 * scale, shoulder_y),
            (top + 17 * scale, shoulder_y),
            (x + 14 * scale, hip_y + 3),
            (x - 14 * scale, hip_y + 3),
        ],
        shirt,
    )
    page.text((top + x) / 2, (shoulder_y + hip_y) / 2, number, 18 * scale, "#ffffff", anchor="mm")
    for side in (-1, 1):
        hand_y = shoulder_y + (32 - 70 * arms) * scale
        elbow = (top + side * 25 * scale, shoulder_y + (14 - 18 * arms) * scale)
        limb(
            page,
            [(top + side * 15 * scale, shoulder_y + 4 * scale), elbow, (top + side * (23 + 4 * arms) * scale, hand_y)],
            skin,
            7 * scale,
        )
        page.line([(top + side * 14 * scale, shoulder_y + 4 * scale), elbow], shirt, 10 * scale)
    head(
        page,
        top + lean * 12 * scale,
        shoulder_y - 19 * scale,
        12.5 * scale,
        skin=skin,
        hair=hair,
        look=0.8 * facing,
        mouth=arms,
        bun=hair == "#3a2018",
    )


def _ball(page: Page, x: float, y: float, turn: float) -> None:
    page.circle(x, y, 9, "#ffffff")
    page.circle(x, y, 3.2, "#1a1f2c")
    for patch in range(5):
        angle = turn + patch * 2 * math.pi / 5
        page.circle(x + 6.6 * math.cos(angle), y + 6.6 * math.sin(angle), 1.9, "#1a1f2c")

"""Indoors and serious: a neurology lecture with its slides, and the end of a chess game."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from studio.page import HEIGHT, WIDTH, Page, Point, eased, placed
from studio.people import head, limb, torso

_Piece = Literal["pawn", "rook", "knight", "queen", "king"]

# The upper part of each piece, as an outline around the middle of its foot; the lower part is the same for all.
_CROWNS: dict[_Piece, list[Point]] = {
    "pawn": [(-9, -34), (9, -34), (6, -28), (-6, -28)],
    "rook": [(-15, -58), (-8, -58), (-8, -52), (-4, -52), (-4, -58), (4, -58), (4, -52), (8, -52), (8, -58), (15, -58),
             (13, -42), (-13, -42)],
    "knight": [(-14, -28), (-12, -52), (-2, -66), (2, -74), (7, -66), (16, -56), (22, -44), (16, -38), (5, -44),
               (10, -26)],
    "queen": [(-20, -74), (-10, -58), (-7, -80), (0, -60), (7, -80), (10, -58), (20, -74), (13, -44), (-13, -44)],
    "king": [(-3, -92), (3, -92), (3, -86), (9, -86), (9, -80), (3, -80), (3, -72), (16, -68), (13, -44), (-13, -44),
             (-16, -68), (-3, -72), (-3, -80), (-9, -80), (-9, -86), (-3, -86)],
}  # fmt: skip
_NECKS: dict[_Piece, float] = {"pawn": 30, "rook": 44, "knight": 28, "queen": 46, "king": 46}

INK, PAPER, ACCENT, SOFT = "#22304a", "#fbf8f1", "#c8553d", "#8fa3b8"


def slide_title(page: Page, t: float) -> None:
    """Movement disorders, lecture 3."""
    page.gradient("#22304a", "#2f4568")
    page.box(56, 128, 62, 238, "#f2b33d")
    page.text(82, 122, "Movement disorders", 38, PAPER)
    page.text(82, 176, "Lecture 3 · The brain and the muscles", 19, "#c9d6e6")
    page.text(82, 212, "Department of Neurology", 15, "#8fa3b8")
    _brain(page, 530, 200, 1.1, t)


def slide_muscle(page: Page, t: float) -> None:
    """How a muscle lets go: brain, spinal cord, two muscles."""
    _slide(page, "How a muscle lets go")
    _brain(page, 130, 170, 0.9, t)
    page.line([(150, 214), (168, 262), (300, 262)], "#e3b25a", 9)
    for x, name, color, sign in ((470, "pull", "#5b8e7d", "+"), (470, "let go", ACCENT, "-")):
        y = 150 if sign == "+" else 268
        page.line([(300, 262), (360, y), (404, y)], color, 4)
        page.ellipse(x, y, 64, 25, color)
        page.ellipse(x, y, 64 - 8 * math.sin(t * 2), 15, "#ffffff33")
        page.text(x, y, name, 18, PAPER, anchor="mm")
        page.circle(386, y, 11, PAPER)
        page.text(386, y - 1, sign, 20, color, anchor="mm")
    page.text(250, 284, "spinal cord", 14, INK, anchor="mm")
    page.text(470, 312, "messenger: GABA", 16, ACCENT, anchor="mm")
    spark = t * 0.7 % 1
    page.circle(168 + 132 * spark, 262, 6, ACCENT)


def slide_parkinson(page: Page, t: float) -> None:
    """Parkinson's disease: dopamine falls."""
    _slide(page, "Parkinson's disease")
    _points(page, ["cells that make dopamine die", "slow movement, short steps", "a tremor at rest"])
    page.line([(392, 130), (392, 290), (590, 290)], INK, 3)
    for number, height in enumerate((140, 112, 80, 52, 30)):
        left, grown = 408 + number * 36, eased(t, number * 0.3, number * 0.3 + 1)
        page.box(left, 284 - (height - 6) * grown, left + 26, 288, "#4d7fb5", radius=2)
    page.text(492, 312, "dopamine over the years", 14, INK, anchor="mm")


def slide_stiff_person(page: Page, t: float) -> None:
    """Stiff person syndrome: a rigid body, spasms, antibodies."""
    _slide(page, "Stiff person syndrome (SPS)")
    _points(
        page,
        [
            "rare: one or two in a million",
            "rigid back and legs",
            "spasms after noise or stress",
            "antibodies against GAD",
        ],
    )
    jolt = 2.5 * math.sin(t * 30) if t % 4 > 3.5 else 0.0
    x = 500 + jolt
    page.circle(x, 132, 20, INK)
    page.box(x - 20, 156, x + 20, 236, INK, radius=9)
    for side in (-1, 1):
        page.line([(x + side * 25, 166), (x + side * 30, 232)], INK, 11)
        page.line([(x + side * 11, 236), (x + side * 12, 312)], INK, 14)
    for y in range(164, 234, 11):
        page.box(x - 5, y, x + 5, y + 7, "#f2b33d", radius=2)
    for side in (-1, 1):
        for ray in (-0.5, 0.0, 0.5):
            start, end = x + side * 48, x + side * 66
            page.line([(start, 196 + ray * 44), (end, 196 + ray * 66)], ACCENT, 3)


def slide_treatment(page: Page, t: float) -> None:
    """Treatment: what calms muscles and the immune system."""
    _slide(page, "What helps")
    _points(page, ["diazepam relaxes the muscles", "physical therapy", "donor antibodies in severe cases"])
    page.box(452, 140, 548, 290, "#c3d3e0", radius=14)
    page.box(462, 116, 538, 146, ACCENT, radius=6)
    page.box(452, 180, 548, 250, "#ffffff")
    page.box(490, 192, 510, 238, ACCENT)
    page.box(477, 205, 523, 225, ACCENT)
    for number in range(3):
        page.ellipse(578 - number * 8, 300 - number * 13, 15, 8, "#f2b33d")


def lecture_room(slide: Callable[[Page, float], None], page: Page, t: float) -> None:
    """A man with glasses and a beard explains the slide behind him to a full room."""
    page.gradient("#d9cbb5", "#cdbca2", bottom=270)
    page.box(0, 262, WIDTH, HEIGHT, "#8c6a4c")
    page.box(168, 18, 612, 270, "#3a3a44", radius=4)
    projected = Page()
    slide(projected, t)
    page.inset(projected, 174, 24, 432)
    page.box(20, 30, 130, 120, "#4f6b5c", radius=3)
    page.box(14, 118, 136, 126, "#6b4a34")
    for row, words in enumerate(("exam", "Friday 9:00", "room 12")):
        page.text(75, 52 + row * 24, words, 15, "#e8efe6", anchor="mm")
    speaking = 1.0 if page.voice else 0.0
    pointing = eased(t % 9, 1.0, 2.0) - eased(t % 9, 6.0, 7.0)
    sway = 3 * math.sin(t * 0.9)
    x = 104 + sway
    torso(page, x, 206, 330, 76, "#35507a")
    page.polygon([(x - 10, 206), (x + 10, 206), (x, 250)], "#fbf8f1")
    page.polygon([(x - 4, 212), (x + 4, 212), (x + 5, 242), (x, 250), (x - 5, 242)], ACCENT)
    gesture = 7 * math.sin(t * 3) * speaking
    limb(page, [(x - 32, 220), (x - 44, 256), (x - 22, 276)], "#2b4266", 17, end="#d9a384")
    limb(
        page,
        [(x + 32, 220), (x + 56, 252 - 34 * pointing), (x + 52 + 42 * pointing, 276 - 84 * pointing + gesture)],
        "#2b4266",
        17,
        end="#d9a384",
    )
    head(
        page,
        x,
        166 + 0.8 * math.sin(t * 2.2),
        29,
        skin="#d9a384",
        hair="#5a4a42",
        beard=True,
        glasses=True,
        look=0.3 - 0.6 * math.sin(t * 0.5),
    )
    page.polygon([(40, 268), (150, 268), (142, 345), (48, 345)], "#6b4a34")
    page.box(32, 260, 158, 272, "#7d583e", radius=3)
    page.line([(128, 260), (134, 236)], "#2a2a32", 2)
    page.circle(134, 234, 4, "#2a2a32")
    for number in range(7):
        hx = 196 + number * 66
        nod = 1.2 * math.sin(t * 1.1 + number * 1.7)
        page.box(hx - 26, 340 + nod, hx + 26, HEIGHT, ("#4a3a52", "#3a4a52", "#523a3a")[number % 3], radius=12)
        page.circle(hx, 326 + nod, 18, ("#2e2228", "#4a3222", "#1e1a22", "#6a4a2c")[number % 4])


def lecturer(page: Page, t: float) -> None:
    """Close on the lecturer, who speaks and moves his hands."""
    page.gradient("#c9b99e", "#b8a588")
    page.box(400, 0, WIDTH, 250, "#3a3a44")
    page.box(410, 0, WIDTH, 242, PAPER)
    for row in range(4):
        page.box(436, 60 + row * 44, 436 + (150, 180, 120, 160)[row], 74 + row * 44, "#c9d3de", radius=5)
    x, y = 270 + 4 * math.sin(t * 0.8), 150 + 1.5 * math.sin(t * 1.9)
    torso(page, x, y + 100, 420, 230, "#35507a")
    page.polygon([(x - 32, y + 98), (x + 32, y + 98), (x, y + 196)], PAPER)
    page.polygon([(x - 11, y + 112), (x + 11, y + 112), (x + 14, y + 190), (x, y + 212), (x - 14, y + 190)], ACCENT)
    head(page, x, y, 76, skin="#d9a384", hair="#5a4a42", beard=True, glasses=True, look=0.35 * math.sin(t * 0.6))
    lift = 20 * math.sin(t * 2.1) * (1 if page.voice else 0.3)
    limb(page, [(x + 108, y + 150), (x + 150, y + 222), (x + 92, y + 180 + lift)], "#2b4266", 44, end="#d9a384")
    limb(page, [(x - 108, y + 150), (x - 150, y + 222), (x - 92, y + 196 - lift)], "#2b4266", 44, end="#d9a384")


def chess_table(page: Page, t: float) -> None:
    """Two players bend over a board; she reaches for her queen."""
    page.gradient("#2f3b3a", "#42524c", bottom=250)
    page.box(0, 236, WIDTH, HEIGHT, "#33261f")
    for x in (70, 250, 430):
        page.box(x, 30, x + 130, 130, "#25302e", radius=3)
        page.box(x + 8, 38, x + 122, 122, "#5d7a70")
    page.line([(320, 0), (320, 42)], "#1a1a1a", 2)
    page.polygon([(270, 66), (296, 40), (344, 40), (370, 66)], "#d9a441")
    page.glow(320, 76, 230, "#ffe2a0", strength=0.45)
    reach = eased(t, 4.6, 6.0)
    torso(page, 120, 182, 330, 104, "#c8553d")
    head(page, 132, 132, 38, skin="#eec3a4", hair="#a8632c", look=0.9, bun=True, mouth=0.0)
    torso(page, 520, 182, 330, 108, "#3f5f8a")
    head(page, 508, 132 + 2 * math.sin(t), 38, skin="#a9714e", hair="#20181a", look=-0.9, mouth=0.0)
    page.box(60, 282, 580, 300, "#7a5236", radius=4)
    page.box(60, 294, 580, HEIGHT, "#5c3c28")
    page.polygon([(196, 284), (228, 258), (412, 258), (444, 284)], "#f0dcb4")
    for row in range(4):
        for column in range(8):
            if (row + column) % 2:
                near, far = 284 - row * 6.5, 284 - (row + 1) * 6.5
                edges = [
                    _board_x(column, near),
                    _board_x(column + 1, near),
                    _board_x(column + 1, far),
                    _board_x(column, far),
                ]
                page.polygon([(edges[0], near), (edges[1], near), (edges[2], far), (edges[3], far)], "#8a5a3a")
    pieces: tuple[tuple[float, float, _Piece, bool], ...] = (
        (252, 276, "king", True),
        (290, 270, "pawn", True),
        (388, 274, "king", False),
        (358, 266, "knight", False),
        (410, 280, "pawn", False),
        (322, 280, "rook", True),
    )
    for piece_x, foot, kind, white in pieces:
        _piece(page, piece_x, foot, 0.42, kind, white=white)
    queen_x = 228 + 96 * reach
    _piece(page, queen_x, 272 - 30 * math.sin(reach * math.pi), 0.45, "queen", white=True)
    limb(
        page,
        [(160, 206), (180 + 20 * reach, 254), (queen_x - 4 if reach else 190, 240 - 30 * math.sin(reach * math.pi))],
        "#a94432",
        20,
        end="#eec3a4",
    )
    limb(page, [(482, 206), (452, 262), (470, 282)], "#334e74", 20, end="#a9714e")
    page.box(470, 252, 540, 284, "#3a2a22", radius=4)
    for x, pace in ((488, t), (522, 0.6)):
        page.circle(x, 268, 12, PAPER)
        page.line([(x, 268), (x + 9 * math.sin(pace), 268 - 9 * math.cos(pace))], INK, 1.6)


def chess_board(page: Page, t: float) -> None:
    """From near: the white queen takes the black knight beside the king."""
    page.gradient("#3b2a22", "#5c3f2e")
    for row in range(4):
        for column in range(7):
            color = "#f0dcb4" if (row + column) % 2 == 0 else "#9a6a44"
            top, bottom = 150 + (row**1.35) * 34, 150 + ((row + 1) ** 1.35) * 34
            left = [(column - 3.5) * (74 + edge) + 320 for edge in (row * 14, (row + 1) * 14)]
            right = [(column - 2.5) * (74 + edge) + 320 for edge in (row * 14, (row + 1) * 14)]
            page.polygon([(left[0], top), (right[0], top), (right[1], bottom), (left[1], bottom)], color)
    move = eased(t, 1.2, 2.6)
    taken = eased(t, 2.2, 2.9)
    fallen = eased(t, 4.6, 5.6)
    _piece(page, 540, 206, 1.35, "rook", white=False)
    _piece(page, 455, 200, 1.5, "king", white=False, turn=1.35 * fallen)
    if taken < 0.98:
        _piece(page, 360 + 40 * taken, 208 - 12 * taken, 1.35, "knight", white=False, turn=1.2 * taken)
    _piece(page, 236, 196, 1.3, "pawn", white=False)
    _piece(
        page, 190 + 172 * move, 300 - 84 * move - 46 * math.sin(move * math.pi), 1.75 - 0.2 * move, "queen", white=True
    )
    _piece(page, 520, 318, 1.7, "pawn", white=True)
    _piece(page, 96, 338, 1.8, "king", white=True)


def _board_x(column: float, y: float) -> float:
    half = 124 - (284 - y) * 32 / 26
    return 320 + (column - 4) * half / 4


def _piece(page: Page, x: float, foot: float, size: float, kind: _Piece, *, white: bool, turn: float = 0.0) -> None:
    body, shade = ("#f8f0de", "#d9c8a4") if white else ("#2b2630", "#141018")
    neck = _NECKS[kind]

    def shape(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return placed(points, x, foot, turn=turn, scale=size)

    page.ellipse(x, foot + 2 * size, 24 * size, 6 * size, "#00000044")
    page.polygon(shape([(-9, -neck), (9, -neck), (14, -10), (20, -7), (20, 2), (-20, 2), (-20, -7), (-14, -10)]), body)
    page.polygon(shape([(2, -neck), (9, -neck), (14, -10), (20, -7), (20, 2), (2, 2)]), shade)
    page.polygon(shape(_CROWNS[kind]), body)
    page.polygon(shape([(-11, -neck - 1), (11, -neck - 1), (11, -neck + 4), (-11, -neck + 4)]), shade)
    if kind == "pawn":
        page.circle(*shape([(0, -42)])[0], 11 * size, body)
    if kind == "knight":
        page.circle(*shape([(8, -54)])[0], 2 * size, "#f8f0de")


def _slide(page: Page, title: str) -> None:
    page.gradient(PAPER, PAPER)
    page.box(0, 0, WIDTH, 78, INK)
    page.box(0, 78, WIDTH, 83, "#f2b33d")
    page.text(34, 40, title, 31, PAPER, anchor="lm")


def _points(page: Page, points: list[str]) -> None:
    for row, point in enumerate(points):
        page.circle(46, 132 + row * 48, 6, ACCENT)
        page.text(64, 132 + row * 48, point, 20, INK, anchor="lm")


def _brain(page: Page, x: float, y: float, size: float, t: float) -> None:
    pulse = size * (1 + 0.015 * math.sin(t * 3))
    page.polygon(placed([(6, 30), (26, 30), (30, 66), (16, 66)], x, y, scale=size), "#d98c94")
    for dx, dy, radius in ((-34, 0, 30), (-12, -22, 32), (20, -20, 33), (40, 4, 27), (8, 10, 34), (-22, 16, 22)):
        page.circle(x + dx * pulse, y + dy * pulse, radius * pulse, "#f0a8ae")
    for points in (
        [(-50, 2), (-36, -12), (-22, 0), (-10, -16)],
        [(-4, -44), (4, -26), (20, -30), (28, -14)],
        [(-20, 24), (0, 14), (16, 22), (34, 10), (52, 14)],
    ):
        page.line(placed(points, x, y, scale=pulse), "#d07a84", 3 * size)


room_title = partial(lecture_room, slide_title)
room_muscle = partial(lecture_room, slide_muscle)
room_parkinson = partial(lecture_room, slide_parkinson)
room_stiff_person = partial(lecture_room, slide_stiff_person)
room_treatment = partial(lecture_room, slide_treatment)

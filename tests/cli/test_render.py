"""How an answer is laid out for a person, without a process around it."""

from __future__ import annotations

import pytest

from savecli.cli.options import Date, Seconds
from savecli.cli.render import answer_lines, clock, length, one_line, snippet_lines
from savecli.core.sizes import size
from savecli.search.results import Answer, Moment, Ranks, Snippet, VideoHit

BOLD, RESET = "\x1b[1m", "\x1b[0m"


def moment(text: str = "", matches: tuple[tuple[int, int], ...] = (), **ranks: int) -> Moment:
    return Moment(3661.0, 3672.5, 1.0, "high", Ranks(**ranks), Snippet(text, matches) if text else None)


def test_lines_are_aligned_and_evidence_starts_with_the_strongest() -> None:
    hits = tuple(
        VideoHit(rank, f"/v/{name}", "/v", name, 1.0, (moment(seen=4, said=1),))
        for rank, name in enumerate(["a.mp4", "a much longer name.mp4"], start=1)
    )
    first, second = answer_lines(Answer("q", "words", hits), colour=False)
    assert first.index("1:01:01–1:01:12") == second.index("1:01:01–1:01:12")
    assert first.endswith("high     said 1 · seen 4")


def test_a_snippet_is_broken_between_words_and_keeps_its_marks() -> None:
    text = "one two three four five six seven"
    at = text.index("four five")
    lines = list(snippet_lines(moment(text, ((at, at + 9),)), width=20, colour=True))
    assert lines == [f"one two three {BOLD}four{RESET}", f"{BOLD}five{RESET} six seven"]
    assert list(snippet_lines(moment("x" * 50), width=20, colour=False)) == ["x" * 20, "x" * 20, "x" * 10]
    assert list(snippet_lines(moment("a\nb\x1b"), width=None, colour=False)) == ["a b "]


def test_numbers_read_as_people_say_them() -> None:
    assert [clock(s) for s in (0, 59.9, 61, 3600)] == ["0:00", "0:59", "1:01", "1:00:00"]
    assert [length(s) for s in (3, 61, 6120)] == ["3 s", "1 min", "1 h 42 min"]
    assert [size(n) for n in (12, 3_400_000, 1_200_000_000)] == ["12 B", "3.4 MB", "1.2 GB"]
    assert one_line("a\nb\x1b[1m") == r"a\nb\x1b[1m"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("5m", 300), ("1h30m", 5400), ("1:30", 90), ("1:02:03", 3723)]
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


def test_dates_are_read_from_year_to_day() -> None:
    year, month, day = (Date().convert(text, None, None) for text in ("2024", "2024-05", "2024-05-31"))
    assert year < month < day

"""What a query says when it adds and subtracts terms, and when it does not."""

from __future__ import annotations

import pytest

from savecli.core.errors import UsageError
from savecli.search.terms import Term, parse_terms, wanted_text


@pytest.mark.parametrize(
    "arguments",
    [
        ["a dog on a beach"],
        ["a", "dog"],
        ["rock-and-roll", "c++", "+1", "-ish"],
        ["c + +"],
        ["dog + cat"],
        ["10:30", "news"],
        ["16:9"],
        ["2: the towers"],
        ["chapter", "2:verses"],
        [""],
        [],
    ],
)
def test_plain_text_stays_plain(arguments: list[str]) -> None:
    assert parse_terms(arguments) == ()


@pytest.mark.parametrize(
    ("arguments", "terms"),
    [
        (["dog", "+", "2:running", "-", "beach"], (Term("dog"), Term("running", 2.0), Term("beach", -1.0))),
        (["red", "car", "+", "0.5:a", "wet", "road"], (Term("red car"), Term("a wet road", 0.5))),
        (["-", "2.5:beach", "+", "dog"], (Term("beach", -2.5), Term("dog"))),
        (["+", "dog"], (Term("dog"),)),
        (["2:running"], (Term("running", 2.0),)),
        (["10:30 news", "-", ".5:rain"], (Term("10:30 news"), Term("rain", -0.5))),
        (["", "dog", "+", " ", "cat"], (Term("dog"), Term("cat"))),
    ],
)
def test_terms_have_signs_and_weights(arguments: list[str], terms: tuple[Term, ...]) -> None:
    assert parse_terms(arguments) == terms


@pytest.mark.parametrize("arguments", [["c", "+", "+"], ["dog", "-"], ["-"], ["dog", "+", "-", "cat"], ["a", "+", ""]])
def test_a_sign_without_a_term_says_how_to_look_for_signs(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="nothing after a lone") as caught:
        parse_terms(arguments)
    assert "save query '" in caught.value.fix


def test_a_weight_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="has the weight 0"):
        parse_terms(["0.0:dog", "+", "cat"])


def test_only_what_is_added_is_looked_for() -> None:
    assert wanted_text(parse_terms(["dog", "-", "beach", "+", "wet road"])) == "dog wet road"

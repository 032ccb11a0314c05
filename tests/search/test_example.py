"""Terms and examples as one vector."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from savecli.core.errors import UsageError
from savecli.search.example import Example, QueryVector, query_vectors, unit
from savecli.search.terms import Term

Vectors = npt.NDArray[np.float32]


@pytest.fixture
def texts(rng: np.random.Generator) -> dict[str, Vectors]:
    return {name: unit(rng.normal(size=16).astype(np.float32)) for name in ("dog", "running", "beach")}


@pytest.fixture
def picture(rng: np.random.Generator) -> Example:
    return Example("image", "a.jpg", unit(rng.normal(size=16).astype(np.float32)), "f1")


def encoder(texts: dict[str, Vectors]) -> Callable[[Sequence[str]], Vectors]:
    def encode(asked: Sequence[str]) -> Vectors:
        return np.stack([texts[text] for text in asked])

    return encode


def test_the_vector_is_the_normalised_weighted_sum(texts: dict[str, Vectors], picture: Example) -> None:
    terms = [Term("dog"), Term("running", 2.0), Term("beach", -1.0)]
    both = query_vectors(terms, [], encoder(texts))
    assert both.seen is not None
    assert both.said is not None
    total = texts["dog"] + 2 * texts["running"] - texts["beach"]
    np.testing.assert_allclose(both.seen.unit, total / np.linalg.norm(total), rtol=1e-5)
    np.testing.assert_array_equal(both.said.unit, both.seen.unit)

    mixed = query_vectors(terms[:1], [picture], encoder(texts))
    assert mixed.seen is not None
    np.testing.assert_allclose(mixed.seen.unit, unit(texts["dog"] + picture.seen), rtol=1e-5)


def test_only_proportions_count_and_one_term_is_itself(texts: dict[str, Vectors]) -> None:
    vectors = np.stack([texts["dog"], texts["beach"]])
    one = QueryVector(vectors, np.array([1.0, -0.5], np.float32))
    other = QueryVector(vectors, np.array([4.0, -2.0], np.float32))
    np.testing.assert_allclose(one.unit, other.unit, rtol=1e-5)
    np.testing.assert_allclose(one.judged, other.judged, rtol=1e-5)
    alone = QueryVector(vectors[:1], np.array([3.0], np.float32))
    np.testing.assert_allclose(alone.unit, vectors[0], rtol=1e-5)
    np.testing.assert_allclose(alone.judged, vectors[0], rtol=1e-5)


def test_confidence_is_the_mean_cosine_with_what_is_added(texts: dict[str, Vectors], rng: np.random.Generator) -> None:
    vectors = np.stack(list(texts.values()))
    clips = rng.normal(size=(5, 16)).astype(np.float32)
    cosines = clips @ vectors.T
    asked = QueryVector(vectors, np.array([1.0, 3.0, -2.0], np.float32))
    np.testing.assert_allclose(clips @ asked.judged, (cosines[:, 0] + 3 * cosines[:, 1]) / 4, rtol=1e-4, atol=1e-5)


def test_what_cancels_itself_is_refused(texts: dict[str, Vectors]) -> None:
    with pytest.raises(UsageError, match="adds up to nothing"):
        _ = QueryVector(np.stack([texts["dog"]] * 2), np.array([1.0, -1.0], np.float32)).unit


def test_an_example_without_words_is_not_compared_by_words(texts: dict[str, Vectors], picture: Example) -> None:
    spoken = Example("hit", "1", picture.seen, "f1", said=texts["running"])
    assert query_vectors([Term("dog")], [picture], encoder(texts)).said is None
    both = query_vectors([Term("dog")], [spoken], encoder(texts)).said
    assert both is not None
    np.testing.assert_allclose(both.unit, unit(texts["dog"] + texts["running"]), rtol=1e-5)
    less_of_it = Example("image", "a.jpg", picture.seen, "f1", weight=-1.0)
    assert query_vectors([Term("dog")], [less_of_it], encoder(texts)).said is not None


def test_nothing_that_is_added_is_no_vector(texts: dict[str, Vectors]) -> None:
    assert query_vectors([Term("dog", -1.0)], [], encoder(texts)).seen is None
    assert query_vectors([Term("dog")], [], None).seen is None


def test_an_example_survives_json(picture: Example, texts: dict[str, Vectors]) -> None:
    example = Example("hit", "2.3", picture.seen, "f1", texts["dog"], weight=-0.5, own_clips=frozenset({"b:1", "a:0"}))
    held = Example.from_dict(json.loads(json.dumps(example.as_dict())))
    assert (held.kind, held.name, held.encoder, held.weight, held.own_clips) == (
        "hit",
        "2.3",
        "f1",
        -0.5,
        example.own_clips,
    )
    np.testing.assert_array_equal(held.seen, example.seen)
    assert held.said is not None
    np.testing.assert_array_equal(held.said, texts["dog"])
    assert Example.from_dict(picture.as_dict()).said is None

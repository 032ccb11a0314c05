"""Dual softmax and querybank normalisation, and that their results stay apart from raw ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from savecli.metrics.ranks import one_caption_each, ranks
from savecli.metrics.report import Table, report, sum_of_recalls
from savecli.metrics.scores import Raw, Scores, dual_softmax, querybank_normalised, raw_scores, reversed_scores

EVERY = slice(None)


def chunked(similarity: np.ndarray, rows: int) -> Scores[Raw]:
    whole = raw_scores(similarity)
    return Scores("t2v", *similarity.shape, whole.block, Raw(), block_bytes=32 * similarity.shape[1] * rows)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_dual_softmax_is_its_formula(rng, rows):
    similarity = rng.normal(size=(10, 7))
    exponential = np.exp(similarity / 0.5)
    expected = similarity * exponential / exponential.sum(axis=0)
    seen = dual_softmax(chunked(similarity, rows), temperature=0.5)
    assert seen.block(EVERY, EVERY) == pytest.approx(expected)
    assert seen.block(slice(2, 4), slice(1, 6)) == pytest.approx(expected[2:4, 1:6])
    backwards = dual_softmax(reversed_scores(chunked(similarity, rows)), temperature=0.5)
    assert backwards.block(EVERY, EVERY) == pytest.approx(
        (similarity * exponential / exponential.sum(axis=1)[:, None]).T
    )


def test_dual_softmax_survives_sharp_temperatures():
    similarity = np.array([[1.0, 0.9], [0.2, -1.0]], np.float32)
    values = dual_softmax(raw_scores(similarity), temperature=1e-3).block(EVERY, EVERY)
    assert np.isfinite(values).all()
    assert values[0, 0] == pytest.approx(1)


def test_querybank_normalisation_is_its_formula(rng):
    similarity, bank = rng.normal(size=(12, 6)), rng.normal(size=(4, 6))
    seen = querybank_normalised(chunked(similarity, 5), chunked(bank, 3), beta=20).block(EVERY, EVERY)
    hubs = set(bank.argmax(axis=1))
    assert 0 < len(hubs) < 6
    for row, values in zip(similarity, seen, strict=True):
        if row.argmax() in hubs:
            inverted = np.exp(20 * row) / np.exp(20 * bank).sum(axis=0)
            assert np.exp(values) == pytest.approx(inverted)
        else:
            assert values == pytest.approx(row)


def test_querybank_normalisation_takes_a_hub_down():
    """Item 0 is near everything; the bank knows."""
    similarity = np.array([[0.9, 0.1, 0.1], [0.8, 0.75, 0.1], [0.8, 0.1, 0.75]])
    bank = np.array([[0.9, 0.3, 0.3], [0.85, 0.2, 0.3], [0.3, 0.4, 0.35]])
    truth = one_caption_each(3)
    assert report(ranks(raw_scores(similarity), truth)).recall[1] == pytest.approx(100 / 3)
    better = querybank_normalised(raw_scores(similarity), raw_scores(bank), beta=20)
    assert report(ranks(better, truth)).recall[1] > 60


def test_each_query_stands_alone_in_the_inductive_one(rng):
    similarity, bank = rng.normal(size=(6, 5)), raw_scores(rng.normal(size=(3, 5)))
    together = querybank_normalised(raw_scores(similarity), bank, beta=5).block(EVERY, EVERY)
    alone = querybank_normalised(raw_scores(similarity[2:3]), bank, beta=5).block(EVERY, EVERY)
    assert np.array_equal(together[2:3], alone)


def test_a_bank_of_other_items_is_refused(rng):
    scores = raw_scores(rng.normal(size=(4, 4)))
    with pytest.raises(ValueError, match="the bank has 5 items, t2v; expected 4, t2v"):
        querybank_normalised(scores, raw_scores(rng.normal(size=(4, 5))), beta=20)
    with pytest.raises(ValueError, match="the bank has 4 items, v2t; expected 4, t2v"):
        querybank_normalised(scores, reversed_scores(scores), beta=20)


def test_what_was_processed_differently_is_never_in_one_table(rng):
    scores, truth = raw_scores(rng.normal(size=(10, 10))), one_caption_each(10)
    raw = report(ranks(scores, truth))
    inductive = report(ranks(querybank_normalised(scores, scores, beta=20), truth))
    transductive = report(ranks(dual_softmax(scores, temperature=0.1), truth))
    assert [of.processing.name for of in (raw, inductive, transductive)] == ["raw", "inductive", "transductive"]
    assert inductive.processing.how == "querybank of 10, beta 20"
    assert transductive.processing.how == "dual softmax, temperature 0.1"
    with pytest.raises(ValueError, match="one table holds raw and transductive scores; they cannot be compared"):
        Table({"a": raw, "b": transductive})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="inductive and raw"):
        sum_of_recalls(raw, inductive)  # type: ignore[type-var]


def test_types_tell_before_the_program_runs(tmp_path):
    mixed = tmp_path / "mixed.py"
    head = (
        "from savecli.metrics.report import Report, Table\n"
        "from savecli.metrics.scores import Raw, Transductive\n"
        "def table(raw: Report[Raw], other: Report[{kind}]) -> None:\n"
        "    Table({{'a': raw, 'b': other}})\n"
    )
    root = Path(__file__).resolve().parents[2]
    for kind, is_fine in (("Raw", True), ("Transductive", False)):
        mixed.write_text(head.format(kind=kind), encoding="utf-8")
        arguments = [sys.executable, "-m", "mypy", "--config-file=", "--ignore-missing-imports", str(mixed)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=200, cwd=root)
        assert (done.returncode == 0) is is_fine, done.stdout + done.stderr

"""Two systems on the same clips: what is a difference, and what may not be compared."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from savecli.core.errors import UsageError
from savecli.training.compare import compare
from savecli.training.finetune import judged, sum_of_texts
from savecli.training.report import report_of
from savecli.training.report_forms import comparison_csv, comparison_facts, comparison_json, comparison_tables
from tests.training.built_evaluation import built_evaluation

WEAK = built_evaluation(num_clips=80, signal=0.5)
STRONG = built_evaluation(num_clips=80, signal=3.0)


def found(comparison, direction, measure):
    return next(item for item in comparison.differences if (item.direction, item.measure) == (direction, measure))


def test_a_system_does_not_differ_from_itself() -> None:
    for item in compare(WEAK, WEAK).differences:
        assert (item.difference, item.interval.low, item.interval.high, item.p_value) == (0, 0, 0, 1)


def test_values_are_those_of_the_reports_and_a_real_difference_is_seen() -> None:
    comparison = compare(WEAK, STRONG)
    first, second = (report_of(item, intervals=False).sections[0] for item in (WEAK, STRONG))
    both = found(comparison, None, "SumR")
    assert (both.first, both.second) == pytest.approx((first.sum_both.value, second.sum_both.value))
    recall = found(comparison, "v2t", "R@5")
    assert recall.difference == pytest.approx(second.rows["v2t"].recall[5] - first.rows["v2t"].recall[5])
    assert both.interval.low > 0
    assert both.p_value < 0.001
    assert len(comparison.differences) == 9


def test_order_only_changes_the_sign() -> None:
    there, back = compare(WEAK, STRONG), compare(STRONG, WEAK)
    for a, b in zip(there.differences, back.differences, strict=True):
        assert a.difference == pytest.approx(-b.difference)
        assert a.interval.low == pytest.approx(-b.interval.high)
        assert a.p_value == b.p_value


def test_equal_systems_are_rarely_called_different() -> None:
    """Of pairs that differ by chance alone, about one in twenty has p < 0.05."""
    systems = [built_evaluation(num_clips=40, signal=1.0, seed=seed) for seed in range(80)]
    values = [
        found(compare(a, b, num_resamples=400), "t2v", "SumR").p_value
        for a, b in zip(systems[::2], systems[1::2], strict=True)
    ]
    assert np.mean(np.array(values) < 0.05) <= 0.15


def test_better_and_worse_are_said_only_beyond_chance_and_of_enough_clips() -> None:
    assert judged(compare(WEAK, STRONG)) == "better"
    assert judged(compare(STRONG, WEAK)) == "worse"
    assert judged(compare(WEAK, built_evaluation(num_clips=80, signal=0.6, seed=1))) == "cannot tell"
    few = [built_evaluation(num_clips=5, signal=signal, seed=seed) for seed, signal in ((1, -9.0), (2, 9.0))]
    assert sum_of_texts(compare(*few)).interval.low > 0
    assert judged(compare(*few)) == "cannot tell"


def test_ties_are_paired_too() -> None:
    flat = replace(WEAK, similarity=np.zeros_like(WEAK.similarity))
    assert found(compare(flat, WEAK, ties="optimistic"), "t2v", "R@1").first == 100
    assert found(compare(flat, WEAK), "t2v", "R@1").first == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"split": "val"}, "split: 'test' and 'val'"),
        ({"dataset": "other"}, "dataset: 'built' and 'other'"),
        ({"captions": ("another", *WEAK.captions[1:])}, "80 and 80 captions; the first that only one has is 'another'"),
        ({"clip_ids": WEAK.clip_ids[::-1]}, "80 and 80 clips; their order differs"),
        ({"is_grouped": True}, "is_grouped: False and True"),
    ],
)
def test_other_clips_or_captions_are_refused(changes, why) -> None:
    with pytest.raises(UsageError) as error:
        compare(WEAK, replace(WEAK, **changes), names=("a.npz", "b.npz"))
    assert error.value.what == "a.npz and b.npz cannot be compared"
    assert error.value.why == why


def test_the_forms_hold_the_same_numbers() -> None:
    comparison = compare(WEAK, STRONG, names=("weak", "strong"))
    document = json.loads(comparison_json(comparison))
    lines = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    (table,) = comparison_tables(comparison)
    assert document["names"] == ["weak", "strong"]
    for held, line, cells in zip(document["differences"], lines, table.rows[1:], strict=True):
        assert held["p_value"] == float(line["p_value"])
        assert f"{held['difference']:+.1f}" in cells
        assert (line["a"], line["b"]) == ("weak", "strong")
    assert comparison_facts(comparison)[:2] == ("A = weak", "B = strong")

"""Pictures of an evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from savecli.core.errors import SaveError, UsageError
from savecli.training.plots import check_plot, plot_evaluation, recall_curve
from savecli.training.report import report_of
from tests.training.built_evaluation import built_evaluation


def test_the_curve_goes_through_the_reported_recall_and_never_falls() -> None:
    evaluation = built_evaluation(num_clips=30)
    curve = recall_curve(evaluation, "t2v", ties="strict")
    recall = report_of(evaluation, intervals=False).sections[0].rows["t2v"].recall
    assert {k: curve[k] for k in recall} == recall
    assert list(curve) == list(range(1, 31))
    assert (np.diff(list(curve.values())) >= 0).all()
    assert curve[30] == 100


@pytest.mark.parametrize("gates", ["some", "none", "closed"])
def test_pictures_are_written_with_and_without_gates(tmp_path, gates) -> None:
    evaluation = built_evaluation()
    held = {"some": evaluation.gates, "none": {}, "closed": {"audio": np.zeros((12, 2, 2), np.float32)}}[gates]
    evaluation = replace(evaluation, gates=held)
    plot_evaluation(evaluation, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    plot_evaluation(evaluation, tmp_path / "a.svg")
    assert ("gates of clips" in (tmp_path / "a.svg").read_text(encoding="utf-8")) == (gates != "none")


def test_what_cannot_be_plotted_is_said_before(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"it ends in `.pdf`; allowed: .png, .svg"):
        check_plot(tmp_path / "a.pdf")
    with pytest.raises(SaveError, match="cannot write"):
        plot_evaluation(built_evaluation(), tmp_path / "no/such/folder.png")

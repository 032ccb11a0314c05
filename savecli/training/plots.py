"""Pictures of an evaluation: how recall grows with k, and how far the gates let sound and speech in."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from savecli.core.errors import SaveError, UsageError
from savecli.metrics.ranks import TieRule
from savecli.metrics.report import report
from savecli.metrics.scores import Direction
from savecli.training.records import Evaluation
from savecli.training.report import ranks_in

FORMATS = (".png", ".svg")
# Nobody looks further down a list.
_MOST_PLACES = 100
_DIRECTIONS: Mapping[Direction, str] = {"t2v": "text to video", "v2t": "video to text"}
_GATES = ("attention", "feed-forward")
_NUM_BINS = 30
_SHOWN_PLACES = (1, 2, 5, 10, 20, 50, 100)


def check_plot(path: Path) -> None:
    """Nothing if a plot can be written to such a file; asked before the work is done that it is to show.

    Raises:
        UsageError: another ending than those of `FORMATS`.
        SaveError: matplotlib is not installed.
    """
    if path.suffix not in FORMATS:
        raise UsageError(
            f"cannot plot into {path.name}",
            why=f"it ends in `{path.suffix}`; allowed: {', '.join(FORMATS)}",
            fix=f"--plot {path.stem}{FORMATS[0]}",
        )
    _matplotlib_figure()


def plot_evaluation(evaluation: Evaluation, path: Path, *, ties: TieRule = "strict") -> None:
    """Write the recall curve of raw similarities and, where the model has gates, their histogram.

    Raises:
        UsageError, SaveError: as `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    gates = {signal: values for signal, values in evaluation.gates.items() if np.isfinite(values).any()}
    width = 6.4 if not gates else 12.0
    figure = _matplotlib_figure().Figure(figsize=(width, 4.4), layout="constrained")
    axes = figure.subplots(1, 2 if gates else 1, squeeze=False)[0]
    figure.suptitle(f"{evaluation.dataset}, {evaluation.split}: {len(evaluation.clip_ids)} clips")
    _draw_recall(axes[0], evaluation, ties)
    if gates:
        _draw_gates(axes[1], gates)
    try:
        # Without a date, the same evaluation gives the same file.
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        why = error.strerror or str(error)
        raise SaveError(f"cannot write {path}", why=why, fix="choose another place, or make room") from error


def recall_curve(evaluation: Evaluation, direction: Direction, *, ties: TieRule) -> dict[int, float]:
    """R@k of raw similarities by k, from 1 to as many as anyone looks at."""
    held = ranks_in(evaluation, direction)
    ks = range(1, min(_MOST_PLACES, held.num_items) + 1)
    return dict(report(held, ties=ties, ks=list(ks)).recall)


def _draw_recall(axes: Any, evaluation: Evaluation, ties: TieRule) -> None:
    for direction, title in _DIRECTIONS.items():
        curve = recall_curve(evaluation, direction, ties=ties)
        axes.plot(list(curve), list(curve.values()), label=title)
    num_clips = len(evaluation.clip_ids)
    places = range(1, min(_MOST_PLACES, num_clips) + 1)
    axes.plot(places, [100 * k / num_clips for k in places], label="chance", color="0.6", linestyle="--")
    axes.set(xlabel="k", ylabel="R@k in percent", xscale="log", ylim=(0, 100), title="recall")
    shown = [k for k in _SHOWN_PLACES if k in places]
    axes.set_xticks(shown, labels=map(str, shown), minor=False)
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_gates(axes: Any, gates: Mapping[str, Any]) -> None:
    bins = np.linspace(*_span(gates), _NUM_BINS + 1)
    for signal, values in gates.items():
        for column, part in enumerate(_GATES):
            seen = values[..., column]
            axes.hist(seen[np.isfinite(seen)], bins=bins, histtype="step", label=f"{signal}, {part}")
    axes.set(xlabel="gate", ylabel="clips times layers", title="gates of clips that have the signal")
    axes.grid(alpha=0.3)
    axes.legend()


def _span(gates: Mapping[str, Any]) -> tuple[float, float]:
    held = np.concatenate([values[np.isfinite(values)] for values in gates.values()])
    low, high = float(held.min()), float(held.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _matplotlib_figure() -> ModuleType:
    """An optional package, imported by name as it is not among those that come with `savecli`."""
    try:
        return importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise SaveError("plots need matplotlib", why=str(error), fix="pip install 'savecli[plot]'") from error

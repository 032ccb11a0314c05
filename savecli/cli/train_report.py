"""What a training run says at its end: the test split's numbers, or mean and deviation over several seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.tables import show_table

if TYPE_CHECKING:
    from savecli.training.report import EvaluationReport
    from savecli.training.training_run import Outcome


def keep_report(folder: Path, outcome: Outcome) -> EvaluationReport | None:
    """Write the test split's numbers into the run's folder, and say where its best checkpoint is."""
    from savecli.training.finetune import began_from_checkpoint
    from savecli.training.report_forms import report_json
    from savecli.training.run_dir import RunDir

    report = _report(folder, outcome)
    if report is not None:
        counts = {
            "num_missing_in_all": outcome.num_missing,
            "num_unreadable_in_training": outcome.num_unreadable,
            "dropped_in_training": dict(outcome.dropped),
        }
        RunDir(folder).write_report({**json.loads(report_json(report)), **counts})
    left_out = f"; {outcome.num_unreadable} clips could not be read" if outcome.num_unreadable else ""
    click.echo(f"Best epoch {outcome.best_epoch + 1}: {folder / 'best'}{left_out}", err=True)
    config, data = RunDir(folder).read_config()
    if config.train.recipe == "small" and began_from_checkpoint(data):
        click.echo(f"Whether it is better than {data.start}: `save finetune --resume {folder}`.", err=True)
    return report


def show_reports(reports: Sequence[EvaluationReport], *, as_json: bool) -> None:
    """Print the numbers of one run, or mean and deviation over several."""
    from savecli.training.report_forms import facts_of, report_json, report_tables

    if len(reports) > 1:
        _show_seeds(reports, as_json=as_json)
    elif reports and as_json:
        click.echo(report_json(reports[0]))
    elif reports:
        click.echo("\n".join(facts_of(reports[0])))
        for title, rows in report_tables(reports[0]):
            show_table(title, rows)


def keep_summary(folder: Path, reports: Sequence[EvaluationReport]) -> None:
    """Write mean and deviation over several seeds into the folder of their runs."""
    from savecli.training.seeds import write_summary

    write_summary(folder, _summary(reports))


def _report(folder: Path, outcome: Outcome) -> EvaluationReport | None:
    """None where the dataset has no test split."""
    from savecli.training.report import report_of
    from savecli.training.run_dir import RunDir

    if outcome.test is None:
        return None
    config, _ = RunDir(folder).read_config()
    chosen = f"epoch {outcome.best_epoch + 1} of {max(len(outcome.scores), outcome.best_epoch + 1)}"
    how = {
        "val": f"{chosen}, by {config.train.measure} of {_named(outcome.chosen_by)}",
        "peak-test": f"{chosen}, by {config.train.measure} of the TEST split itself: a peak, not an estimate",
        "last": "the last epoch",
    }[config.train.select]
    name = f"{config.model.name}, recipe {config.train.recipe}, seed {config.train.seed}"
    by_group = any(outcome.test.groups)
    return report_of(outcome.test, by_group=by_group, selection=how, checkpoint=name)


def _named(split: str) -> str:
    """`the validation split`, or which clips stood in for one."""
    return "the validation split" if split.startswith("val") else f"`{split}`"


def _summary(reports: Sequence[EvaluationReport]) -> dict[str, Any]:
    """Mean and deviation of the whole directions' numbers."""
    from savecli.metrics.report import RECALL_AT

    rows: dict[str, list[dict[str, float]]] = {}
    for report in reports:
        for key, title in (("t2v", "text to video"), ("v2t", "video to text")):
            row = report.sections[0].rows[key]
            numbers = {**{f"R@{k}": row.recall[k] for k in RECALL_AT}, "MedR": row.median_rank, "SumR": row.sum_recall}
            rows.setdefault(title, []).append(numbers)
    held = {title: {name: _mean([row[name] for row in found]) for name in found[0]} for title, found in rows.items()}
    return {"num_seeds": len(reports), "about": asdict(reports[0].about), "mean_and_deviation": held}


def _show_seeds(reports: Sequence[EvaluationReport], *, as_json: bool) -> None:
    from savecli.training.report_forms import facts_of

    summary = _summary(reports)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    held = summary["mean_and_deviation"]
    # The last fact is how one epoch was chosen, the first which seed it was: each of its own run.
    click.echo("\n".join(facts_of(reports[0])[1:-1]))
    click.echo(f"selection: {reports[0].about.selection.partition(', ')[2] or reports[0].about.selection}")
    names = list(next(iter(held.values())))
    cells = [("", *names), *((title, *(f"{m:.1f} ± {d:.1f}" for m, d in row.values())) for title, row in held.items())]
    show_table(f"{len(reports)} seeds, mean ± deviation", cells)


def _mean(values: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values)

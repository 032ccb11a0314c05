"""`save eval --queries`: the user's own archive, scored on queries whose right videos are known."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from savecli.search.evaluation import ArchiveReport

SCHEMA = 1
_DONE, _SOME_SKIPPED = 0, 3
# Further bad lines are only counted, so that they do not push the numbers off the screen.
_MOST_PROBLEMS = 20


def evaluate_labelled(archive_folder: Path, queries: Path, *, form: str | None) -> int:
    """Score and print; the exit code says whether lines were left out."""
    from savecli.archive.store import open_archive
    from savecli.cli.progress_bar import shown_progress
    from savecli.search.evaluation import evaluate_archive

    archive = open_archive(archive_folder)
    encoder = archive.manifest.encoder
    with shown_progress() as progress:
        encode_text = None
        if encoder is not None and encoder.dimension > 0:
            from savecli.model.hub import Hub
            from savecli.search.text_encoder import load_query_encoder

            encode_text = load_query_encoder(archive, hub=Hub(), for_many=True, progress=progress)
        report = evaluate_archive(archive, queries.expanduser(), encode_text=encode_text, progress=progress)
    _print(report, archive_folder, form)
    _tell_problems(report)
    return _SOME_SKIPPED if report.problems else _DONE


def archive_rows(report: ArchiveReport) -> list[list[str]]:
    """A row for each kind of evidence; the first is the header."""
    ks = list(report.scores[0].recall)
    overlaps = list(report.scores[0].moment_recall)
    rows = [["", *(f"R@{k}" for k in ks), "MRR", *(f"moment IoU ≥ {least:g}" for least in overlaps)]]
    for score in report.scores:
        moments = (f"{score.moment_recall[least]:.1f}" for least in overlaps)
        recall = (f"{score.recall[k]:.1f}" for k in ks)
        rows.append([score.evidence, *recall, f"{score.reciprocal_rank:.3f}", *moments])
    return rows


def archive_facts(report: ArchiveReport, archive_folder: Path) -> list[str]:
    """Lines that must stand beside the table."""
    from savecli.cli.render import count

    spans = f" · {report.num_with_spans} with a known moment" if report.num_with_spans else ""
    left_out = f" · {count(len(report.problems), 'line')} left out" if report.problems else ""
    return [
        f"{archive_folder} · encoder {report.encoder} · {count(report.num_videos, 'video')}",
        f"{count(report.num_queries, 'query', 'queries')}{spans}{left_out}",
    ]


def _print(report: ArchiveReport, archive_folder: Path, form: str | None) -> None:
    facts, rows = archive_facts(report, archive_folder), archive_rows(report)
    if form == "json":
        click.echo(json.dumps(_json(report, archive_folder), indent=2))
    elif form == "csv":
        click.echo(_csv(report), nl=False)
    elif form == "markdown":
        from savecli.training.report_forms import TextTable, to_markdown

        click.echo(to_markdown(facts, [TextTable("by evidence", tuple(map(tuple, rows)))]), nl=False)
    else:
        from savecli.cli.tables import show_table

        for line in facts:
            click.echo(line)
        click.echo()
        show_table("", rows)


def _json(report: ArchiveReport, archive_folder: Path) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": "archive",
        "archive": str(archive_folder),
        "encoder": report.encoder,
        "num_videos": report.num_videos,
        "num_queries": report.num_queries,
        "num_with_spans": report.num_with_spans,
        "scores": [{"evidence": score.evidence, **_numbers(score)} for score in report.scores],
        "problems": [asdict(problem) for problem in report.problems],
    }


def _csv(report: ArchiveReport) -> str:
    rows = [
        {"evidence": score.evidence, "num_queries": report.num_queries, **_numbers(score)} for score in report.scores
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _numbers(score: Any) -> dict[str, float]:
    return {
        **{f"recall_at_{k}": value for k, value in score.recall.items()},
        "reciprocal_rank": score.reciprocal_rank,
        **{f"moment_recall_at_iou_{least:g}": value for least, value in score.moment_recall.items()},
    }


def _tell_problems(report: ArchiveReport) -> None:
    from savecli.cli.render import count, one_line

    for problem in report.problems[:_MOST_PROBLEMS]:
        click.echo(f"line {problem.line}: {one_line(problem.reason)}", err=True)
    if len(report.problems) > _MOST_PROBLEMS:
        click.echo(f"and {count(len(report.problems) - _MOST_PROBLEMS, 'line')} more", err=True)

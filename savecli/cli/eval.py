"""`save eval`: the numbers of a model on a dataset, or of the user's own archive."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.eval_options import Asked, EvalCommand, check_asked, check_queries
from savecli.cli.options import archive_option
from savecli.cli.train import data_options

if TYPE_CHECKING:
    from savecli.training.compare import Comparison
    from savecli.training.records import Evaluation
    from savecli.training.report import EvaluationReport

_DONE, _SOME_SKIPPED = 0, 3
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "eval",
    cls=EvalCommand,
    epilog="Example: save eval --checkpoint runs/lsmdc --dataset lsmdc --root /data/lsmdc",
)
@click.option(
    "--checkpoint",
    metavar="MODEL",
    help="Folder of a model or run, name of an imported one, `tiny-world`, `clip:ViT-B-32/openai`, or FILE.npz.",
)
@click.option("--dataset", help="Name of the dataset; `save data` lists them.")
@click.option(
    "--split", type=click.Choice(["test", "val", "train"]), default="test", show_default=True, help="What is scored."
)
@data_options
@click.option(
    "--compare", nargs=2, metavar="A B", help="Two of what --checkpoint takes: is B better than A, or only luckier?"
)
@click.option("--by", type=click.Choice(["speech"]), help="Also captions of what is seen, heard and said apart.")
@click.option(
    "--post",
    type=click.Choice(["dsl", "qb"]),
    multiple=True,
    help="Also, in a table of its own: `dsl` dual softmax, which sees all queries; `qb` querybank.",
)
@click.option(
    "--ties",
    type=click.Choice(["strict", "optimistic", "reference"]),
    default="strict",
    show_default=True,
    help="How equal scores count: against the model, for it, or as published code does.",
)
@click.option(
    "--plot",
    type=_FILE,
    metavar="FILE",
    help="Write a recall curve and a gate histogram, .png or .svg; needs savecli[plot].",
)
@click.option("--out", type=_FILE, metavar="FILE.npz", help="Keep the similarities, for --compare and --checkpoint.")
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, `mps`, or what is fastest.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "medium", "bf16"]),
    help="What products are computed in; else as in training, or what the device is fast in.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Clips at once.")
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
@archive_option
@click.option(
    "--queries",
    type=_FILE,
    metavar="FILE.tsv",
    help="Score the archive instead: a line each of query, video and, if known, start and end, between tabs.",
)
@click.pass_context
def evaluate(context: click.Context, /, archive_folder: Path, queries: Path | None, **options: Any) -> int:
    """Score a model on a dataset, or an archive on labelled queries.

    Prints recall, ranks and SumR in both directions with what they mean nothing without. Exits with 3 when clips or
    lines had to be left out.
    """
    if queries is not None:
        from savecli.cli.eval_archive import evaluate_labelled

        check_queries(context)
        return evaluate_labelled(archive_folder, queries, form=options["form"])
    asked = Asked(**options)
    check_asked(context, asked)
    return _compare(asked) if asked.compare else _report(asked)


def _report(asked: Asked) -> int:
    from savecli.cli.eval_model import evaluation_of, selection_of
    from savecli.training.report import groups_in, report_of

    assert asked.checkpoint is not None
    if asked.plot is not None:
        from savecli.training.plots import check_plot

        check_plot(asked.plot)
    evaluation, querybank = evaluation_of(asked.checkpoint, asked, with_bank="qb" in asked.post)
    selection = selection_of(asked.checkpoint)
    if asked.out is not None:
        from savecli.training.evaluation_file import write_evaluation

        write_evaluation(evaluation, asked.out, selection=selection)
        click.echo(f"Wrote {asked.out}.", err=True)
    if asked.by and not groups_in(evaluation):
        click.echo(f"The captions of {evaluation.dataset} do not say what they need: --by has no effect.", err=True)
    report = report_of(
        evaluation,
        ties=asked.ties,
        by_group=asked.by is not None,
        with_dual_softmax="dsl" in asked.post,
        querybank=querybank,
        selection=selection,
        checkpoint=asked.checkpoint,
    )
    _print_report(report, asked.form)
    if asked.plot is not None:
        from savecli.training.plots import plot_evaluation

        plot_evaluation(evaluation, asked.plot, ties=asked.ties)
        click.echo(f"Wrote {asked.plot}.", err=True)
    return _left_out(asked, evaluation)


def _compare(asked: Asked) -> int:
    from savecli.cli.eval_model import evaluation_of, selection_of
    from savecli.training.compare import compare

    assert asked.compare is not None
    first, second = (evaluation_of(spec, asked)[0] for spec in asked.compare)
    one, other = map(selection_of, asked.compare)
    comparison = compare(first, second, names=asked.compare, selections=(one, other), ties=asked.ties)
    _print_comparison(comparison, asked.form)
    return _left_out(asked, first, second)


def _left_out(asked: Asked, *evaluations: Evaluation) -> int:
    """The exit code; clips that were left out are counted in the facts, and a note says what names them."""
    if not any(evaluation.num_missing for evaluation in evaluations):
        return _DONE
    videos = ("--videos", str(asked.videos)) if asked.videos else ()
    command = ("save", "data", "verify", evaluations[0].dataset, "--root", str(asked.root or "DIR"), *videos)
    click.echo(f"What was left out, and why: {shlex.join(command)} --decode", err=True)
    return _SOME_SKIPPED


def _print_report(report: EvaluationReport, form: str | None) -> None:
    from savecli.training import report_forms as forms

    if form == "json":
        click.echo(forms.report_json(report))
    elif form == "csv":
        click.echo(forms.report_csv(report), nl=False)
    else:
        _print_tables(forms.facts_of(report), forms.report_tables(report), form)


def _print_comparison(comparison: Comparison, form: str | None) -> None:
    from savecli.training import report_forms as forms

    if form == "json":
        click.echo(forms.comparison_json(comparison))
    elif form == "csv":
        click.echo(forms.comparison_csv(comparison), nl=False)
    else:
        _print_tables(forms.comparison_facts(comparison), forms.comparison_tables(comparison), form)


def _print_tables(facts: tuple[str, ...], tables: tuple[Any, ...], form: str | None) -> None:
    from savecli.cli.tables import show_table
    from savecli.training.report_forms import to_markdown

    if form == "markdown":
        click.echo(to_markdown(facts, tables), nl=False)
        return
    for line in facts:
        click.echo(line)
    for table in tables:
        click.echo()
        show_table(table.title, table.rows)

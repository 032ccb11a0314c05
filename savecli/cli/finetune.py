"""`save finetune`: a checkpoint trained further on one's own clips, and whether that helped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.tables import aligned_lines
from savecli.cli.train import data_options, run_options, surroundings
from savecli.core.errors import UsageError

if TYPE_CHECKING:
    from savecli.training.finetune import Verdict

_FOLDER = click.Path(path_type=Path, file_okay=False)
_EXIT_NOT_BETTER = 1


@click.command(epilog="Example: save finetune runs/lsmdc/best --dataset manifest --root clips.csv --out runs/mine")
@click.argument("checkpoint")
@click.option("--dataset", default="manifest", show_default=True, help="Name of the dataset; `save data` lists them.")
@data_options
@click.option("--teacher", type=_FOLDER, help="Vectors of the alignment's teacher; else there is none.")
@click.option("--out", type=_FOLDER, required=True, help="Folder of the run; must not be there yet.")
@click.option(
    "--lora",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="RANK",
    help="Train updates of this rank, not layers.",
)
@click.option("--seed", type=int, help="Decides every random choice.  [default: 0]")
@run_options
def finetune(
    checkpoint: str,
    lora: int,
    device: str,
    readers: int,
    tensorboard: bool,
    as_json: bool,
    settings: tuple[str, ...],
    **asked: Any,
) -> int:
    """Train CHECKPOINT further on a few clips of your own, and compare both on clips that neither has seen.

    Prints the folder of the new checkpoint. If it is not better than the old one, says so and exits with 1.
    """
    from savecli.cli.models import imported_models
    from savecli.model.open_checkpoint import checkpoint_folder
    from savecli.training.finetune import finetune as run_finetune
    from savecli.training.launch import RunRequest
    from savecli.training.workers import is_leader

    if asked["root"] is None:
        raise UsageError("--root is missing", why="it names the manifest", fix="`save data` tells what it holds")
    small = (f"lora_rank={lora}", "frozen_layers=0", "optim.tower_factor=10") if lora else ()
    if not is_leader() or "WORLD_SIZE" in os.environ:
        raise UsageError(
            "fine-tuning runs in one process", why="`torchrun` started several", fix="start `save finetune` itself"
        )
    unaligned = () if asked["teacher"] else ("model.loss.alignment=null",)
    start = checkpoint_folder(checkpoint, imported=imported_models())
    request = RunRequest(start=str(start), recipe="small", settings=(*small, *unaligned, *settings), **asked)
    with surroundings(device, readers, tensorboard=asked["out"] if tensorboard else None) as around:
        verdict = run_finetune(request, around)
    _show(verdict, request.out / "best", as_json=as_json)
    return 0 if verdict.is_better else _EXIT_NOT_BETTER


def _show(verdict: Verdict, folder: Path, *, as_json: bool) -> None:
    from savecli.training.finetune import sum_of_texts
    from savecli.training.report_forms import comparison_facts, comparison_json, comparison_tables
    from savecli.training.run_dir import RunDir

    found = sum_of_texts(verdict.comparison)
    held = {**json.loads(comparison_json(verdict.comparison)), "is_better": verdict.is_better, "path": str(folder)}
    RunDir(folder.parent).write_report(held)
    if as_json:
        click.echo(json.dumps(held, indent=2))
    else:
        for line in comparison_facts(verdict.comparison):
            click.echo(line, err=True)
        for title, rows in comparison_tables(verdict.comparison):
            click.echo("\n".join(aligned_lines(title, rows)), err=True)
    if verdict.chose_by_it:
        click.echo("These clips also chose the epoch, which flatters the result: hold out a test split.", err=True)
    if not verdict.is_better:
        click.echo(
            f"Not better: SumR {found.first:.1f} before, {found.second:.1f} after. Keep the old checkpoint.", err=True
        )
    elif found.interval.low <= 0:
        click.echo(f"Better by {found.difference:.1f} SumR, which may be chance (p = {found.p_value:.2f}).", err=True)
    else:
        click.echo(f"Better by {found.difference:.1f} SumR (p = {found.p_value:.3f}).", err=True)
    if verdict.is_better and not as_json:
        click.echo(folder)

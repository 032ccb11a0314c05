"""`save finetune`: a checkpoint trained further on one's own clips, and whether that helped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.tables import aligned_lines
from savecli.cli.train import data_options, joined_machine, refuse_changes, run_options, stopped_told, surroundings
from savecli.core.errors import UsageError

if TYPE_CHECKING:
    from savecli.training.finetune import Verdict
    from savecli.training.launch import RunRequest

_FOLDER = click.Path(path_type=Path, file_okay=False)
_EXIT_NOT_BETTER = 1
_RAISE = (
    "the rates may be too low. Try `--set optim.lr=1e-4`, and `--set optim.tower_factor=1` as well "
    "if the model was once trained from scratch."
)


@click.command(epilog="Example: save finetune runs/lsmdc/best --dataset manifest --root clips.csv --out runs/mine")
@click.argument("checkpoint", required=False)
@click.option("--dataset", default="manifest", show_default=True, help="Name of the dataset; `save data` lists them.")
@data_options
@click.option("--teacher", type=_FOLDER, help="Vectors of the alignment's teacher; else there is none.")
@click.option("--out", type=_FOLDER, help="Folder of the run; must not be there yet.")
@click.option(
    "--lora",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="RANK",
    help="Train updates of this rank, not layers.",
)
@click.option("--seed", type=int, help="Decides every random choice.  [default: 0]")
@click.option("--resume", type=_FOLDER, help="Go on with the run in this folder; takes no other setting.")
@run_options
@click.pass_context
def finetune(
    context: click.Context,
    /,
    resume: Path | None,
    device: str,
    readers: int,
    tensorboard: bool,
    as_json: bool,
    **asked: Any,
) -> int:
    """Train CHECKPOINT further on a few clips of your own, and compare both on clips that neither has seen.

    Prints the folder of the new checkpoint if it is better by more than chance. If it is not, or too few clips are held
    out to tell, says so and exits with 1.
    """
    from savecli.training.finetune import finetune as run_finetune
    from savecli.training.finetune import resume_finetune
    from savecli.training.workers import is_leader

    if not is_leader() or "WORLD_SIZE" in os.environ:
        raise UsageError(
            "fine-tuning runs in one process", why="`torchrun` started several", fix="start `save finetune` itself"
        )
    if resume is not None:
        refuse_changes(context)
        folder, carry_out = resume, partial(resume_finetune, resume)
    else:
        request = _request(**asked)
        folder, carry_out = request.out, partial(run_finetune, request)
    seen = folder if tensorboard else None
    with (
        joined_machine(device, readers) as machine,
        stopped_told("finetune", folder),
        surroundings(machine, tensorboard=seen) as around,
    ):
        verdict = carry_out(around)
    _show(verdict, folder / "best", as_json=as_json)
    return 0 if verdict.judgement == "better" else _EXIT_NOT_BETTER


def _request(checkpoint: str | None, lora: int, settings: tuple[str, ...], **asked: Any) -> RunRequest:
    from savecli.cli.models import imported_models
    from savecli.model.open_checkpoint import checkpoint_folder
    from savecli.training.launch import RunRequest

    for name, value, why in (
        ("CHECKPOINT", checkpoint, "it is what is trained further"),
        ("--root", asked["root"], "it names the manifest"),
        ("--out", asked["out"], "a new run needs it"),
    ):
        if value is None:
            raise UsageError(f"{name} is missing", why=why, fix="`save finetune --help` has an example")
    small = (f"lora_rank={lora}", "frozen_layers=0", "optim.tower_factor=10") if lora else ()
    unaligned = () if asked["teacher"] else ("model.loss.alignment=null",)
    start = checkpoint_folder(str(checkpoint), imported=imported_models())
    return RunRequest(start=str(start), recipe="small", settings=(*small, *unaligned, *settings), **asked)


def _show(verdict: Verdict, folder: Path, *, as_json: bool) -> None:
    from savecli.training.report_forms import comparison_facts, comparison_json, comparison_tables
    from savecli.training.run_dir import RunDir

    is_better = verdict.judgement == "better"
    held = {
        **json.loads(comparison_json(verdict.comparison)),
        "verdict": verdict.judgement,
        "is_better": is_better,
        "path": str(folder),
    }
    RunDir(folder.parent).write_report(held)
    if as_json:
        click.echo(json.dumps(held, indent=2))
    else:
        for line in comparison_facts(verdict.comparison):
            click.echo(line, err=True)
        for title, rows in comparison_tables(verdict.comparison):
            click.echo("\n".join(aligned_lines(title, rows)), err=True)
    for line in _in_words(verdict, folder):
        click.echo(line, err=True)
    if is_better and not as_json:
        click.echo(folder)


def _in_words(verdict: Verdict, folder: Path) -> Iterator[str]:
    from savecli.cli.render import count
    from savecli.training.finetune import FEW_CLIPS, TOO_FEW_CLIPS, sum_of_texts

    num_clips, found = verdict.comparison.num_clips, sum_of_texts(verdict.comparison)
    if verdict.chose_by_it:
        yield "These clips also chose the epoch, which flatters the result: hold out a test split."
    if num_clips < FEW_CLIPS:
        clips = count(num_clips, "clip")
        shows = "nothing" if num_clips < TOO_FEW_CLIPS else "only a large difference"
        yield f"Judged by {clips}, which can show {shows}: hold out {FEW_CLIPS} or more as the split `test`."
    change = (
        f"SumR {found.first:.1f} before, {found.second:.1f} after; "
        f"95 % interval of the difference {found.interval.low:+.1f} to {found.interval.high:+.1f}."
    )
    if verdict.judgement == "better":
        yield f"Better: {change}"
    elif verdict.judgement == "worse":
        yield f"Worse: {change} Keep the old checkpoint."
    else:
        yield f"Cannot tell whether it is better: {change}"
        if not any(item.difference for item in verdict.comparison.differences):
            yield f"Nothing moved: {_RAISE}"
        yield f"Keep the old checkpoint, or judge by more clips; the new one is {folder}."

"""`save train`: a model from a dataset, in a folder of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from savecli.cli.options import json_option
from savecli.cli.world import SYNTHETIC
from savecli.core.errors import UsageError

if TYPE_CHECKING:
    from savecli.training.launch import RunRequest, Surroundings
    from savecli.training.training_run import Machine

Command = Callable[..., Any]
_FOLDER = click.Path(path_type=Path, file_okay=False)
_PATH = click.Path(path_type=Path)
_DONE, _SOME_SKIPPED, _STOPPED = 0, 3, 130
# What may differ between the parts of a run without changing it.
_ALSO_RESUMED = ("resume", "device", "readers", "as_json", "tensorboard")


def data_options(command: Command) -> Command:
    """Where a dataset's files lie."""
    for option in (
        click.option("--asr", type=_PATH, help="File of transcripts; else those in the root. See docs/datasets.md."),
        click.option("--cache", type=_FOLDER, help="Folder that `save data prepare` filled; much faster."),
        click.option("--videos", type=_FOLDER, help="Folder of the video files, however deep; else the root's."),
        click.option("--root", type=_PATH, help="Folder of the dataset's annotation files, or a manifest."),
    ):
        command = option(command)
    return command


def run_options(command: Command) -> Command:
    """How a run is carried out."""
    for option in (
        json_option,
        click.option(
            "--tensorboard", is_flag=True, help="Also write the numbers for TensorBoard, into the run's folder."
        ),
        click.option(
            "--readers",
            type=click.IntRange(min=1),
            default=2,
            show_default=True,
            metavar="N",
            help="Threads that read clips ahead.",
        ),
        click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, `mps`, or what is fastest."),
        click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change one setting; repeatable."),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: save train --dataset lsmdc --root /data/lsmdc --out runs/lsmdc")
@click.option("--dataset", help="Name of the dataset; `save data` lists them.")
@click.option("--preset", help="What the model is made of; see docs/model.md.  [default: save]")
@click.option("--recipe", help="How it is trained: `published`, `sound`, `small` or `world`; else the preset's own.")
@click.option(
    "--start",
    default="pretrained",
    show_default=True,
    help="`pretrained` towers, `scratch` for random ones, or a checkpoint: a run, a folder or a name.",
)
@click.option("--clip", help="Pretrained CLIP: `clip:MODEL/WEIGHTS` or `clip:PATH`.  [default: OpenAI's of the preset]")
@click.option("--audio", type=_PATH, help="Weights of the audio encoder.  [default: AST trained on AudioSet]")
@click.option("--teacher", type=_FOLDER, help="Vectors of the alignment's teacher, as docs/training.md says.")
@data_options
@click.option("--out", type=_FOLDER, help="Folder of the run; must not be there yet.")
@click.option("--seed", type=int, help="Decides every random choice.  [default: the recipe's]")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Train N times, each in a folder within --out, and tell mean and deviation.",
)
@click.option(
    "--select",
    type=click.Choice(["val", "peak-test", "last"]),
    help="Which epoch is kept; `peak-test` chooses by the test split, as some papers do, and says so.",
)
@click.option(
    "--resume", type=_FOLDER, help="Go on with the run, or the runs of several seeds, in this folder; no other setting."
)
@run_options
@click.pass_context
def train(
    context: click.Context,
    /,
    as_json: bool,
    resume: Path | None,
    seeds: int,
    device: str,
    readers: int,
    tensorboard: bool,
    **asked: Any,
) -> int:
    """Train a model on a dataset, score its test split once, and print the numbers.

    The dataset `synthetic` is drawn on the spot and needs no --root; a small model learns it on a CPU in minutes. Exits
    with 3 when clips were left out, under `torchrun` with 0.
    """
    from savecli.cli.train_report import keep_report, keep_summary, show_reports
    from savecli.training.launch import resume_run, start_run

    outcomes, reports = [], []
    runs = _runs(context, resume, seeds, asked)
    whole = resume or asked["out"]
    with joined_machine(device, readers) as machine, stopped_told("train", whole):
        for folder, request in runs:
            with surroundings(machine, tensorboard=folder if tensorboard else None) as around:
                outcome = resume_run(folder.absolute(), around) if request is None else start_run(request, around)
            outcomes.append(outcome)
            if machine.workers.leads:
                reports.append(keep_report(folder, outcome))
    if machine.workers.leads:
        found = [report for report in reports if report is not None]
        if len(found) > 1:
            keep_summary(folder.parent, found)
        show_reports(found, as_json=as_json)
    some_skipped = any(outcome.num_missing or outcome.num_unreadable for outcome in outcomes)
    # `torchrun` takes every other code for a crash, and ends the other processes.
    return _SOME_SKIPPED if some_skipped and machine.workers.size == 1 else _DONE


def _runs(
    context: click.Context, resume: Path | None, seeds: int, asked: dict[str, Any]
) -> list[tuple[Path, RunRequest | None]]:
    """Folders of the runs, and what each is to be; None is gone on with."""
    from savecli.training.run_dir import RunDir
    from savecli.training.seeds import keep_seeds, kept_seeds, seed_runs
    from savecli.training.workers import is_leader

    if resume is not None:
        refuse_changes(context)
        kept = kept_seeds(resume)
        if kept is None:
            _refuse_finetuning(resume)
            return [(resume, None)]
        return [(run.out, None if RunDir(run.out).has_state else run) for run in kept]
    request = _request(asked)
    if seeds == 1:
        return [(request.out, request)]
    runs = seed_runs(request, seeds)
    if is_leader():
        keep_seeds(request, runs)
    return [(run.out, run) for run in runs]


def _refuse_finetuning(folder: Path) -> None:
    from savecli.training.run_dir import RunDir

    if RunDir(folder).read_config()[1].is_finetuning:
        raise UsageError(
            f"{folder} is a fine-tuning",
            why="it ends with a comparison, not with the numbers of a training",
            fix=f"go on with `save finetune --resume {folder}`",
        )


def refuse_changes(context: click.Context) -> None:
    """Refuse what would make a run that is gone on with another one."""
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in _ALSO_RESUMED and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
            raise UsageError(
                f"--resume and {option} do not go together",
                why="a run goes on as it began",
                fix="leave it out, or begin a new run from its checkpoint",
            )


def _request(asked: dict[str, Any]) -> RunRequest:
    from savecli.cli.models import imported_models
    from savecli.model.open_checkpoint import checkpoint_folder
    from savecli.training.launch import PRETRAINED, SCRATCH, RunRequest

    for name in ("dataset", "out"):
        if asked[name] is None:
            raise UsageError(f"--{name} is missing", why="a new run needs it", fix="`save train --help` has an example")
    if asked["start"] not in (PRETRAINED, SCRATCH):
        asked["start"] = str(checkpoint_folder(asked["start"], imported=imported_models()).absolute())
    if asked["dataset"] == SYNTHETIC:
        return RunRequest(**_with_world(asked))
    if asked["root"] is None:
        raise UsageError(
            "--root is missing", why="it names the folder of the dataset's files", fix="`save data` tells what it holds"
        )
    return RunRequest(**asked)


def _with_world(asked: dict[str, Any]) -> dict[str, Any]:
    """The same, with the drawn world in its place and its cache filled."""
    from savecli.cli.progress_bar import shown_progress
    from savecli.cli.world import CACHE_FOLDER, default_world, make_drawn_world, prepare_world
    from savecli.training.workers import is_leader

    root = asked["root"] or default_world()
    # Of several processes one draws; the others wait for it where all of them join.
    if is_leader():
        with shown_progress() as progress:
            if asked["root"] is None:
                make_drawn_world(root, progress)
            if asked["cache"] is None:
                prepare_world(root, asked["preset"], progress, num_workers=2)
    return {**asked, "root": root, "cache": asked["cache"] or root / CACHE_FOLDER}


@contextmanager
def joined_machine(device: str, readers: int) -> Iterator[Machine]:
    """The device, and the processes that `torchrun` started, which can join but once."""
    from savecli.model.precision import choose_device
    from savecli.training.training_run import Machine
    from savecli.training.workers import joined_workers, own_device

    chosen = own_device(choose_device(device))
    with joined_workers(chosen) as workers:
        yield Machine(chosen, workers, readers)


@contextmanager
def surroundings(machine: Machine, *, tensorboard: Path | None = None) -> Iterator[Surroundings]:
    """View and the wish to stop, for one run; other processes than the first are silent.

    Args:
        tensorboard: folder of the run, in which TensorBoard's files are to lie; None writes none.
    """
    from savecli.cli.train_view import SilentWatch, shown_training
    from savecli.model.hub import Hub
    from savecli.training.launch import Surroundings
    from savecli.training.tensorboard import TensorBoardWatch

    with stop_asked() as should_stop:
        if machine.workers.leads:
            with shown_training() as (watch, progress):
                seen = watch if tensorboard is None else TensorBoardWatch(watch, tensorboard / "tensorboard")
                yield Surroundings(machine, Hub(), seen, should_stop, progress)
        else:
            yield Surroundings(machine, Hub(), SilentWatch(), should_stop)


@contextmanager
def stopped_told(command: str, folder: Path) -> Iterator[None]:
    """Ends the command, with a word on how to go on, when what is done inside was stopped and can be gone on with.

    Args:
        command: `train` or `finetune`.
        folder: of a run, or of the runs of several seeds.
    """
    from savecli.training.run_dir import RunDir
    from savecli.training.seeds import kept_seeds
    from savecli.training.workers import is_leader

    try:
        yield
    except KeyboardInterrupt:
        if is_leader() and (RunDir(folder).has_state or kept_seeds(folder) is not None):
            click.echo(f"\nStopped. Go on with `save {command} --resume {folder}`.", err=True)
            raise click.exceptions.Exit(_STOPPED) from None
        raise


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a request to end has come: the step is finished and saved first. A second one ends at once."""
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        click.echo("\nStopping as soon as the state is saved; once more ends at once.", err=True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

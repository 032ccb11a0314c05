"""What may be asked of `save eval` together; all of it is checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from savecli.core.errors import UsageError

if TYPE_CHECKING:
    from savecli.metrics.ranks import TieRule
    from savecli.model.precision import Precision

# What has an effect on an archive, on two models, and on similarities that were kept. Any other option is refused
# there, as numbers that take no notice of it would look as if they did.
_ON_MODELS = {"dataset", "root", "videos", "cache", "asr", "split", "device", "precision", "batch_size"}
_FOR_QUERIES = {"queries", "archive_folder", "form"}
_FOR_COMPARISON = {"compare", "ties", "form", *_ON_MODELS}
_FOR_KEPT = {"checkpoint", "compare", "by", "post", "ties", "plot", "out", "form"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options that say what a dataset's numbers are to be and how they are shown."""

    checkpoint: str | None
    compare: tuple[str, str] | None
    dataset: str | None
    root: Path | None
    videos: Path | None
    cache: Path | None
    asr: Path | None
    split: str
    by: str | None
    post: tuple[str, ...]
    ties: TieRule
    form: str | None
    plot: Path | None
    out: Path | None
    device: str
    precision: Precision | None
    batch_size: int


class EvalCommand(click.Command):
    """A command whose `--archive` may stand without a folder: it is then the archive that is taken without it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        pairs = pairwise((*args, ""))
        return super().parse_args(ctx, [one for one, after in pairs if (one, after[:2]) != ("--archive", "--")])


def check_queries(context: click.Context) -> None:
    """Nothing if all that was given says how labelled queries are scored.

    Raises:
        UsageError: an option of a model's numbers was given too.
    """
    _refuse_others(context, _FOR_QUERIES, "--queries", "one scores a model, the other an archive")


def check_asked(context: click.Context, asked: Asked) -> None:
    """Nothing if a model, two, or kept similarities can be scored in this way.

    Raises:
        UsageError: options that do not go together, one that is missing, or a file that could not be written.
    """
    if _is_given(context, "archive_folder"):
        raise UsageError(
            "--archive needs labelled queries", why="--queries is missing", fix="save eval --queries FILE.tsv"
        )
    if asked.compare:
        _refuse_others(context, _FOR_COMPARISON, "--compare", "a comparison is of raw scores of two models")
    elif asked.checkpoint is None:
        raise UsageError(
            "there is nothing to evaluate",
            why="neither --checkpoint nor --queries is given",
            fix="`save eval --help` has an example; `--checkpoint clip` is CLIP as it is",
        )
    _check_files(asked)
    specs: Sequence[str] = asked.compare or (asked.checkpoint or "",)
    if all(spec.endswith(".npz") for spec in specs):
        if "qb" in asked.post:
            raise _refused("--post qb", "FILE.npz", "the bank is not in it")
        _refuse_others(context, _FOR_KEPT, "FILE.npz", "its similarities are computed, and of one split")
        return
    for name, value in (("dataset", asked.dataset), ("root", asked.root)):
        # The synthetic dataset is drawn where none is named.
        if value is None and asked.dataset != "synthetic":
            raise UsageError(
                f"--{name} is missing",
                why="a model is scored on a dataset",
                fix="`save data` lists them and their files",
            )


def _check_files(asked: Asked) -> None:
    """Refuse what could not be written once the work is done."""
    if asked.out is not None and asked.out.suffix != ".npz":
        raise UsageError(
            f"cannot write {asked.out}", why="similarities are kept as .npz", fix=f"--out {asked.out.stem}.npz"
        )
    for path in (asked.out, asked.plot):
        if path is not None and not path.parent.is_dir():
            raise UsageError(
                f"cannot write {path}", why=f"there is no folder {path.parent}", fix="make it, or choose another place"
            )


def _refuse_others(context: click.Context, allowed: set[str], mode: str, why: str) -> None:
    for option in context.command.params:
        if option.name not in allowed and _is_given(context, option.name or ""):
            raise _refused(option.opts[0], mode, why)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _refused(one: str, other: str, why: str) -> UsageError:
    return UsageError(f"{one} and {other} do not go together", why=why, fix="leave one of them out")

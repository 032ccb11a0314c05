"""What a run's checkpoint says of how it was trained, wherever it is copied to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from savecli.core.errors import SaveError
from savecli.model.checkpoint import Origin, read_origin
from savecli.model.precision import Precision
from savecli.training.config import RunConfig
from savecli.training.loop import has_ended
from savecli.training.run_dir import BEST, RunDir

_SELECTIONS = {
    "val": "epoch chosen by validation clips",
    "peak-test": "epoch chosen by the test split itself, as some papers do: its numbers there are too good",
    "last": "last epoch, not chosen",
}


def origin_of(config: RunConfig, precision: Precision | None) -> Origin:
    """What the checkpoints of a run keep.

    Args:
        precision: what it computes in.
    """
    return Origin(precision, f"trained on {config.dataset}, {_SELECTIONS[config.train.select]}")


def known_origin(folder: Path) -> Origin:
    """What a checkpoint keeps, and whether the run it lies in is finished.

    Runs of before kept nothing; there the run tells all. Raises as `read_origin`.
    """
    origin = read_origin(folder)
    if folder.name != BEST:
        return origin
    run_dir = RunDir(folder.parent)
    try:
        config, _ = run_dir.read_config()
    except (SaveError, KeyError, TypeError):
        return origin
    if origin == Origin():
        precision = config.train.precision
        origin = origin_of(config, None if precision == "auto" else precision)
    return replace(origin, selection=origin.selection + _unfinished(run_dir, config))


def _unfinished(run_dir: RunDir, config: RunConfig) -> str:
    """What to say of a run that is not at its end; "" of one that is, or of which only `best` is left."""
    try:
        place = run_dir.load_state(is_mapped=True)[0]
    except SaveError:
        return ""
    if has_ended(place, config.train):
        return ""
    return f"; the run is not finished (epoch {place.epoch} of {config.train.num_epochs} done)"

"""What a run's checkpoint says of how it was trained, wherever it is copied to."""

from __future__ import annotations

from pathlib import Path

from savecli.core.errors import SaveError
from savecli.model.checkpoint import Origin, read_origin
from savecli.model.precision import Precision
from savecli.training.config import RunConfig
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
    """What a checkpoint keeps, or the run it lies in tells: runs of before did not keep it. Raises as `read_origin`."""
    origin = read_origin(folder)
    if origin != Origin() or folder.name != BEST:
        return origin
    try:
        config, _ = RunDir(folder.parent).read_config()
    except (SaveError, KeyError, TypeError):
        return origin
    precision = config.train.precision
    return origin_of(config, None if precision == "auto" else precision)

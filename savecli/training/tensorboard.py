"""The numbers of a run for TensorBoard, where it is installed."""

from __future__ import annotations

import importlib
from numbers import Real
from pathlib import Path
from typing import Any

from savecli.core.errors import SaveError
from savecli.training.loop import Watch


class TensorBoardWatch:
    """Writes every number of every line, and passes the lines on.

    Args:
        inner: what else watches.
        folder: where TensorBoard finds them.

    Raises:
        SaveError: TensorBoard is not installed.
    """

    def __init__(self, inner: Watch, folder: Path) -> None:
        try:
            importlib.import_module("tensorboard")
        except ImportError as error:
            raise SaveError(
                "TensorBoard is not installed", why=str(error), fix="pip install 'savecli[tensorboard]'"
            ) from error
        self._inner = inner
        self._folder = folder
        self._writer: Any = None

    def begin(self, num_steps: int, num_done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Not before: a new run's folder must not be there yet.
        self._writer = SummaryWriter(str(self._folder), purge_step=num_done + 1)
        self._inner.begin(num_steps, num_done)

    def step(self, line: dict[str, Any]) -> None:
        self._write("step", line, line["step"])
        self._inner.step(line)

    def epoch(self, line: dict[str, Any]) -> None:
        self._write("epoch", line, line["epoch"])
        self._writer.flush()
        self._inner.epoch(line)

    def _write(self, kind: str, line: dict[str, Any], place: int) -> None:
        for name, value in line.items():
            if isinstance(value, Real) and name not in ("step", "epoch"):
                self._writer.add_scalar(f"{kind}/{name}", value, place)

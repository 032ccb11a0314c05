"""How a training run looks: live on a terminal, a line an epoch and a line a minute elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.progress_bar import LineReport, LiveBar, rich_bar
from savecli.cli.render import length

if TYPE_CHECKING:
    from savecli.core.progress import Progress
    from savecli.training.loop import Watch

_SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def shown_training() -> Iterator[tuple[Watch, Progress]]:
    """A watch for the steps and a progress for what comes before and after, in one picture."""
    if not sys.stderr.isatty():
        yield LineWatch(), LineReport()
        return
    with rich_bar() as bar:
        yield LiveWatch(bar), LiveBar(bar)


class Pace:
    """What remains of a run, from what was done since it began or went on."""

    def __init__(self, num_steps: int, num_done: int) -> None:
        self._num_steps = num_steps
        self._num_before = num_done
        self._start_s = time.monotonic()

    def left(self, num_done: int) -> str:
        """`12 min left`, or nothing as long as that would be a guess."""
        done, elapsed_s = num_done - self._num_before, time.monotonic() - self._start_s
        if done < 3:
            return ""
        return f"{length((self._num_steps - num_done) * elapsed_s / done)} left"


class LiveWatch:
    """A rich bar with the numbers of the newest step; epochs stay above it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._pace = Pace(1, 0)

    def begin(self, num_steps: int, num_done: int) -> None:
        self._pace = Pace(num_steps, num_done)
        self._task = self._bar.add_task("Training", total=num_steps, completed=num_done, state="")

    def step(self, line: dict[str, Any]) -> None:
        state = " · ".join(part for part in (step_text(line), self._pace.left(line["step"])) if part)
        self._bar.update(self._task, completed=line["step"], state=state)

    def epoch(self, line: dict[str, Any]) -> None:
        self._bar.console.print(epoch_text(line), markup=False, soft_wrap=True)


class LineWatch:
    """Plain lines, so that a log stays readable."""

    def __init__(self) -> None:
        self._num_steps = 1
        self._pace = Pace(1, 0)
        self._last_s = time.monotonic()

    def begin(self, num_steps: int, num_done: int) -> None:
        self._num_steps, self._pace = num_steps, Pace(num_steps, num_done)
        click.echo(f"Training {num_steps - num_done} steps" + (f" of {num_steps}" if num_done else ""), err=True)

    def step(self, line: dict[str, Any]) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= _SECONDS_BETWEEN_LINES:
            self._last_s = now_s
            percent = 100 * line["step"] / self._num_steps
            parts = (f"{percent:.0f}%", step_text(line), self._pace.left(line["step"]))
            click.echo("Training " + " · ".join(part for part in parts if part), err=True)

    def epoch(self, line: dict[str, Any]) -> None:
        click.echo(epoch_text(line), err=True)


class SilentWatch:
    """Draws nothing: for all processes of a run but the first."""

    def begin(self, num_steps: int, num_done: int) -> None:
        return None

    def step(self, line: dict[str, Any]) -> None:
        return None

    def epoch(self, line: dict[str, Any]) -> None:
        return None


def step_text(line: dict[str, Any]) -> str:
    """`loss 2.31 · gates 0.12 0.08 · lr 9.8e-05 · 312 clips/s · waited 1%`."""
    gates = [f"{line[name]:.2f}" for name in ("audio_gate", "speech_gate") if line[name] is not None]
    parts = [
        f"loss {line['loss']:.3f}",
        f"gates {' '.join(gates)}" if gates else "",
        f"lr {line['lr']:.1e}",
        f"{line['clips_per_s']:.0f} clips/s",
        f"waited {100 * line['wait_s'] / max(line['step_s'], 1e-9):.0f}%",
    ]
    return " · ".join(part for part in parts if part)


def epoch_text(line: dict[str, Any]) -> str:
    """`Epoch 3: R@1 41.2, SumR 180.3, MeanR 21.4 (best)`."""
    shown = (("R@1", "recall_at_1"), ("SumR", "sum_recall"), ("MeanR", "mean_rank"))
    numbers = [f"{name} {line[key]:.1f}" for name, key in shown if key in line]
    left_out = f"; {line['num_unreadable']} clips cannot be read" if line.get("num_unreadable") else ""
    best = " (best)" if line["is_best"] and numbers else ""
    return f"Epoch {line['epoch'] + 1}: {', '.join(numbers) or 'done'}{best}{left_out}"

"""Progress of long jobs: a live bar on a terminal, a line a minute elsewhere. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.render import length, one_line
from savecli.core.progress import Progress
from savecli.core.sizes import size

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A progress to hand to a room; what it drew is gone or complete when the block ends."""
    if sys.stderr.isatty():
        with rich_bar() as bar:
            yield LiveBar(bar)
    else:
        yield LineReport()


def rich_bar() -> RichProgress:
    """What a name, a bar, a percentage and a state are drawn with on stderr; they vanish at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("· {task.fields[state]}"),
    )
    return RichProgress(*columns, console=Console(stderr=True, highlight=False), transient=True)


class Pace:
    """How fast a job goes and what remains, from what was done since it began; `unit` is as `Progress.start` has it."""

    def __init__(self, total: float, unit: str) -> None:
        self._total = total
        self._unit = unit
        self._start_s = time.monotonic()
        self.done = 0.0

    def __str__(self) -> str:
        """`35 min of 1 h 42 min · 21x realtime · 3 min left`, or the same in bytes or in things of any kind."""
        elapsed_s = max(time.monotonic() - self._start_s, 1e-3)
        rate = self.done / elapsed_s
        if self._unit == "bytes":
            parts = [f"{size(self.done)} of {size(self._total)}", f"{size(rate)}/s"]
        elif self._unit != "seconds":
            parts = [f"{self.done:.0f} of {self._total:.0f} {self._unit}", f"{rate:.1f}/s"]
        else:
            parts = [f"{length(self.done)} of {length(self._total)}", f"{rate:.1f}x realtime"]
        # A pace measured over a blink would promise nonsense.
        if rate > 0 and elapsed_s > 2:
            parts.append(f"{length(max(0.0, self._total - self.done) / rate)} left")
        return " · ".join(parts)


class LiveBar:
    """A rich bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._pace = Pace(0, "seconds")

    def start(self, total: float, *, unit: str, title: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._pace = Pace(total, unit)
        self._task = self._bar.add_task(title, total=total, state="")

    def advance(self, amount: float) -> None:
        self._pace.done += amount
        self._bar.update(self._task, advance=amount, state=str(self._pace))

    def skip(self, path: Path, reason: str) -> None:
        self._bar.console.print(f"skipped {one_line(str(path))}: {reason}", markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, soft_wrap=True)


class LineReport:
    """Plain lines, so that a log stays readable."""

    def __init__(self) -> None:
        self._title = ""
        self._total = 0.0
        self._pace = Pace(0, "seconds")
        self._last_s = time.monotonic()

    def start(self, total: float, *, unit: str, title: str) -> None:
        self._title, self._total, self._pace = title, total, Pace(total, unit)
        self._last_s = time.monotonic()

    def advance(self, amount: float) -> None:
        self._pace.done += amount
        now_s = time.monotonic()
        if now_s - self._last_s >= _SECONDS_BETWEEN_LINES:
            self._last_s = now_s
            percent = 100 * self._pace.done / self._total if self._total else 100
            click.echo(f"{self._title} {percent:.0f}% · {self._pace}", err=True)

    def skip(self, path: Path, reason: str) -> None:
        click.echo(f"skipped {one_line(str(path))}: {reason}", err=True)

    def note(self, text: str) -> None:
        click.echo(text, err=True)

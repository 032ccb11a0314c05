"""How a long job tells of itself; rooms call this, the command line draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Receives seconds of video done, bytes fetched, or whatever unit `start` named."""

    def start(self, total: float, *, unit: str, title: str) -> None:
        """A job of `total` units begins."""

    def advance(self, amount: float) -> None:
        """`amount` more units are done."""

    def skip(self, path: Path, reason: str) -> None:
        """`path` was passed over."""

    def note(self, text: str) -> None:
        """Something the user should know now, e.g. that a download begins."""


class NoProgress:
    """Listens to nothing; the default of every function that takes a `Progress`."""

    def start(self, total: float, *, unit: str, title: str) -> None:
        return None

    def advance(self, amount: float) -> None:
        return None

    def skip(self, path: Path, reason: str) -> None:
        return None

    def note(self, text: str) -> None:
        return None

"""The folder of a run: what it is, how it goes, and all that is needed to go on exactly where it stopped.

config.json        the resolved config and where the data was
environment.json   versions, machine, arguments
metrics.jsonl      a line a step, and one an epoch with its scores
state.pt           weights, optimiser, random state and place, as of the last save
best/              the best checkpoint so far, in the form of every model of ours
report.json        the numbers of the test split, once it is done
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from savecli import __version__
from savecli.core.errors import SaveError, UsageError, is_disk_full
from savecli.model.checkpoint import write_json
from savecli.model.config import config_from_json, config_json
from savecli.model.open_checkpoint import refuse_several
from savecli.training.config import RunConfig, train_config_from_json, train_config_json

CONFIG, ENVIRONMENT, METRICS, STATE, BEST, REPORT = (
    "config.json",
    "environment.json",
    "metrics.jsonl",
    "state.pt",
    "best",
    "report.json",
)
FORMAT = 1
# What there may be of a run before it has a state to go on from; a new one writes it anew.
_UNSAVED = {CONFIG, ENVIRONMENT, f"{CONFIG}.part", f"{STATE}.part"}


@dataclass(frozen=True)
class Place:
    """How far a run is.

    Args:
        epoch, step: of the next step; `step` counts within the epoch.
        num_steps_done: in all.
        best_score: None before the first evaluation.
        best_mean_rank: decides between equal scores; 0, which nothing beats, in states of earlier versions.
        best_num_steps_done: in all, at the best epoch's end; 0 in states of earlier versions.
        scores: by epoch, as the metrics hold them.
    """

    epoch: int = 0
    step: int = 0
    num_steps_done: int = 0
    best_score: float | None = None
    best_epoch: int = -1
    best_mean_rank: float = 0.0
    best_num_steps_done: int = 0
    scores: tuple[float, ...] = field(default=())


@dataclass(frozen=True)
class RunData:
    """Where a run's data lies, as its config remembers it; paths are absolute, None is not given.

    Args:
        is_finetuning: it is to be compared with `start`; always False in runs of earlier versions.
    """

    root: str
    videos: str | None = None
    cache: str | None = None
    asr: str | None = None
    teacher: str | None = None
    start: str | None = None
    is_finetuning: bool = False


class RunDir:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def best(self) -> Path:
        return self.folder / BEST

    @property
    def has_state(self) -> bool:
        return (self.folder / STATE).exists()

    def check_new(self) -> None:
        """Refuse a folder in which something is already, but for what a run leaves that ended before its first save.

        Raises:
            UsageError: there is a run in it, or anything else.
        """
        if self.folder.exists() and any(path.name not in _UNSAVED for path in self.folder.iterdir()):
            raise UsageError(
                f"{self.folder} is there already",
                why="a run is never overwritten",
                fix=f"go on with `--resume {self.folder}`, or name another folder with `--out`",
            )

    def create(self, config: RunConfig, data: RunData) -> None:
        """Begin a run.

        Raises:
            UsageError: as `check_new`.
            SaveError: as `writing`.
        """
        self.check_new()
        held = {
            "format": FORMAT,
            "dataset": config.dataset,
            "data": asdict(data),
            "train": train_config_json(config.train),
            "model": config_json(config.model),
        }
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / ENVIRONMENT, _environment())
            # Last: its presence makes the folder a run.
            write_whole(self.folder / CONFIG, json.dumps(held, indent=2) + "\n")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """`writing` of this folder."""
        with writing(self.folder, can_go_on=self.has_state):
            yield

    def read_config(self) -> tuple[RunConfig, RunData]:
        """What the run is.

        Raises:
            UsageError: the folder holds no run, several, or one of another version.
        """
        refuse_several(self.folder)
        path = self.folder / CONFIG
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            version = held["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.folder} holds no run", why=f"cannot read {path}", fix="name the folder of a run"
            ) from error
        if version != FORMAT:
            raise UsageError(f"{path} has format {version}", why=f"this version reads {FORMAT}", fix="update save")
        try:
            config = RunConfig(
                dataset=held["dataset"],
                train=train_config_from_json(held["train"]),
                model=config_from_json(held["model"]),
            )
            return config, RunData(**held["data"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{path} is not as training writes it", why=f"bad or missing: {error}", fix="begin a new run"
            ) from error

    def save_state(self, place: Place, state: Mapping[str, Any]) -> None:
        """Keep the whole state of a run; the old one stays until the new one is complete.

        Raises:
            SaveError: as `writing`.
        """
        part = self.folder / f"{STATE}.part"
        with self.writing():
            try:
                with part.open("wb") as file:
                    torch.save({"place": asdict(place), **state}, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self.folder / STATE)
            except RuntimeError as error:  # torch's own words for a file that took no more
                raise _system_error(error) from error
            finally:
                part.unlink(missing_ok=True)

    def load_state(self, *, is_mapped: bool = False) -> tuple[Place, dict[str, Any]]:
        """What `save_state` kept.

        Args:
            is_mapped: weights are read only when they are looked at.

        Raises:
            SaveError: there is no state, or it is damaged.
        """
        path = self.folder / STATE
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
            place = state.pop("place")
            return Place(**{**place, "scores": tuple(place["scores"])}), state
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
            damaged = f"it is damaged: {(str(error) or type(error).__name__).splitlines()[0]}"
            why = "the run ended before its first save" if not path.exists() else damaged
            raise SaveError(f"cannot go on from {path}", why=why, fix="begin a new run") from error

    def log(self, line: Mapping[str, Any]) -> None:
        """One line of metrics."""
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cut_log(self, num_steps_done: int, epoch: int) -> None:
        """Drop what was logged behind a state, as it will come again; also a line that a kill left half."""
        path = self.folder / METRICS
        if not path.exists():
            return
        kept = []
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            is_step = line["kind"] == "step"
            if (is_step and line["step"] <= num_steps_done) or (not is_step and line.get("epoch", 0) < epoch):
                kept.append(text)
        write_whole(path, "".join(f"{text}\n" for text in kept))

    def write_report(self, report: Mapping[str, Any]) -> None:
        """The numbers of the test split. Raises as `writing`."""
        with self.writing():
            write_whole(self.folder / REPORT, json.dumps(report, indent=2) + "\n")


@contextmanager
def writing(folder: Path, *, can_go_on: bool) -> Iterator[None]:
    """Turns a file that cannot be written into an error that says how training can be gone on with.

    Args:
        can_go_on: something is kept already that `--resume` takes.

    Raises:
        SaveError: the disk is full, or the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        is_full = is_disk_full(error)
        words = error.strerror or str(error)
        first = "make room" if is_full else "make the folder writable"
        then = "go on with `--resume`: the last saved state is still there"
        raise SaveError(
            f"cannot write to {folder}",
            why=f"the disk is full: {words}" if is_full else words,
            fix=f"{first}, then {then if can_go_on else 'delete it and begin anew: nothing was saved yet'}",
        ) from error


def path_or_none(text: str | None) -> Path | None:
    """A path of `RunData`."""
    return None if text is None else Path(text)


def write_whole(path: Path, text: str) -> None:
    """A file that is there with all of the text, or as it was before."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _system_error(error: BaseException) -> OSError:
    """What the system said, behind what a library made of it."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, OSError):
        behind = behind.__context__
    return OSError(str(error).splitlines()[0]) if behind is None else OSError(*behind.args)


def _environment() -> dict[str, Any]:
    return {
        "save": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "num_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "arguments": sys.argv[1:],
        "started_at_s": int(time.time()),
    }

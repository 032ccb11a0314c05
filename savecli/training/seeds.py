"""Several runs that differ by their seed alone, in one folder that is enough to go on with all of them.

seeds.json    what was asked for
seed0/, …     a run each
report.json   mean and deviation over them, once all are done
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from savecli.core.errors import UsageError
from savecli.model.clip_spec import parse_clip_spec
from savecli.model.open_checkpoint import SEEDS
from savecli.training.launch import RunRequest
from savecli.training.run_dir import REPORT, RunDir, write_whole, writing

FORMAT = 1
_PATHS = ("root", "audio", "videos", "cache", "asr", "teacher")


def seed_runs(request: RunRequest, num_seeds: int) -> list[RunRequest]:
    """A run for each seed, from the request's own on, in a folder within the request's."""
    first = request.seed or 0
    return [_with_seed(request, seed) for seed in range(first, first + num_seeds)]


def keep_seeds(request: RunRequest, runs: Sequence[RunRequest]) -> None:
    """Begin a folder of several runs.

    Raises:
        UsageError: there is a run in it, or anything else; or `clip` means nothing.
        SaveError: it cannot be written.
    """
    # Before hours have gone into the first run. Where none was begun, as a setting was refused, one may ask anew.
    if any(path.name != SEEDS for path in request.out.glob("*")):
        RunDir(request.out).check_new()
    held = {name: value for name, value in asdict(request).items() if name not in ("out", "seed")}
    for name in _PATHS:
        held[name] = None if held[name] is None else str(held[name].absolute())
    if request.clip is not None:
        held["clip"] = parse_clip_spec(request.clip).name  # with its path absolute
    document = {"format": FORMAT, "seeds": [run.seed for run in runs], "request": held}
    with writing(request.out, can_go_on=False):
        request.out.mkdir(parents=True, exist_ok=True)
        write_whole(request.out / SEEDS, json.dumps(document, indent=2) + "\n")


def kept_seeds(folder: Path) -> list[RunRequest] | None:
    """The runs that `keep_seeds` kept; None for a folder that holds no such.

    Raises:
        UsageError: the file is damaged, or of another version.
    """
    path = folder / SEEDS
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UsageError(
                f"{path} has format {document['format']}", why=f"this version reads {FORMAT}", fix="update save"
            )
        held = dict(document["request"])
        paths = {name: None if held[name] is None else Path(held[name]) for name in _PATHS}
        request = RunRequest(**{**held, **paths, "settings": tuple(held["settings"]), "out": folder})
        return [_with_seed(request, int(seed)) for seed in document["seeds"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not as training writes it", why=f"bad or missing: {error}", fix="begin new runs"
        ) from error


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Keep the numbers over all seeds. Raises as `writing`."""
    with writing(folder, can_go_on=True):
        write_whole(folder / REPORT, json.dumps(summary, indent=2) + "\n")


def _with_seed(request: RunRequest, seed: int) -> RunRequest:
    return replace(request, seed=seed, out=request.out / f"seed{seed}")

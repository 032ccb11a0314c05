"""An evaluation as a file, so that numbers can be had again, or compared, without the model."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from savecli.core.errors import SaveError, UsageError
from savecli.training.records import Evaluation

FORMAT = 1
_TEXTS = ("dataset", "split", "clip_ids", "captions", "groups", "is_grouped")
_COUNTS = ("num_with_audio", "num_with_speech", "num_missing")
_GATES = "gates_"


def write_evaluation(evaluation: Evaluation, path: Path, *, selection: str = "") -> None:
    """Write `path`, an `.npz` of arrays and one JSON text; it is there whole or not at all.

    Args:
        selection: how the epoch was chosen, which later reports must say too.

    Raises:
        SaveError: it cannot be written.
    """
    facts = {
        "format": FORMAT,
        "selection": selection,
        "dropped": dict(evaluation.dropped),
        "precision": evaluation.precision,
        "num_unreadable": evaluation.num_unreadable,
        **{name: getattr(evaluation, name) for name in (*_TEXTS, *_COUNTS)},
    }
    arrays: dict[str, Any] = {f"{_GATES}{signal}": values for signal, values in evaluation.gates.items()}
    arrays["similarity"] = evaluation.similarity
    arrays["video_of_caption"] = evaluation.video_of_caption
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)
        part.replace(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise SaveError(f"cannot write {path}", why=why, fix="choose another place, or make room") from error
    finally:
        part.unlink(missing_ok=True)


def read_evaluation(path: Path) -> Evaluation:
    """What `write_evaluation` wrote. Nothing in the file is run.

    Raises:
        UsageError: there is no such file, or it is none of ours or of a later version.
    """
    facts, arrays = _read(path)
    try:
        return Evaluation(
            **{name: _frozen(facts[name]) for name in (*_TEXTS, *_COUNTS)},
            dropped=facts.get("dropped", {}),
            precision=facts.get("precision", ""),
            num_unreadable=facts.get("num_unreadable"),
            video_of_caption=arrays["video_of_caption"],
            similarity=arrays["similarity"],
            gates={name.removeprefix(_GATES): arrays[name] for name in arrays if name.startswith(_GATES)},
        )
    except (KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def read_selection(path: Path) -> str:
    """What `write_evaluation` was told of the epoch's choice. Raises as `read_evaluation`."""
    return str(_read(path)[0].get("selection", ""))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts and arrays."""
    try:
        with np.load(path, allow_pickle=False) as held:
            facts = json.loads(str(held["facts"]))
            arrays = {name: held[name] for name in held.files if name != "facts"}
        version = facts["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if version != FORMAT:
        raise UsageError(f"{path} has format {version}", why=f"this version reads {FORMAT}", fix="update save")
    return facts, arrays


def _unreadable(path: Path, error: Exception) -> UsageError:
    why = "there is none" if isinstance(error, FileNotFoundError) else f"bad or missing: {error}"
    return UsageError(
        f"cannot read the evaluation {path}", why=why, fix="name a file that `save eval --out FILE.npz` wrote"
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

"""Our checkpoints: a folder that is enough to rebuild a model, and nothing in it runs code.

config.json        the model's config
model.safetensors  its weights, float32
preprocess.json    how clips and texts become its inputs
origin.json        how it was trained, where training wrote it
README.md          the model card
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from savecli.core.errors import UsageError, WeightsError
from savecli.model.build import build_model
from savecli.model.clip_model import Unfilled
from savecli.model.config import ModelConfig, config_from_json, config_json
from savecli.model.convert import refuse_differences
from savecli.model.precision import Precision
from savecli.model.save_model import SaveModel

CONFIG, WEIGHTS, PREPROCESS, CARD = "config.json", "model.safetensors", "preprocess.json", "README.md"
ORIGIN = "origin.json"
# Raise it when what a config means changes.
FORMAT = 1


@dataclass(frozen=True)
class Origin:
    """How a model came to be, as far as reports depend on it; no part of what decides its embeddings.

    Args:
        precision: what it was trained and scored in; None unknown.
        selection: what it learned from, and how its epoch was chosen; "" unknown.
    """

    precision: Precision | None = None
    selection: str = ""


class Checkpoint(NamedTuple):
    """A model in evaluation mode, its config, and what is known of its training."""

    model: SaveModel
    config: ModelConfig
    origin: Origin = Origin()


def save_checkpoint(
    model: SaveModel,
    config: ModelConfig,
    folder: Path,
    *,
    notes: str = "",
    origin: Origin | None = None,
    replace: bool = False,
) -> None:
    """Write the model's folder; it is there whole or not at all.

    Args:
        notes: what the card says of how the model came to be.
        replace: put it in the place of what is there.

    Raises:
        UsageError: something is there already.
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    def write(part: Path) -> None:
        state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        try:
            save_file(state, part / WEIGHTS, metadata={"format": "pt"})
        except SafetensorError as error:  # "... I/O error: No space left on device (os error 28)"
            number = int(found[1]) if (found := re.search(r"os error (\d+)", str(error))) else 0
            raise (OSError(number, os.strerror(number)) if number else OSError(str(error))) from error
        write_json(part / CONFIG, {"format": FORMAT, **config_json(config)})
        write_json(part / PREPROCESS, preprocessing(config))
        if origin is not None:
            write_json(part / ORIGIN, asdict(origin))
        (part / CARD).write_text(_card(model, config, notes), encoding="utf-8")
        shutil.copymode(part / CARD, part / WEIGHTS)  # safetensors makes files that only their owner can read

    write_folder(folder, write, replace=replace)


def load_checkpoint(folder: Path, *, device: torch.device | str = "cpu") -> Checkpoint:
    """The model of a folder that `save_checkpoint` wrote. Reads JSON and safetensors only.

    Raises:
        WeightsError: a file is missing or damaged, or weights and config do not fit.
        UsageError: the config is of a later version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_config(folder)
    with Unfilled():
        model = build_model(config)
    try:
        state = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot load {folder / WEIGHTS}", why=str(error), fix="copy the folder again") from error
    wanted = model.state_dict()
    misfits = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    missing = [name for name in wanted if name not in state or name in misfits]
    refuse_differences(missing, [name for name in state if name not in wanted], str(folder / WEIGHTS))
    model.load_state_dict(state)
    return Checkpoint(model.to(device).eval(), config, read_origin(folder))


def read_origin(folder: Path) -> Origin:
    """What training kept of a checkpoint's making; all unknown where it kept nothing.

    Raises:
        WeightsError: the file is damaged.
    """
    path = folder / ORIGIN
    try:
        origin = Origin(**json.loads(path.read_text(encoding="utf-8")))
        if origin.precision not in (None, *get_args(Precision)):
            raise ValueError(f"no precision `{origin.precision}`")
    except FileNotFoundError:
        return Origin()
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"cannot read {path}", why=str(error), fix="copy the folder again, or delete it") from error
    return origin


def read_config(folder: Path) -> ModelConfig:
    """The config alone. Raises as `load_checkpoint`."""
    path = folder / CONFIG
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        version = held.pop("format")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        why = "there is none" if isinstance(error, FileNotFoundError) else f"bad or missing: {error}"
        raise WeightsError(
            f"cannot read {path}", why=why, fix="name a folder that `save models import` or training wrote"
        ) from error
    if version != FORMAT:
        raise UsageError(f"{folder} has format {version}", why=f"this version reads {FORMAT}", fix="update save")
    return config_from_json(held)


def checkpoint_fingerprint(folder: Path) -> str:
    """Hex digest of what decides the embeddings: config, preprocessing and weights, not the card."""
    digest = hashlib.sha256()
    for name in (CONFIG, PREPROCESS, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def checkpoint_logit_scale(folder: Path) -> float:
    """By how much the model multiplies similarities; reads nothing else of the weights.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            return float(file.get_tensor("logit_scale").exp())
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot load {folder / WEIGHTS}", why=str(error), fix="copy the folder again") from error


def preprocessing(config: ModelConfig) -> dict[str, Any]:
    """What `preprocess.json` holds: pixels, counts of frames and tokens, and the filter bank's size."""
    sound = None
    if config.audio is not None:
        kind = config_json(config)["audio"]["kind"]
        sound = {"kind": kind, "rows": config.audio.num_rows, "mel_bins": config.audio.num_mel_bins}
    return {"pixels": asdict(config.clip.pixels), **asdict(config.inputs), "bank": sound}


def write_folder(folder: Path, write: Callable[[Path], None], *, replace: bool = False) -> None:
    """Let `write` fill a folder beside `folder`, then put it in its place.

    Raises:
        UsageError: something is there already, and is not to be replaced.
    """
    if folder.exists() and not replace:
        raise UsageError(f"{folder} is there already", why="nothing is overwritten unasked", fix="choose another name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        write(part)
        for path in part.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        if folder.exists():
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
            folder.rename(old)
            part.rename(folder)
            shutil.rmtree(old)
        else:
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: Path, held: Mapping[str, Any]) -> None:
    """One readable JSON document."""
    path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def _card(model: SaveModel, config: ModelConfig, notes: str) -> str:
    """What a person who finds the folder needs to know."""
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    senses = ["pictures", *(["sound"] if config.audio else []), *(["speech"] if config.has_speech else [])]
    vision = config.clip.model["vision_cfg"]
    tower = f"{vision['layers']} layers, {vision['width']} wide"
    return f"""# {config.name}

A video retrieval model of the SAVE family: {", ".join(senses)} of a clip in, one representation out,
compared with text.

- preset: `{config.name}`
- parameters: {millions:.1f} million, float32
- vision transformer: {tower}; {config.inputs.num_frames} frames a clip
- shared width: {config.clip.dimension}
{f"- {notes}" if notes else "- trained by: not said"}

Load it in Python: `savecli.model.checkpoint.load_checkpoint(folder)`. `config.json` is enough to rebuild the network,
`preprocess.json` says how its inputs are made.
"""

"""Foreign weight files to folders of ours, for `save models import`."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from savecli.core.errors import WeightsError
from savecli.model.audio_names import audio_state, is_ast, is_whisper
from savecli.model.build import build_model
from savecli.model.checkpoint import CONFIG, WEIGHTS, save_checkpoint, write_folder, write_json
from savecli.model.clip_checkpoint import NOT_WEIGHTS, is_torchscript, torchscript_state
from savecli.model.clip_config import CONFIG_FILE
from savecli.model.clip_model import Unfilled, build_towers
from savecli.model.clip_weights import WEIGHTS_FILE
from savecli.model.config import AstConfig, WhisperConfig
from savecli.model.convert import (
    clip_of_weights,
    from_reference,
    is_reference,
    reference_config,
    refuse_differences,
)

State = dict[str, torch.Tensor]


class Imported(NamedTuple):
    """What a file turned out to hold: a whole model by the authors, a CLIP, or an audio encoder."""

    kind: Literal["save", "clip", "audio"]
    name: str


def import_file(path: Path, folder: Path) -> Imported:
    """Convert a weights file into `folder`.

    A SAVE or AVIGATE becomes a checkpoint of ours, a CLIP a folder as open_clip has them, an audio encoder its sizes
    and weights.

    Raises:
        WeightsError: the file is damaged, asks to run code, or holds something else.
        UsageError: the folder is there already.
    """
    state = read_state(path)
    if is_reference(state):
        config = reference_config(state)
        with Unfilled():
            model = build_model(config)
        model.load_state_dict(from_reference(state, model.state_dict()))
        save_checkpoint(model, config, folder, notes=f"imported from the authors' `{path.name}`")
        return Imported("save", config.name)
    if "visual.conv1.weight" in state and "text_projection" in state:
        _write_clip(state, folder)
        return Imported("clip", "CLIP")
    if is_ast(state) or is_whisper(state):
        name = "AST" if is_ast(state) else "Whisper encoder"
        _write_audio(state, folder)
        return Imported("audio", name)
    raise WeightsError(
        f"{path} holds no weights that can be imported",
        why=f"it has {len(state)} tensors, the first is `{next(iter(state), '')}`",
        fix="import the authors' SAVE or AVIGATE checkpoint, OpenAI's CLIP, AST or Whisper",
    )


def read_state(path: Path) -> State:
    """The tensors of a safetensors file, a state dict, or a TorchScript archive; nothing in it is run.

    Raises:
        WeightsError: the file is missing or damaged, or asks to run code.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            return torchscript_state(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        why = "the file asks to run code or is damaged; only plain weights are read"
        raise WeightsError(f"cannot load {path}", why=why, fix="fetch it again from its authors") from error
    except (OSError, EOFError, RuntimeError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise WeightsError(f"cannot load {path}", why=why, fix="check the path, or fetch the file again") from error
    state = _unwrapped(held)
    if not state:
        raise WeightsError(
            f"cannot load {path}", why="it holds no state dict", fix="name a file of weights, not of an optimiser"
        )
    return state


def _unwrapped(held: Any) -> State:
    """The state dict inside what trainers wrap around it, under the names it had before."""
    while isinstance(held, Mapping):
        inner = next((held[key] for key in ("state_dict", "model_state_dict", "model") if key in held), None)
        if not isinstance(inner, Mapping):
            break
        held = inner
    if not isinstance(held, Mapping):
        return {}
    tensors = {str(name).removeprefix("module."): value for name, value in held.items()}
    return {
        name: value for name, value in tensors.items() if isinstance(value, torch.Tensor) and name not in NOT_WEIGHTS
    }


def _write_clip(state: State, folder: Path) -> None:
    config = clip_of_weights(state)
    with Unfilled():
        wanted = build_towers(config).state_dict()
    refuse_differences(
        [name for name in wanted if name not in state], [name for name in state if name not in wanted], "the CLIP file"
    )
    held = {name: state[name].float().contiguous() for name in wanted}

    def write(part: Path) -> None:
        from safetensors.torch import save_file

        save_file(held, part / WEIGHTS_FILE, metadata={"format": "pt"})
        write_json(part / CONFIG_FILE, config.folder_config())

    write_folder(folder, write)


def _write_audio(state: State, folder: Path) -> None:
    held = {name: value.contiguous() for name, value in audio_state(state).items()}
    width = held["norm.weight"].shape[0]
    layers = len({name.split(".")[2] for name in held if name.startswith("encoder.layers.")})
    heads = max(1, width // 64)
    sizes: dict[str, Any]
    if is_ast(state):
        sizes = {"kind": "ast", **asdict(AstConfig(width=width, layers=layers, heads=heads))}
    else:
        num_mel_bins = held["encoder.conv1.weight"].shape[1]
        whisper = WhisperConfig(width=width, layers=layers, heads=heads, num_mel_bins=num_mel_bins)
        sizes = {"kind": "whisper", **asdict(whisper)}

    def write(part: Path) -> None:
        from safetensors.torch import save_file

        save_file(held, part / WEIGHTS, metadata={"format": "pt"})
        write_json(part / CONFIG, sizes)

    write_folder(folder, write)

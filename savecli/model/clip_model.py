"""Building an open_clip model and loading its weights, safely, from any of the forms they come in."""

from __future__ import annotations

import logging
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from savecli.core.errors import WeightsError
from savecli.model.clip_weights import ClipSource
from savecli.model.precision import Precision, cast_weights
from savecli.model.text import TextBranch, Tokenizer
from savecli.model.vision import VisionBranch


@dataclass(frozen=True)
class ClipModel:
    """Both branches of a CLIP, in evaluation mode, on `device`."""

    vision: VisionBranch
    text: TextBranch
    device: torch.device
    precision: Precision


def load_clip(source: ClipSource, *, device: torch.device, precision: Precision) -> ClipModel:
    """The model of `source`, whose weights are on this machine.

    Raises:
        WeightsError: the file is damaged, holds another architecture, or asks for unsafe unpickling.
    """
    model = build_clip(source)
    load_weights(model, cast(Path, source.weights), name=source.spec.name)
    cast_weights(model, precision)
    model = model.to(device).eval()
    vision = VisionBranch(cast(nn.Module, model.visual))
    del model.visual  # the text branch keeps the rest
    return ClipModel(vision, TextBranch(model, build_tokenizer(source)), device, precision)


def load_text_branch(source: ClipSource, *, device: torch.device, precision: Precision) -> TextBranch:
    """The text half of the model, without the memory of the vision half."""
    return load_clip(source, device=device, precision=precision).text


def build_clip(source: ClipSource) -> nn.Module:
    """The architecture of `source` in fp32 on the CPU, its weights still random."""
    import open_clip

    with _quiet():
        model = open_clip.create_model(
            _open_clip_name(source),
            load_weights=False,
            pretrained_text=False,  # the whole model's weights follow: do not fetch a tower's from the hub
            force_quick_gelu=source.config.quick_gelu,
        )
    return cast(nn.Module, model)


def build_tokenizer(source: ClipSource) -> Tokenizer:
    """What cuts texts into the model's tokens.

    Raises:
        WeightsError: the tokenizer lies on the hub and cannot be had.
    """
    import open_clip

    try:
        return cast(Tokenizer, open_clip.get_tokenizer(_open_clip_name(source)))
    except (OSError, ImportError) as error:
        raise WeightsError(
            f"cannot load the tokenizer of {source.spec.name}",
            why=str(error).splitlines()[0],
            fix="pip install transformers, and run once with a connection; or choose a model with CLIP's own tokenizer",
        ) from error


def load_weights(model: nn.Module, path: Path, *, name: str) -> None:
    """Put the numbers of a checkpoint into `model`: safetensors, a state dict, or OpenAI's TorchScript archive.

    Never runs code from the file: pickles are read with `weights_only`.

    Raises:
        WeightsError: see `load_clip`.
    """
    from open_clip.factory import load_checkpoint

    try:
        if _is_torchscript(path):
            model.load_state_dict(_torchscript_state(path))
        else:
            load_checkpoint(model, str(path), strict=True, weights_only=True)
    except pickle.UnpicklingError as error:
        why = "the file asks to run code or is damaged; only plain weights are read"
        raise WeightsError(
            f"cannot load {path}", why=why, fix="convert it to .safetensors on a machine you trust"
        ) from error
    except (OSError, EOFError) as error:
        raise WeightsError(f"cannot load {path}", why=str(error), fix="fetch the file again") from error
    except Exception as error:
        # A mismatch is a RuntimeError of many lines, damage one of several types of safetensors and zip readers.
        why = " ".join(line.strip() for line in str(error).splitlines()[:2])[:300]
        raise WeightsError(
            f"{path} does not hold weights of {name}",
            why=why or type(error).__name__,
            fix="name the right architecture: `clip:MODEL=FILE`; or fetch the file again",
        ) from error


def _open_clip_name(source: ClipSource) -> str:
    return source.spec.architecture or f"local-dir:{source.spec.path}"


def _is_torchscript(path: Path) -> bool:
    if path.suffix == ".safetensors" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _torchscript_state(path: Path) -> dict[str, torch.Tensor]:
    """The weights inside OpenAI's own `.pt`; its program is read by torch's restricted reader and never run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the file's authors chose it in 2021
        state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    return {
        key: value for key, value in state.items() if key not in ("input_resolution", "context_length", "vocab_size")
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip logs to the root logger, which sets up logging for the whole process, and warns of what we decided."""
    root, handler = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)

"""Reading CLIP checkpoints, safely, in any of the forms they come in."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from savecli.core.errors import WeightsError

# What OpenAI's archives hold besides weights.
NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


def load_weights(model: nn.Module, path: Path, *, name: str, leave_out: str = "") -> None:
    """Put the numbers of a checkpoint into `model`: safetensors, a state dict, or OpenAI's TorchScript archive.

    Never runs code from the file: pickles are read with `weights_only`. Parameters whose names begin with `leave_out`
    may be passed over.

    Raises:
        WeightsError: the file is damaged, holds another architecture, or asks to run code.
    """
    from open_clip.factory import load_checkpoint

    try:
        if path.suffix == ".safetensors" and _stream(model, path, leave_out):
            return
        if is_torchscript(path):
            model.load_state_dict(torchscript_state(path))
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


def _stream(model: nn.Module, path: Path, leave_out: str) -> bool:
    """Copy tensor by tensor where the file holds exactly the model's; False, with nothing done, where it does not.

    The file is opened anew for each: what is mapped counts as this process's memory until it is closed.
    """
    from safetensors import safe_open

    targets = model.state_dict()
    with safe_open(path, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if shapes != {name: tuple(target.shape) for name, target in targets.items()}:
        return False
    for name, target in targets.items():
        if leave_out and name.startswith(leave_out):
            continue
        with safe_open(path, framework="pt") as file, torch.no_grad():
            target.copy_(file.get_tensor(name))
    return True


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, as OpenAI's own `.pt` are."""
    if path.suffix == ".safetensors" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def torchscript_state(path: Path) -> dict[str, torch.Tensor]:
    """The weights inside OpenAI's own `.pt`; its program is read by torch's restricted reader and never run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the file's authors chose it in 2021
        state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    return {key: value for key, value in state.items() if key not in NOT_WEIGHTS}

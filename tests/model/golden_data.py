"""Reading the golden data into our modules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from savecli.model.reference_names import TRANSPOSED, reference_name


def said(golden: Path, name: str) -> dict[str, Any]:
    """What the JSON file of that name says."""
    held: dict[str, Any] = json.loads((golden / f"{name}.json").read_text(encoding="utf-8"))
    return held


def tensors(golden: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of that name, halves as float32."""
    return {key: half_to_float(value) for key, value in load_file(golden / f"{name}.safetensors").items()}


def half_to_float(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def load_named(module: nn.Module, prefix: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Fill `module`, which a model holds under the name `prefix`, from the reference's names; all of it."""
    state = {}
    for name in module.state_dict():
        theirs = reference_name(f"{prefix}.{name}")
        state[name] = weights[theirs].T if theirs in TRANSPOSED else weights[theirs]
    module.load_state_dict(state)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    """The largest difference is within `tolerance`; shapes are equal."""
    assert ours.shape == theirs.shape
    worst = (ours.detach().double() - theirs.double()).abs().max().item()
    assert worst <= tolerance, f"off by {worst:.2e}, allowed {tolerance:.0e}"

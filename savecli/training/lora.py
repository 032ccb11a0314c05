"""Low-rank updates of the towers (Hu et al. 2022), through peft: a small set moves few numbers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from savecli.core.errors import SaveError
from savecli.model.build import build_model
from savecli.model.clip_model import Unfilled
from savecli.model.config import ModelConfig
from savecli.model.save_model import SaveModel

# The linear layers of a tower's feed-forward parts; its attention keeps its weights in one tensor of its own kind.
_TARGETS = ["c_fc", "c_proj"]
_ADAPTER = "save"


def add_lora(model: SaveModel, *, rank: int) -> None:
    """Freeze the towers, and give their feed-forward layers updates of this rank that start at zero.

    Raises:
        SaveError: peft is not installed.
    """
    peft = _peft()
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_TARGETS)
    for tower in (model.vision.tower, model.text.model):
        tower.requires_grad_(False)
        peft.inject_adapter_in_model(config, tower, adapter_name=_ADAPTER)


def plain_model(model: SaveModel, config: ModelConfig) -> SaveModel:
    """A model of the same function without adapters; `model` itself where it has none."""
    updates = {name: layer for name, layer in model.named_modules() if _is_adapted(layer)}
    if not updates:
        return model
    state = dict(_plain_state(model, updates))
    with Unfilled():
        plain = build_model(config)
    plain.load_state_dict(state)
    return plain.eval()


def _plain_state(model: SaveModel, updates: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        layer = updates.get(name.rpartition(".base_layer.")[0])
        if layer is not None and name.endswith(".weight"):
            value = value + layer.get_delta_weight(_ADAPTER)
        yield plain, value.detach().cpu()


def _is_adapted(module: torch.nn.Module) -> bool:
    return hasattr(module, "get_delta_weight") and hasattr(module, "base_layer")


def _peft() -> ModuleType:
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise SaveError(
            "LoRA needs the package peft", why="it is not installed", fix="pip install 'savecli[lora]'"
        ) from error

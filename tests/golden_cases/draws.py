"""What a made folder is filled with: sizes that the shipped data does not have, weights, and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tests.obvious.names import Shapes, Sizes
from tests.obvious.system import HEAD_WIDTH

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Folder:
    """Where the files go."""

    path: Path

    def say(self, name: str, said: Mapping[str, Any]) -> None:
        """Write a JSON file; NaN becomes null."""
        text = json.dumps(plain(said), ensure_ascii=False, allow_nan=False)
        (self.path / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Write tensors; float64 becomes float32."""
        kept = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        kept = {key: value.float() if value.dtype == torch.float64 else value for key, value in kept.items()}
        save_file(kept, self.path / f"{name}.safetensors")


def plain(value: Any) -> Any:
    """Lists, numbers and text."""
    if isinstance(value, Mapping):
        return {str(key): plain(own) for key, own in value.items()}
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Draws:
    """Random choices, the same for the same seed."""

    rng: np.random.Generator

    def pick(self, low: int, high: int, *, but: int) -> int:
        """One of `low..high`, but not what the shipped data has."""
        return int(self.rng.choice([number for number in range(low, high + 1) if number != but]))

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        """Float64, exact in float32, so that both precisions begin with the same numbers."""
        return torch.as_tensor(scale * self.rng.standard_normal(shape), dtype=torch.float32).double()

    def features(self, *shape: int) -> torch.Tensor:
        return self.normal(*shape, scale=0.5)

    def lengths(self, count: int, most: int) -> list[int]:
        """The first two items are full, the last has one; the others are between."""
        between = self.rng.integers(2, most, count - 3).tolist() if count > 3 else []
        return [most, most, *between, 1][:count]


def mask_of(lengths: list[int], most: int) -> torch.Tensor:
    return (torch.arange(most) < torch.tensor(lengths)[:, None]).long()


def draw_sizes(draws: Draws) -> Sizes:
    """Of the tiny model: each unlike the shipped one's."""
    rng, pick = draws.rng, draws.pick
    hidden, vision_heads, ast_heads = HEAD_WIDTH * pick(2, 3, but=1), pick(1, 3, but=2), pick(3, 6, but=4)
    fusion_layers, resampler_layers = pick(1, 3, but=2), pick(1, 3, but=2)
    patch = pick(5, 10, but=8)
    return Sizes(
        hidden=hidden,
        text_layers=max(fusion_layers, resampler_layers) + 2 * pick(0, 1, but=-1),
        text_heads=hidden // HEAD_WIDTH,
        vision_width=HEAD_WIDTH * vision_heads,
        vision_layers=pick(1, 3, but=2),
        vision_heads=vision_heads,
        patch=patch,
        image_resolution=patch * pick(2, 5, but=4),
        vocab=pick(200, 700, but=512),
        context_length=pick(44, 90, but=77),
        embed_dim=hidden,
        ast_width=ast_heads * pick(5, 9, but=12),
        ast_heads=ast_heads,
        ast_layers=pick(1, 3, but=2),
        fusion_layers=fusion_layers,
        resampler_layers=resampler_layers,
        num_query_tokens=pick(5, 17, but=12),
        max_frames=pick(5, 17, but=12),
        max_words=pick(14, 40, but=32),
        temperature=float(rng.choice([1.5, 2.0])),
        beta=float(rng.choice([0.15, 0.3])),
        margin=float(rng.choice([0.08, 0.15])),
        ast_patch=int(rng.choice([12, 20])),
        ast_classes=pick(2, 9, but=5),
    )


def draw_weights(shapes: Shapes, draws: Draws, *, half: bool = False) -> State:
    """Numbers that keep what passes through at about one and the gates open; with `half`, exact in float16."""
    state = {name: draw_parameter(name, shape, draws) for name, shape in shapes.items()}
    return {name: value.half().double() for name, value in state.items()} if half else state


def draw_parameter(name: str, shape: list[int], draws: Draws) -> torch.Tensor:
    if name.endswith("logit_scale"):
        return torch.tensor(float(draws.rng.uniform(2.2, 3.0)), dtype=torch.float64)
    part = name.split(".")[-2] if name.endswith((".weight", ".bias")) else name
    if part.startswith(("ln_", "norm")):
        return draws.normal(*shape, scale=0.1) + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return draws.normal(*shape, scale=0.1)
    if "embed" in part or "token" in part:
        return draws.normal(*shape, scale=0.3)
    inner = shape[0] if name.endswith(("projection", "visual.proj")) else math.prod(shape[1:])
    wide = 2.5 if part.endswith(("ag_fc", "fg_fc")) else 1.0
    return draws.normal(*shape, scale=wide * inner**-0.5)

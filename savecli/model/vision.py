"""The vision branch: pictures to embeddings, over any image tower of open_clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class VisionBranch(nn.Module):
    """Frames to per-frame embeddings.

    Args:
        tower: open_clip's `visual`.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        transformer = getattr(tower, "transformer", None)
        if isinstance(transformer, nn.Module):
            transformer.register_forward_pre_hook(_residual_in_fp32)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit float32 of `(N, 3, S, S)` normalised pixels."""
        return functional.normalize(self.features(pixels), dim=-1)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(N, D)` float32 as the tower gives them, of any length."""
        features = self.tower(pixels)
        if isinstance(features, tuple):  # CoCa: (pooled, tokens)
            features = features[0]
        return features.float()  # type: ignore[no-any-return]

    def freeze_stem(self) -> None:
        """Take the patch and position embeddings and the norm behind them out of training, as published."""
        for name, parameter in self.tower.named_parameters():
            if name.partition(".")[0] in ("class_embedding", "positional_embedding", "conv1", "ln_pre"):
                parameter.requires_grad_(False)


def _residual_in_fp32(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The transformer's inputs with the stream in fp32: under autocast only the products are then in bf16."""
    return (inputs[0].float(), *inputs[1:])

"""What makes a sequence of single frames."""

from __future__ import annotations

import torch
from torch import nn

from savecli.model.blocks import FUSION_NORM_EPS, EncoderLayer, quick_gelu
from savecli.model.config import Temporal


class TemporalHead(nn.Module):
    """Frames that know their place, one of:

    none         frames as they are: CLIP4Clip's mean pooling
    positions    v = frames + positions, as SAVE and AVIGATE
    transformer  frames + Transformer(frames + positions), CLIP4Clip's "sequential transformer"
    lstm         frames + LSTM(frames), CLIP4Clip's "sequential LSTM"

    Args:
        max_frames: how many positions there are; CLIP's text positions start them, so 77.
    """

    def __init__(self, kind: Temporal, *, width: int, max_frames: int, layers: int, heads: int) -> None:
        super().__init__()
        self.kind = kind
        has_positions = kind in ("positions", "transformer")
        self.positions = nn.Parameter(torch.randn(max_frames, width) * 0.01) if has_positions else None
        depth = layers if kind == "transformer" else 0
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, norm_eps=FUSION_NORM_EPS, activation=quick_gelu) for _ in range(depth)
        )
        self.lstm = nn.LSTM(width, width, batch_first=True) if kind == "lstm" else None

    def forward(self, frames: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`(B, F, D)` of `(B, F, D)`; padding, which must be at the end, changes no real frame.

        Raises:
            ValueError: more frames than positions.
        """
        x = frames
        if self.positions is not None:
            if frames.shape[1] > len(self.positions):
                raise ValueError(f"{frames.shape[1]} frames a clip; allowed: up to {len(self.positions)}")
            x = frames + self.positions[: frames.shape[1]]
        if self.kind == "positions" or self.kind == "none":
            return x
        if self.lstm is not None:
            return frames + self.lstm(frames)[0].float()  # type: ignore[no-any-return]
        for layer in self.layers:
            x = layer(x, mask=mask)
        return frames + x

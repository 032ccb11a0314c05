"""The gated fusion transformer: frames look at sound or speech as far as two learned gates let them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from savecli.model.blocks import FUSION_NORM_EPS, Attention, Mlp, masked_mean


class Gates(NamedTuple):
    """How far each layer let the memory in, per clip: `(B, layers)` in (-1, 1), of attention and feed-forward."""

    attention: torch.Tensor
    feed_forward: torch.Tensor


class FusionOutput(NamedTuple):
    """Frames `(B, F, D)` after fusion, and the gates on the way."""

    frames: torch.Tensor
    gates: Gates


class GatedFusion(nn.Module):
    """Frames informed by a memory of sound or speech (golden data §3; AVIGATE's "gated fusion transformer").

    Each layer, with frames x, memory m and c = [mean of x, mean of m]:

        g_a, g_f = tanh(gate(c))                   one number a clip each, from the x that enters the layer
        x <- x + g_a * CrossAttention(LN x, m)     the memory is not normalised
        x <- x + g_f * CrossMlp(LN x)
        x <- x + SelfAttention(LN x)
        x <- x + Mlp(LN x)

    Args:
        width: D.
        heads: of every attention; the published models have one per 64 of width.
    """

    def __init__(self, width: int, *, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FusionLayer(width, heads) for _ in range(layers))

    def forward(
        self,
        x: torch.Tensor,
        memory: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
    ) -> FusionOutput:
        """`(B, F, D)` and gates, of frames `(B, F, D)` and memory `(B, M, D)`.

        Args:
            mask: `(B, F)`, True = real; padded frames are then neither averaged nor looked at. The published systems
                let them take part, which is None.
            memory_mask: `(B, M)`, the same for the memory.
        """
        attention, feed_forward = [], []
        for layer in self.layers:
            x, gates = layer(x, memory, mask=mask, memory_mask=memory_mask)
            attention.append(gates.attention)
            feed_forward.append(gates.feed_forward)
        return FusionOutput(x, Gates(torch.cat(attention, dim=1), torch.cat(feed_forward, dim=1)))


class FusionLayer(nn.Module):
    """One layer of `GatedFusion`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_gate = Mlp(2 * width, width // 2, out=1, bias=False)
        self.feed_forward_gate = Mlp(2 * width, width // 2, out=1, bias=False)
        self.cross_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.cross_attention = Attention(width, heads)
        self.cross_mlp_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.cross_mlp = Mlp(width, 4 * width, bias=False)
        self.self_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.self_attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.mlp = Mlp(width, 4 * width)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, *, mask: torch.Tensor | None, memory_mask: torch.Tensor | None
    ) -> FusionOutput:
        """`(B, F, D)` and gates `(B, 1)`."""
        context = torch.cat([masked_mean(x, mask), masked_mean(memory, memory_mask)], dim=-1)
        gates = Gates(torch.tanh(self.attention_gate(context)), torch.tanh(self.feed_forward_gate(context)))
        cross = self.cross_attention(self.cross_norm(x), memory, mask=memory_mask)
        x = x + gates.attention.unsqueeze(-1) * cross
        x = x + gates.feed_forward.unsqueeze(-1) * self.cross_mlp(self.cross_mlp_norm(x))
        x = x + self.self_attention(self.self_norm(x), mask=mask)
        return FusionOutput(x + self.mlp(self.mlp_norm(x)), gates)

"""The audio resampler: any number of sound tokens to a fixed, small number."""

from __future__ import annotations

import torch
from torch import nn

from savecli.model.blocks import FUSION_NORM_EPS, Attention, Mlp


class Resampler(nn.Module):
    """Sound tokens to `Q` tokens, read out by learned queries (golden data §2; AVIGATE's "audio resampler").

    Each layer, with the queries q and the sound tokens a, which stay as they are through the layers:

        q <- q + SelfAttention(LN q)
        q <- q + CrossAttention(LN' q, LN' a)      one LN' for both
        q <- q + Mlp(LN'' q)

    Args:
        width: D.
        queries: Q; at most `width`.
        heads: of every attention; the published models have one per 64 of width.
    """

    def __init__(self, width: int, *, layers: int, heads: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(nn.init.orthogonal_(torch.empty(queries, width)))
        self.positions = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.layers = nn.ModuleList(ResamplerLayer(width, heads) for _ in range(layers))

    def forward(self, tokens: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`(B, Q, D)` of `(B, A, D)` sound tokens; masked tokens are not looked at (see `Attention`)."""
        x = (self.queries + self.positions).expand(len(tokens), -1, -1)
        for layer in self.layers:
            x = layer(x, tokens, mask=mask)
        return x


class ResamplerLayer(nn.Module):
    """One layer of `Resampler`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.self_attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.cross_attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=FUSION_NORM_EPS)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`(B, Q, D)` of queries `(B, Q, D)` and memory `(B, A, D)`."""
        x = x + self.self_attention(self.self_norm(x))
        x = x + self.cross_attention(self.cross_norm(x), self.cross_norm(memory), mask=mask)
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]

"""The parts that the network's own transformers are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

# Epsilon of the layer norms in the resampler and the fusion transformers, inside the root.
FUSION_NORM_EPS = 1e-12


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """`x * sigmoid(1.702 x)`, the approximation of GELU that OpenAI's CLIP was trained with."""
    return x * torch.sigmoid(1.702 * x)


def unit(x: torch.Tensor) -> torch.Tensor:
    """`x / ||x||` over the last axis, in float32 at least; zeros stay zeros."""
    return functional.normalize(at_least_float32(x), dim=-1)


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """The same numbers, in float32 when they are in a half format."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def masked_mean(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """`(B, D)`: mean of `(B, N, D)` over the real of N positions; zeros where none is. None counts all positions."""
    x = at_least_float32(x)
    if mask is None:
        return x.mean(dim=1)
    weights = mask.to(x.dtype).unsqueeze(-1)
    return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


class Attention(nn.Module):
    """Multi-head attention with the parameters of `nn.MultiheadAttention`, through torch's fused kernels.

    Args:
        width: of queries, keys, values and output.
        heads: consecutive slices of the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not split into {heads} heads")
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))  # queries, keys, values
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.normal_(self.out_proj.weight, std=0.02)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor | None = None, *, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`(B, N, D)` of queries `(B, N, D)` looking at memory `(B, M, D)`, or at themselves.

        Args:
            mask: `(B, M)` bool, True = real. A row without any real position looks at all of them: its result says
                nothing, but is finite, and so are the gradients of the rest of the batch.
        """
        width = x.shape[-1]
        if memory is None:
            query, key, value = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            query = functional.linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width])
            both = functional.linear(memory, self.in_proj_weight[width:], self.in_proj_bias[width:])
            key, value = both.chunk(2, dim=-1)
        out = functional.scaled_dot_product_attention(
            self._split(query), self._split(key), self._split(value), attn_mask=_attention_mask(mask)
        )
        return self.out_proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        out: int | None = None,
        bias: bool = True,
        activation: Callable[[torch.Tensor], torch.Tensor] = quick_gelu,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.fc = nn.Linear(width, hidden, bias=bias)
        self.proj = nn.Linear(hidden, width if out is None else out, bias=bias)
        for layer in (self.fc, self.proj):
            nn.init.normal_(layer.weight, std=0.02)
            if bias:
                nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape with the last axis `out` wide."""
        return self.proj(self.activation(self.fc(x)))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """A pre-norm transformer layer: attention, then a multi-layer perceptron, each beside a residual."""

    def __init__(
        self, width: int, heads: int, *, norm_eps: float, activation: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width, eps=norm_eps)
        self.self_attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, 4 * width, activation=activation)

    def forward(self, x: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`(B, N, D)` of `(B, N, D)`; `mask` as in `Attention`."""
        x = x + self.self_attention(self.self_norm(x), mask=mask)
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


def _attention_mask(mask: torch.Tensor | None) -> torch.Tensor | None:
    if mask is None:
        return None
    usable = mask | ~mask.any(dim=1, keepdim=True)
    return usable[:, None, None, :]

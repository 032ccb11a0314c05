"""Norm, attention, resampler and gated fusion (README, sections 2 and 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count, takewhile

import torch

State = Mapping[str, torch.Tensor]


def norm(x: torch.Tensor, state: State, name: str, *, epsilon: float = 1e-12) -> torch.Tensor:
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    return state[f"{name}.weight"] * (x - mean) / (variance + epsilon).sqrt() + state[f"{name}.bias"]


def activated(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-1.702 * x))


def linear(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    """With a bias where there is one."""
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def perceptron(x: torch.Tensor, state: State, first: str, second: str) -> torch.Tensor:
    return linear(activated(linear(x, state, first)), state, second)


def attention(
    x: torch.Tensor,
    memory: torch.Tensor,
    state: State,
    name: str,
    heads: int,
    *,
    parts: tuple[str, str, str] = ("in_proj_weight", "in_proj_bias", "out_proj"),
    added: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """`(B, N, D)` of `(B, N, D)` and `(B, M, D)`, head by head; `added` goes to the logits."""
    width = x.shape[-1]
    weight, bias = state[f"{name}.{parts[0]}"], state[f"{name}.{parts[1]}"]
    rows = (slice(part * width, (part + 1) * width) for part in range(3))
    q, k, v = (source @ weight[own].T + bias[own] for own, source in zip(rows, (x, memory, memory), strict=True))
    size, seen = width // heads, []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        logits = q[..., part] @ k[..., part].transpose(-1, -2) / math.sqrt(size) + added
        seen.append(logits.softmax(dim=-1) @ v[..., part])
    return linear(torch.cat(seen, dim=-1), state, f"{name}.{parts[2]}")


def layers(state: State, stack: str) -> list[str]:
    """`stack.0`, `stack.1`, … as far as there are any."""
    held = {name[len(stack) + 1 :].partition(".")[0] for name in state if name.startswith(f"{stack}.")}
    return [f"{stack}.{index}" for index in takewhile(lambda index: str(index) in held, count())]


def resampler(state: State, stack: str, memory: torch.Tensor, heads: int) -> list[torch.Tensor]:
    """`(B, Q, D)` after each layer, of the `(B, A, D)` memory."""
    x = (state["query_tokens"].T + state["query_position_embeddings.weight"]).expand(len(memory), -1, -1)
    after = []
    for layer in layers(state, stack):
        own = norm(x, state, f"{layer}.ln_1")
        x = x + attention(own, own, state, f"{layer}.attn", heads)
        cross = norm(x, state, f"{layer}.ln_3"), norm(memory, state, f"{layer}.ln_3")
        x = x + attention(*cross, state, f"{layer}.cross_attn", heads)
        x = x + perceptron(norm(x, state, f"{layer}.ln_2"), state, f"{layer}.mlp.c_fc", f"{layer}.mlp.c_proj")
        after.append(x)
    return after


def fusion(
    state: State, stack: str, x: torch.Tensor, memory: torch.Tensor, heads: int, *, mask: torch.Tensor | None = None
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """`(B, F, D)` after each layer, and the `(B, layers)` gates of attention and of the perceptron.

    With the `(B, F)` mask, the reference's constant is added to the logits of padded frames.
    """
    added = 0.0 if mask is None else (1 - mask.to(x.dtype))[:, :, None] * -1e6 / 100
    after, looked, fed = [], [], []
    for layer in layers(state, stack):
        context = torch.cat([x.mean(dim=1), memory.mean(dim=1)], dim=-1)
        looked.append(torch.tanh(perceptron(context, state, f"{layer}.attn_gate.ag_fc", f"{layer}.attn_gate.ag_proj")))
        fed.append(torch.tanh(perceptron(context, state, f"{layer}.ff_gate.fg_fc", f"{layer}.ff_gate.fg_proj")))
        cross = norm(x, state, f"{layer}.ln_3")
        x = x + looked[-1][:, None] * attention(cross, memory, state, f"{layer}.cross_attn", heads, added=added)
        gated = perceptron(
            norm(x, state, f"{layer}.ln_4"), state, f"{layer}.cross_ff.cross_fc", f"{layer}.cross_ff.cross_proj"
        )
        x = x + fed[-1][:, None] * gated
        own = norm(x, state, f"{layer}.ln_1")
        x = x + attention(own, own, state, f"{layer}.attn", heads)
        x = x + perceptron(norm(x, state, f"{layer}.ln_2"), state, f"{layer}.mlp.c_fc", f"{layer}.mlp.c_proj")
        after.append(x)
    return after, torch.cat(looked, dim=1), torch.cat(fed, dim=1)

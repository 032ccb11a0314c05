"""The blocks at random sizes against the formulas written out slowly, one clip, head and query at a time, in float64.

What is masked is cut away there instead, so this also says what the masks mean.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from savecli.model.fusion import GatedFusion
from savecli.model.resampler import Resampler

State = dict[str, torch.Tensor]


def norm(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    return state[f"{name}.weight"] * (x - mean) / (variance + 1e-12).sqrt() + state[f"{name}.bias"]


def activated(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-1.702 * x))


def perceptron(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    hidden = x @ state[f"{name}.fc.weight"].T + state.get(f"{name}.fc.bias", 0)
    return activated(hidden) @ state[f"{name}.proj.weight"].T + state.get(f"{name}.proj.bias", 0)


def attention(x: torch.Tensor, memory: torch.Tensor, state: State, name: str, heads: int) -> torch.Tensor:
    """`(N, D)` of `(N, D)` and `(M, D)`."""
    width = x.shape[1]
    weight, bias = state[f"{name}.in_proj_weight"], state[f"{name}.in_proj_bias"]
    q, k, v = (
        source @ weight[part * width : (part + 1) * width].T + bias[part * width : (part + 1) * width]
        for part, source in enumerate((x, memory, memory))
    )
    out = torch.zeros_like(x)
    size = width // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for query in range(len(x)):
            weights = torch.exp(k[:, part] @ q[query, part] / math.sqrt(size))
            out[query, part] = (weights / weights.sum()) @ v[:, part]
    return out @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]


def layer_states(module: nn.Module) -> list[State]:
    """The parameters of each layer, in float64."""
    return [
        {name: value.double() for name, value in layer.state_dict().items()}
        for layer in module.get_submodule("layers").children()
    ]


def obvious_resampler(module: Resampler, memory: torch.Tensor, heads: int) -> torch.Tensor:
    x = (module.queries + module.positions).detach().double()
    for state in layer_states(module):
        own = norm(x, state, "self_norm")
        x = x + attention(own, own, state, "self_attention", heads)
        cross = norm(x, state, "cross_norm"), norm(memory, state, "cross_norm")
        x = x + attention(*cross, state, "cross_attention", heads)
        x = x + perceptron(norm(x, state, "mlp_norm"), state, "mlp")
    return x


def obvious_fusion(
    module: GatedFusion, x: torch.Tensor, memory: torch.Tensor, heads: int
) -> tuple[torch.Tensor, list[float], list[float]]:
    attention_gates, feed_forward_gates = [], []
    for state in layer_states(module):
        context = torch.cat([x.mean(dim=0), memory.mean(dim=0)])
        looked = math.tanh(float(perceptron(context, state, "attention_gate")))
        fed = math.tanh(float(perceptron(context, state, "feed_forward_gate")))
        x = x + looked * attention(norm(x, state, "cross_norm"), memory, state, "cross_attention", heads)
        x = x + fed * perceptron(norm(x, state, "cross_mlp_norm"), state, "cross_mlp")
        own = norm(x, state, "self_norm")
        x = x + attention(own, own, state, "self_attention", heads)
        x = x + perceptron(norm(x, state, "mlp_norm"), state, "mlp")
        attention_gates.append(looked)
        feed_forward_gates.append(fed)
    return x, attention_gates, feed_forward_gates


def sizes(seed: int) -> tuple[torch.Generator, dict[str, int]]:
    generator = torch.Generator().manual_seed(seed)

    def pick(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    heads = pick(1, 4)
    return generator, {
        "heads": heads,
        "width": heads * 2 * pick(2, 6),
        "layers": pick(1, 3),
        "clips": pick(1, 4),
        "frames": pick(1, 7),
        "tokens": pick(1, 9),
        "queries": pick(1, 4),
    }


def shake(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)


def random_mask(clips: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """`(clips, length)`: at least one real position each, padding at the end."""
    lengths = torch.randint(1, length + 1, (clips, 1), generator=generator)
    return torch.arange(length) < lengths


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_resampler(seed: int, masked: bool) -> None:
    generator, n = sizes(seed)
    module = Resampler(n["width"], layers=n["layers"], heads=n["heads"], queries=min(n["queries"], n["width"]))
    shake(module, generator)
    memory = torch.randn(n["clips"], n["tokens"], n["width"], generator=generator)
    mask = random_mask(n["clips"], n["tokens"], generator) if masked else None
    out = module(memory, mask=mask)
    for clip in range(n["clips"]):
        real = memory[clip] if mask is None else memory[clip][mask[clip]]
        assert torch.allclose(out[clip].double(), obvious_resampler(module, real.double(), n["heads"]), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_fusion(seed: int, masked: bool) -> None:
    generator, n = sizes(seed)
    module = GatedFusion(n["width"], layers=n["layers"], heads=n["heads"])
    shake(module, generator)
    frames = torch.randn(n["clips"], n["frames"], n["width"], generator=generator)
    memory = torch.randn(n["clips"], n["tokens"], n["width"], generator=generator)
    every = torch.ones(n["clips"], n["frames"], dtype=torch.bool), torch.ones(n["clips"], n["tokens"], dtype=torch.bool)
    masks = tuple(random_mask(*side.shape, generator) for side in every) if masked else every
    passed = masks if masked else (None, None)
    out, gates = module(frames, memory, mask=passed[0], memory_mask=passed[1])
    for clip in range(n["clips"]):
        real, heard = frames[clip][masks[0][clip]].double(), memory[clip][masks[1][clip]].double()
        expected, looked, fed = obvious_fusion(module, real, heard, n["heads"])
        assert torch.allclose(out[clip][masks[0][clip]].double(), expected, atol=1e-4)
        assert gates.attention[clip].tolist() == pytest.approx(looked, abs=1e-5)
        assert gates.feed_forward[clip].tolist() == pytest.approx(fed, abs=1e-5)

"""The blocks at random sizes against the formulas of `tests/obvious`, one clip at a time, in float64.

What is masked is cut away there instead, so this also says what the masks mean.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from savecli.model.fusion import GatedFusion
from savecli.model.reference_names import TRANSPOSED, reference_name
from savecli.model.resampler import Resampler
from tests.obvious.blocks import fusion, resampler


def obvious_state(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The parameters in float64, under the names the authors have for those of `prefix`."""
    named = {reference_name(f"{prefix}.{name}"): value.double() for name, value in module.state_dict().items()}
    return {name: value.T if name in TRANSPOSED else value for name, value in named.items()}


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
    out, state = module(memory, mask=mask), obvious_state(module, "head.resampler")
    for clip in range(n["clips"]):
        real = memory[clip] if mask is None else memory[clip][mask[clip]]
        expected = resampler(state, "Audio_Resampler.resblocks", real.double()[None], n["heads"])[-1][0]
        assert torch.allclose(out[clip].double(), expected, atol=1e-4)


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
    state = obvious_state(module, "head.audio_fusion")
    for clip in range(n["clips"]):
        real, heard = frames[clip][masks[0][clip]].double(), memory[clip][masks[1][clip]].double()
        after, looked, fed = fusion(state, "transformerClip.resblocks", real[None], heard[None], n["heads"])
        assert torch.allclose(out[clip][masks[0][clip]].double(), after[-1][0], atol=1e-4)
        assert torch.allclose(gates.attention[clip].double(), looked[0], atol=1e-5)
        assert torch.allclose(gates.feed_forward[clip].double(), fed[0], atol=1e-5)

"""Presets in the size of the drawn world."""

from __future__ import annotations

import pytest
import torch

from savecli.core.errors import UsageError
from savecli.model.build import build_model
from savecli.model.drawn import drawn_towers
from savecli.model.presets import PRESETS, find_preset
from tests.model.random_batch import random_batch


@pytest.mark.parametrize("name", ["save", "save-h", "save-plus", "avigate", "clip4clip-seqtransf"])
def test_a_small_preset_differs_from_its_large_one_in_size_alone(name: str) -> None:
    small, large = find_preset(f"{name}-drawn"), find_preset(name)
    assert small.clip == drawn_towers()
    for field in ("mix", "scoring", "loss", "has_speech", "temporal", "temperature"):
        assert getattr(small, field) == getattr(large, field)
    assert (small.audio is None) == (large.audio is None)
    assert small.parity.padded_speech == large.parity.padded_speech
    assert not small.parity.missing_as_zeros


def test_it_is_small_and_learns_in_every_part() -> None:
    config = find_preset("save-drawn")
    model = build_model(config)
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 < 15e6
    inputs, captions, teacher = random_batch(config, frames=4)
    model(inputs, captions, teacher).losses.total.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    with torch.no_grad():
        assert model.encode_video(inputs).pooled.shape == (4, config.clip.dimension)


def test_every_preset_is_there_in_small() -> None:
    for name in PRESETS:
        assert find_preset(f"{name}-drawn").name == f"{name}-drawn"
    with pytest.raises(UsageError, match="no preset `savee-drawn`"):
        find_preset("savee-drawn")

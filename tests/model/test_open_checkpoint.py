"""A model by its name, its folder, or as a plain CLIP."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from savecli.core.errors import SaveError, UsageError, WeightsError
from savecli.model.checkpoint import save_checkpoint
from savecli.model.clip_model import load_clip
from savecli.model.clip_weights import ClipSource
from savecli.model.hub import Hub
from savecli.model.open_checkpoint import checkpoint_folder, open_checkpoint
from tests.model.random_batch import random_model

OFFLINE = Hub(offline=True)


def opened(spec: str, imported: Path | None = None):
    return open_checkpoint(spec, hub=OFFLINE, imported=imported)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, config = random_model("tiny")
    save_checkpoint(model, config, tmp_path / "models/mine")
    return tmp_path / "models/mine"


def test_a_folder_a_name_and_a_run_are_the_same_model(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    (run / "best").symlink_to(folder)
    weights = [
        opened(spec, imported).model.state_dict()
        for spec, imported in ((str(folder), None), ("mine", folder.parent), (str(run), None))
    ]
    for other in weights[1:]:
        assert all(torch.equal(weights[0][name], other[name]) for name in weights[0])


def test_a_clip_is_scored_as_it_is(tiny_source: ClipSource) -> None:
    checkpoint = opened(tiny_source.spec.name)
    clip = load_clip(tiny_source, device=torch.device("cpu"), precision="fp32")
    tokens = torch.randint(1, 400, (2, 77))
    tokens[:, -1] = 49407
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(checkpoint.model.encode_text(tokens), clip.text(tokens), atol=1e-6)
        assert torch.equal(checkpoint.model.vision.features(pixels), clip.vision.features(pixels))
    assert checkpoint.config.inputs.num_frames == 12
    assert checkpoint.config.audio is None
    assert not checkpoint.model.training


def test_the_folder_of_a_clip_by_its_name(tiny_source: ClipSource, tmp_path: Path) -> None:
    assert tiny_source.weights is not None
    (tmp_path / "small-clip").symlink_to(tiny_source.weights.parent)
    checkpoint = opened("small-clip", tmp_path)
    assert checkpoint.config.scoring == "pooled"


def test_what_is_not_there_is_told_with_what_comes_near(folder: Path) -> None:
    with pytest.raises(UsageError) as error:
        opened("mien", folder.parent)
    assert error.value.what == "no model `mien`"
    assert "did you mean `mine`?" in error.value.fix
    with pytest.raises(UsageError) as error:
        opened(f"{folder.parent}/min")
    assert f"did you mean `{folder}`?" in error.value.fix
    with pytest.raises(UsageError, match="is a file: a checkpoint is a folder"):
        opened(str(folder / "model.safetensors"))


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="has no checkpoint yet"):
        checkpoint_folder(str(tmp_path))


def test_weights_that_are_not_here(tmp_path: Path) -> None:
    hub = Hub(offline=True, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="--offline forbids downloads"):
        open_checkpoint("clip:ViT-B-32/openai", hub=hub)
    with pytest.raises(SaveError):
        open_checkpoint("clip:/nowhere", hub=hub)

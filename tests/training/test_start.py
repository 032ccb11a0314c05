"""What a run starts from, what of it learns, and updates of low rank."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from savecli.core.errors import UsageError, WeightsError
from savecli.model.build import build_model
from savecli.model.hub import Hub
from savecli.training.batches import Collator, on_device
from savecli.training.config import OptimConfig, TrainConfig
from savecli.training.launch import RunRequest, resolved
from savecli.training.lora import plain_model
from savecli.training.start import keeps_sound_tokens, prepare_for_training, pretrained_model, random_model
from savecli.training.step import backward
from savecli.training.updates import Updates
from savecli.training.workers import Workers
from tests.training.random_clips import random_split, small_config

OFFLINE = Hub(offline=True)


def stepped(model, config, train: TrainConfig) -> None:
    split, source = random_split(config, num_clips=4)
    arrays = [source.read(clip) for clip in split.clips]
    batch = Collator(config).batch(arrays, [clip.captions[0].text for clip in split.clips])
    updates = Updates(model, train.optim, num_steps=4)
    for _ in range(2):
        backward(
            model, on_device(batch, config, torch.device("cpu")), chunk_size=4, precision="fp32", workers=Workers()
        )
        updates.step()


def test_pretrained_towers_come_from_files(tmp_path: Path) -> None:
    config = small_config("save")
    held = random_model(config, seed=7).state_dict()
    clip = {
        name.replace("vision.tower.", "visual.").removeprefix("text.model."): value
        for name, value in held.items()
        if name.startswith(("vision.", "text.", "logit_scale"))
    }
    save_file(clip, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config.clip.folder_config()))
    sound = {name.removeprefix("audio."): value for name, value in held.items() if name.startswith("audio.")}
    del sound["projection"]
    save_file(sound, tmp_path / "audio.safetensors")
    model = pretrained_model(config, clip=f"clip:{tmp_path}", audio=tmp_path / "audio.safetensors", hub=OFFLINE, seed=0)
    for name, value in model.state_dict().items():
        if name.startswith(("vision.", "text.", "audio.encoder.", "audio.norm.")):
            assert torch.equal(value, held[name]), name
    assert not torch.equal(model.audio.projection, held["audio.projection"])


def test_weights_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    config = small_config("save")
    with pytest.raises(UsageError, match="no pretrained weights for the towers") as failed:
        pretrained_model(config, clip=None, audio=None, hub=OFFLINE, seed=0)
    assert "--start scratch" in failed.value.fix
    with pytest.raises(WeightsError):
        pretrained_model(config, clip=f"clip:{tmp_path}/none", audio=None, hub=OFFLINE, seed=0)


def test_the_seed_decides_the_start() -> None:
    config = small_config("save-plus")
    first, again, other = (random_model(config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_the_seed_decides_the_low_rank_updates_too() -> None:
    config = small_config("save-plus")
    states = []
    for seed in (1, 1, 2):
        model = random_model(config, seed=0)
        torch.rand(1)  # wherever the random numbers outside stand
        prepare_for_training(model, TrainConfig(lora_rank=2, seed=seed))
        states.append({name: value for name, value in model.state_dict().items() if ".lora_A." in name})
    first, again, other = states
    assert first
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not any(torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("settings", "frozen", "learning"),
    [
        (
            {},
            ("vision.tower.conv1", "text.model.token_embedding", "audio.encoder"),
            ("audio.norm", "head.", "text.model.ln"),
        ),
        ({"frozen_audio_layers": 0, "frozen_stem": False}, (), ("vision.tower.conv1", "audio.encoder", "head.")),
        ({"frozen_layers": 1}, ("text.model.transformer.resblocks.0",), ("text.model.transformer.resblocks.1",)),
    ],
)
def test_what_learns(settings: dict, frozen: tuple[str, ...], learning: tuple[str, ...]) -> None:
    model = build_model(small_config("save"))
    prepare_for_training(model, TrainConfig(**settings))
    for name, parameter in model.named_parameters():
        if name.startswith(frozen):
            assert not parameter.requires_grad, name
        if name.startswith(learning):
            assert parameter.requires_grad, name
    assert keeps_sound_tokens(model) == (settings.get("frozen_audio_layers", -1) == -1)


def test_low_rank_updates_leave_the_towers_and_can_be_put_into_them() -> None:
    config = small_config("save-plus")
    before = {name: value.clone() for name, value in random_model(config, seed=0).state_dict().items()}
    model = random_model(config, seed=0)
    train = TrainConfig(lora_rank=2, optim=OptimConfig(kind="adamw", lr=1e-2, tower_factor=1.0, query_factor=1.0))
    prepare_for_training(model, train)
    stepped(model, config, train)
    plain = plain_model(model, config)
    after = plain.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    towers = {name for name in moved if name.startswith(("vision.", "text."))}
    assert towers
    assert all(name.endswith((".c_fc.weight", ".c_proj.weight")) for name in towers)
    split, source = random_split(config, num_clips=3, seed=5)
    inputs = on_device(
        Collator(config).batch([source.read(clip) for clip in split.clips], ["a dog"] * 3), config, torch.device("cpu")
    ).inputs
    with torch.no_grad():
        adapted, merged = model.eval().encode_video(inputs), plain.encode_video(inputs)
    torch.testing.assert_close(adapted.pooled, merged.pooled, atol=1e-5, rtol=1e-4)


def test_checkpointed_steps_are_the_same_steps() -> None:
    config = small_config("save-plus")
    states = []
    for settings in ({}, {"checkpointing": True}):
        model = random_model(config, seed=0)
        train = TrainConfig(**settings, optim=OptimConfig(kind="adamw", lr=1e-3))
        prepare_for_training(model, train)
        model.train()
        stepped(model, config, train)
        states.append(model.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, msg=name)


def test_the_scale_can_start_elsewhere() -> None:
    model = build_model(small_config("save"))
    prepare_for_training(model, replace(TrainConfig(), logit_scale=10.0))
    assert float(model.logit_scale.detach().exp()) == pytest.approx(10.0)


def test_a_checkpoint_decides_its_own_preset(tmp_path: Path) -> None:
    request = RunRequest(dataset="lsmdc", root=tmp_path, out=tmp_path / "run", start=str(tmp_path), preset="save")
    with pytest.raises(UsageError, match="which decides its own preset"):
        resolved(request)
    drawn = RunRequest(dataset="synthetic", root=tmp_path, out=tmp_path / "run")
    assert resolved(drawn).model.name == "save-drawn"
    assert resolved(drawn).train.recipe == "world"

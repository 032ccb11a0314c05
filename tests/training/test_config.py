"""Settings: one way to change any of them, and what the recipes say."""

from __future__ import annotations

import json

import pytest

from savecli.core.errors import UsageError
from savecli.model.build import build_model
from savecli.model.presets import find_preset
from savecli.training.config import (
    RunConfig,
    TrainConfig,
    train_config_from_json,
    train_config_json,
    with_settings,
)
from savecli.training.recipes import RECIPES, default_recipe, find_recipe
from tests.training.random_clips import small_config


@pytest.fixture
def run() -> RunConfig:
    return find_recipe("published")("msrvtt-9k", find_preset("save"))


def test_any_field_can_be_set(run: RunConfig) -> None:
    changed = with_settings(
        run, ["optim.lr=5e-5", "batch_size=64", "model.inputs.num_frames=8", "select=last", "optim.betas=[0.8, 0.9]"]
    )
    assert changed.train.optim.lr == 5e-5
    assert changed.train.batch_size == 64
    assert changed.model.inputs.num_frames == 8
    assert changed.train.select == "last"
    assert changed.train.optim.betas == (0.8, 0.9)
    assert run.train.batch_size == 128
    assert with_settings(run, ["logit_scale=20"]).train.logit_scale == 20.0
    assert with_settings(run, ["model.loss.alignment=null"]).model.loss.alignment is None
    assert with_settings(run, ["model.loss.alignment=kl"]).model.loss.alignment == "kl"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("optim.lrr=1", "write `optim.lr`"),
        ("model.loss.margin=1", "margin_"),
        ("batch_size", "it has no `=`"),
        ("batch_size=many", "give a value of type int"),
        ("optim=1", "optim.NAME"),
        ("batch_size=0", "allowed: 1 or more"),
        ("select=test", "allowed: val, peak-test, last"),
        ("precision=fp16", "allowed: auto, fp32, medium, bf16"),
        ("optim.kind=adam", "allowed: published, adamw"),
        ("optim.betas=[0.9]", "allowed: two numbers"),
        ("optim.warmup=2", "allowed: 0 to 1"),
        ("frozen_layers=-2", "allowed: 0 or more"),
        ("logit_scale=abc", "give a value of type float or null"),
        ("batch_size=null", "give a value of type int"),
        ("model.scoring=sum", "allowed: 'pooled', 'joint'"),
        ("seed=-1", "allowed: 0 or more"),
        ("optim.lr=NaN", "`optim.lr` is nan"),
        ("optim.max_norm=Infinity", "`optim.max_norm` is inf"),
        ("model.inputs.num_frames=0", "`inputs.num_frames` is 0: allowed: 1 or more"),
        ("model.fusion_layers=-1", "allowed: 1 or more"),
        ("model.num_queries=0", "allowed: 1 or more"),
        ("model.audio.layers=0", "`audio.layers` is 0"),
        ("model.mix.audio=NaN", "`mix.audio` is nan"),
        ("model.temperature=0", "allowed: 1e-06 or more"),
    ],
)
def test_mistakes_are_named(run: RunConfig, setting: str, said: str) -> None:
    with pytest.raises(UsageError) as failed:
        with_settings(run, [setting])
    assert said in f"{failed.value} {failed.value.fix}"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.inputs.caption_tokens=500", "`inputs.caption_tokens` is 500: CLIP's towers have 77 positions"),
        ("model.inputs.num_frames=78", "`inputs.num_frames` is 78"),
        ("model.head_width=5", "a width of 32 does not split into 6 heads"),
        ("model.audio.heads=5", "`audio.heads` is 5"),
    ],
)
def test_what_the_towers_do_not_allow_is_refused(setting: str, said: str) -> None:
    run = RunConfig(dataset="lsmdc", train=TrainConfig(), model=small_config("save"))
    with pytest.raises(UsageError, match=said):
        build_model(with_settings(run, [setting]).model)


def test_settings_survive_json() -> None:
    config = TrainConfig(batch_size=3, logit_scale=10.0)
    assert train_config_from_json(json.loads(json.dumps(train_config_json(config)))) == config
    with pytest.raises(UsageError, match="cannot read the run's config"):
        train_config_from_json({**train_config_json(config), "momentum": 1})


def test_published_values_by_dataset() -> None:
    """Golden data §6, "Published settings", and the facts about datasets."""
    model = find_preset("save")
    base = find_recipe("published")("msrvtt-9k", model)
    optim = base.train.optim
    assert (optim.lr, optim.tower_factor, optim.query_factor, optim.warmup) == (1e-4, 1e-3, 100.0, 0.1)
    assert (optim.weight_decay, optim.betas, optim.eps, optim.max_norm) == (0.2, (0.9, 0.98), 1e-6, 1.0)
    assert (base.train.batch_size, base.train.num_epochs) == (128, 5)
    assert (base.model.inputs.num_frames, base.model.inputs.caption_tokens) == (12, 32)
    assert (base.model.loss.margin_limit, base.model.loss.margin_scale, base.model.loss.alignment_scale) == (
        0.1,
        0.2,
        5,
    )
    charades = find_recipe("published")("charades", model)
    assert charades.train.batch_size == 64
    assert (charades.model.inputs.num_frames, charades.model.inputs.caption_tokens) == (32, 64)
    assert find_recipe("published")("vatex", model).model.loss.margin_limit == 0.05


def test_each_recipe_builds_for_each_kind_of_model() -> None:
    for name, recipe in RECIPES.items():
        for preset in ("save", "save-plus", "clip4clip-meanp"):
            assert recipe("lsmdc", find_preset(preset)).train.recipe == name
    assert default_recipe(find_preset("save-plus-vit-b16")) == "sound"
    assert default_recipe(find_preset("avigate")) == "published"
    with pytest.raises(UsageError, match="no recipe `best`"):
        find_recipe("best")

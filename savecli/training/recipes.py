"""How runs are set up. Each function states its values with their source; `--set` changes single ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from savecli.core.errors import UsageError
from savecli.model.config import ModelConfig
from savecli.model.presets import DRAWN
from savecli.training.config import RunConfig, TrainConfig

Recipe = Callable[[str, ModelConfig], RunConfig]


def published(dataset: str, model: ModelConfig) -> RunConfig:
    """SAVE and AVIGATE as published; CLIP4Clip's own settings agree but for what its presets leave out.

    The defaults of `TrainConfig` and `OptimConfig` are the values of the authors' runs on MSR-VTT (golden data §6;
    batch 128, 5 epochs, 12 frames, 32 words, margin at most 0.1). Other datasets differ:

    - Charades: batch 64, 32 frames, 64 words; selection by the test's best epoch is what the paper reports;
    - VATEX: margin at most 0.05;
    - DiDeMo, ActivityNet: 64 frames and 64 words, as CLIP4Clip (Luo et al. 2022, section 4.1); SAVE reports neither.
    """
    train, inputs, loss = TrainConfig(), model.inputs, model.loss
    if dataset == "charades":
        train = replace(train, batch_size=64)
        inputs = replace(inputs, num_frames=32, caption_tokens=64, speech_tokens=64)
    elif dataset == "vatex":
        loss = replace(loss, margin_limit=0.05)
    elif dataset in ("didemo", "activitynet"):
        inputs = replace(inputs, num_frames=64, caption_tokens=64, speech_tokens=64)
    return RunConfig(dataset=dataset, train=train, model=replace(model, inputs=inputs, loss=loss))


def sound(dataset: str, model: ModelConfig) -> RunConfig:
    """Ours: the published rates under AdamW with bias correction, one warm-up for all tensors, and no clip twice.

    The schedule reaches its top and ends at zero; weight decay leaves out norms, biases, embeddings and the scale, as
    is usual for CLIP (Radford et al. 2021, section 2.5). The rates of the towers are those of CLIP4Clip.
    """
    run = published(dataset, model)
    optim = replace(run.train.optim, kind="adamw", query_factor=10.0)
    return replace(run, train=replace(run.train, recipe="sound", measure="SumR", optim=optim, distinct_clips=True))


def small(dataset: str, model: ModelConfig) -> RunConfig:
    """Ours, for fine-tuning on some hundred to some thousand clips of one's own.

    The first half of each tower is frozen, since a small set has nothing to teach it; rates are low, training stops
    when the held-out clips no longer gain (in fewer than a hundred steps low rates show nothing), and half of CLIP's
    usual weight decay is left.
    """
    layers = int(model.clip.model["vision_cfg"].get("layers", 12))
    run = sound(dataset, model)
    optim = replace(run.train.optim, lr=3e-5, tower_factor=0.03, query_factor=1.0, weight_decay=0.1)
    train = replace(
        run.train,
        recipe="small",
        batch_size=32,
        num_epochs=20,
        patience=3,
        patience_steps=100,
        frozen_layers=layers // 2,
        optim=optim,
    )
    return replace(run, train=train)


def world(dataset: str, model: ModelConfig) -> RunConfig:
    """Ours, for the drawn world: everything learns from scratch at one rate; values tried on its validation split."""
    run = sound(dataset, model)
    optim = replace(run.train.optim, lr=1e-3, tower_factor=1.0, query_factor=1.0, weight_decay=0.05)
    train = replace(
        run.train,
        recipe="world",
        precision="fp32",  # such small products gain nothing from bf16
        batch_size=64,
        num_epochs=8,
        frozen_audio_layers=0,
        frozen_stem=False,
        optim=optim,
    )
    return replace(run, train=train)


RECIPES: Mapping[str, Recipe] = {"published": published, "sound": sound, "small": small, "world": world}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe `{name}`", why=f"there are {', '.join(RECIPES)}", fix="choose one of these")
    return RECIPES[name]


def default_recipe(model: ModelConfig) -> str:
    """`sound` for models of our own, `world` for small ones, `published` for the rest."""
    if model.name.endswith(DRAWN):
        return "world"
    return "sound" if model.name.startswith("save-plus") else "published"

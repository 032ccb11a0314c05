"""What a run starts from, and which of its weights learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from savecli.core.errors import UsageError, WeightsError
from savecli.core.progress import NoProgress, Progress
from savecli.model.build import build_model
from savecli.model.checkpoint import WEIGHTS
from savecli.model.clip_spec import ClipSpec, parse_clip_spec
from savecli.model.clip_weights import fetch_clip, find_clip
from savecli.model.config import AstConfig, ModelConfig
from savecli.model.hub import Hub
from savecli.model.importing import read_state
from savecli.model.initial import fill_towers
from savecli.model.save_model import SaveModel
from savecli.training.config import TrainConfig
from savecli.training.lora import add_lora

# The AST that was fine-tuned on AudioSet, which the published systems hear with (Gong et al. 2021, table 2).
AST_REPO, AST_FILE = "MIT/ast-finetuned-audioset-10-10-0.4593", "model.safetensors"

_NO_PROGRESS = NoProgress()


def random_model(config: ModelConfig, *, seed: int) -> SaveModel:
    """A model all of whose weights are random, the same for the same seed."""
    with _drawn_by(seed):
        return build_model(config)


def pretrained_model(
    config: ModelConfig,
    *,
    clip: str | None,
    audio: Path | None,
    hub: Hub,
    seed: int,
    progress: Progress = _NO_PROGRESS,
) -> SaveModel:
    """A model with pretrained towers; what lies behind them starts as published.

    Args:
        clip: `clip:ViT-B-32/openai` or `clip:PATH`; None is OpenAI's weights of the config's towers.
        audio: a file or folder with the audio encoder's weights; None fetches the AST of the published systems.

    Raises:
        WeightsError: weights cannot be had, or are of another shape.
        UsageError: no such CLIP.
    """
    model = random_model(config, seed=seed)
    source = fetch_clip(find_clip(parse_clip_spec(clip) if clip else _openai(config), hub), hub, progress)
    held = read_state(cast(Path, source.weights))
    sound = None
    if config.audio is not None:
        sound = read_state(_audio_file(config, audio, hub, progress))
    fill_towers(model, clip=held, audio=sound)
    return model


def prepare_for_training(model: SaveModel, config: TrainConfig) -> None:
    """Choose which weights learn, and how activations are kept; what it adds is the same for the same seed."""
    if config.frozen_stem:
        model.vision.freeze_stem()
        model.text.freeze_embeddings()
    if model.audio is not None and config.frozen_audio_layers:
        count = config.frozen_audio_layers
        model.audio.freeze_encoder(layers=count if count > 0 else 1_000_000)
    for layers in _tower_layers(model):
        for layer in list(layers)[: config.frozen_layers]:
            layer.requires_grad_(False)
    if config.lora_rank:
        with _drawn_by(config.seed):
            add_lora(model, rank=config.lora_rank)
    if config.logit_scale is not None:
        with torch.no_grad():
            model.logit_scale.fill_(torch.tensor(config.logit_scale).log())
    if config.checkpointing:
        tower: Any = model.vision.tower
        tower.set_grad_checkpointing(True)
        model.text.model.transformer.grad_checkpointing = True
    if config.compile:
        # In place: names of weights stay as they are.
        model.vision.tower.compile()
        if model.audio is not None:
            model.audio.encoder.compile()


def keeps_sound_tokens(model: SaveModel) -> bool:
    """Whether what the audio encoder makes of a clip never changes while training, and can be kept."""
    return model.audio is not None and not any(item.requires_grad for item in model.audio.encoder.parameters())


@contextmanager
def _drawn_by(seed: int) -> Iterator[None]:
    """Random numbers inside follow from the seed; those outside do not notice."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _tower_layers(model: SaveModel) -> list[nn.ModuleList]:
    tower: Any = model.vision.tower
    return [tower.transformer.resblocks, model.text.model.transformer.resblocks]


def _openai(config: ModelConfig) -> ClipSpec:
    """OpenAI's CLIP with these towers."""
    vision = config.clip.model["vision_cfg"]
    names = {(12, 768, 32): "ViT-B-32", (12, 768, 16): "ViT-B-16", (24, 1024, 14): "ViT-L-14"}
    name = names.get((vision["layers"], vision["width"], vision["patch_size"]))
    if name is None:
        raise UsageError(
            f"there are no pretrained weights for the towers of `{config.name}`",
            why=f"its vision tower has {vision['layers']} layers of width {vision['width']}",
            fix="name weights with `--clip clip:PATH`, or begin with `--start scratch`",
        )
    return ClipSpec(name, "openai")


def _audio_file(config: ModelConfig, path: Path | None, hub: Hub, progress: Progress) -> Path:
    if path is not None:
        return path / WEIGHTS if path.is_dir() else path
    if not isinstance(config.audio, AstConfig):
        raise UsageError(
            "this preset hears through Whisper's encoder, whose weights must be named",
            why="the paper does not say which Whisper it is",
            fix="give `--audio FOLDER` of what `save models import` made of a Whisper",
        )
    if cached := hub.cached(AST_REPO, AST_FILE):
        return cached
    if not hub.reachable:
        raise WeightsError(
            "the weights of AST are not on this machine",
            why=hub.obstacle,
            fix=f"download {AST_FILE} of {AST_REPO} where there is a connection, and give `--audio FILE`",
        )
    return hub.download(AST_REPO, AST_FILE, progress=progress)

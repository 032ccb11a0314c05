"""Reading the golden data into our modules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from savecli.model.build import build_model
from savecli.model.config import AstConfig, ModelConfig
from savecli.model.convert import from_reference, reference_config
from savecli.model.presets import avigate
from savecli.model.records import Memory, VideoFeatures, VideoInputs
from savecli.model.reference_names import (
    AVIGATE_RESAMPLER,
    SAVE_RESAMPLER,
    TRANSPOSED,
    reference_name,
    reference_table,
)
from savecli.model.save_model import SaveModel


def said(golden: Path, name: str) -> dict[str, Any]:
    """What the JSON file of that name says."""
    held: dict[str, Any] = json.loads((golden / f"{name}.json").read_text(encoding="utf-8"))
    return held


def tensors(golden: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of that name, halves as float32."""
    return {key: half_to_float(value) for key, value in load_file(golden / f"{name}.safetensors").items()}


def half_to_float(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def load_named(module: nn.Module, prefix: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Fill `module`, which a model holds under the name `prefix`, from the reference's names; all of it."""
    state = {}
    for name in module.state_dict():
        theirs = reference_name(f"{prefix}.{name}")
        state[name] = weights[theirs].T if theirs in TRANSPOSED else weights[theirs]
    module.load_state_dict(state)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    """The largest difference is within `tolerance`; shapes are equal."""
    assert ours.shape == theirs.shape
    worst = (ours.detach().double() - theirs.double()).abs().max().item()
    assert worst <= tolerance, f"off by {worst:.2e}, allowed {tolerance:.0e}"


def tiny_config(golden: Path) -> ModelConfig:
    """SAVE at the sizes of the golden data's tiny model."""
    sizes = said(golden, "tiny_model")
    found = reference_config(load_file(golden / "tiny_model.safetensors"))
    clip = found.clip.model
    assert clip["embed_dim"] == sizes["embed_dim"]
    towers = {
        **clip,
        "vision_cfg": {**clip["vision_cfg"], "head_width": sizes["vision_width"] // sizes["vision_heads"]},
        "text_cfg": {**clip["text_cfg"], "heads": sizes["text_heads"]},
    }
    assert isinstance(found.audio, AstConfig)
    return replace(
        found,
        clip=replace(found.clip, model=towers),
        audio=replace(found.audio, heads=sizes["ast_heads"]),
        temperature=sizes["temperature"],
        loss=replace(found.loss, margin_scale=sizes["beta"], margin_limit=sizes["margin"]),
        inputs=replace(found.inputs, num_frames=sizes["max_frames"], speech_tokens=sizes["max_words"]),
    )


def tiny_model(golden: Path, name: str) -> SaveModel:
    """The golden data's tiny model, as `save` or as the `avigate` that shares its weights."""
    config = tiny_config(golden)
    if name == "avigate":
        published, margin = avigate(config.clip), {field: getattr(config.loss, field) for field in MARGIN}
        shared = {field: getattr(config, field) for field in SIZES}
        config = replace(published, loss=replace(published.loss, **margin), **shared)
    model = build_model(config)
    weights = tensors(golden, "tiny_model")
    if name == "avigate":
        keys = [key for key, _ in said(golden, "avigate_eval")["state_dict_keys"]]
        weights = {key: weights[key.replace("transformer_Fusion", "Audio_Resampler")] for key in keys}
    model.load_state_dict(from_reference(weights, model.state_dict()))
    return model


SIZES = ("audio", "resampler_layers", "num_queries", "fusion_layers", "temperature")
MARGIN = ("margin_scale", "margin_limit")


def their_names(model: SaveModel, name: str) -> dict[str, str]:
    """Ours -> theirs of all parameters."""
    resampler = AVIGATE_RESAMPLER if name == "avigate" else SAVE_RESAMPLER
    return {ours: theirs for theirs, ours in reference_table(model.state_dict(), resampler=resampler).items()}


def feature_inputs(io: Mapping[str, torch.Tensor]) -> VideoFeatures:
    """A case that begins with features, as the published systems take it: nothing masked in the memories."""
    every = torch.ones(len(io["visual_output"]), dtype=torch.bool)
    present = io["audio_mask"].bool() if "audio_mask" in io else every
    return VideoFeatures(
        io["visual_output"],
        io["video_mask"].bool(),
        Memory(io["audio_output"], None, present),
        Memory(io["asr_output"], None, every),
    )


def end_to_end_inputs(golden: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor], VideoInputs]:
    """What the end-to-end case says, its tensors, and its clips as a model takes them."""
    held, io = said(golden, "e2e_save"), tensors(golden, "e2e_save_io")
    inputs = VideoInputs(
        pixels=io["pixels_int8"].float() * held["pixel_scale"],
        frame_mask=io["video_mask"].bool(),
        sound=io["fbank_int8"].float() * held["fbank_scale"],
        sound_mask=io["audio_mask"].bool(),
        speech=io["asr_ids"],
        speech_mask=io["asr_mask"].bool(),
    )
    return held, io, inputs

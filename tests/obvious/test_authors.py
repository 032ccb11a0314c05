"""`tests/obvious`, which other golden data is made with, against the numbers the authors' code gave."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.model.golden_data import assert_close, said, tensors
from tests.obvious.names import (
    Sizes,
    first_value,
    is_trained,
    parameter_shapes,
    rate_factor,
    storage,
    weight_decay,
)
from tests.obvious.system import Constants, System, objective, represented, similarity, unit
from tests.obvious.towers import image_vectors, sound_blocks, sound_tokens, text_tokens, text_vectors

State = dict[str, torch.Tensor]


def doubles(golden: Path, name: str) -> State:
    return {key: value.double() if value.is_floating_point() else value for key, value in tensors(golden, name).items()}


def state_of(golden: Path, system: System) -> State:
    """The tiny model's numbers, under that system's names."""
    state = doubles(golden, "tiny_model")
    if system == "save":
        return state
    return {name.replace("Audio_Resampler", "transformer_Fusion"): value for name, value in state.items()}


def test_names_and_rules_are_the_authors(golden: Path) -> None:
    held = said(golden, "tiny_model")
    shapes = dict(held.pop("state_dict_keys"))
    sound = {"ast_patch": shapes["clip.audio.v.patch_embed.proj.weight"][-1]}
    sizes = Sizes(**held, **sound, ast_classes=shapes["clip.audio.v.head.bias"][0])
    assert list(parameter_shapes(sizes).items()) == list(shapes.items())
    theirs = [(name, shape) for name, shape in said(golden, "avigate_eval")["state_dict_keys"]]
    assert list(parameter_shapes(sizes, "avigate").items()) == theirs
    for name, source, kind in said(golden, "initialisation")["rows"]:
        assert (first_value(name), storage(name, shapes[name])) == (source, kind), name
    for name, shape, kind, *rules in said(golden, "vitb32_parameters")["rows"]:
        assert storage(name, shape) == kind, name
        assert [rate_factor(name, 1e-3), weight_decay(name), is_trained(name, 12)] == rules, name


@torch.no_grad()
@pytest.mark.parametrize("system", ["save", "avigate"])
def test_evaluation(golden: Path, system: System) -> None:
    io, held = doubles(golden, "save_eval_io"), said(golden, "save_eval")
    expected = io if system == "save" else doubles(golden, "avigate_eval_io")
    state = state_of(golden, system)
    seen = represented(state, io, system)
    names = (
        ("asv_fusion_output", "asv_fusion_output_global", "av_")
        if system == "save"
        else ("mixed_normalised", "mixed_global", "")
    )
    assert_close(seen.frames, expected[names[0]], 1e-4)
    assert_close(seen.pooled, expected[names[1]], 1e-4)
    assert_close(seen.heard_gates[0], expected[f"{names[2]}attn_gates"], 1e-4)
    assert_close(seen.heard_gates[1], expected[f"{names[2]}ff_gates"], 1e-4)
    text, scale = unit(io["sequence_output"][:, 0]), state["clip.logit_scale"].exp()
    logits = similarity(text, seen.frames, seen.pooled, io["video_mask"], scale, held["temperature"])
    assert_close(logits, expected["logits"], 1e-3)


@pytest.mark.parametrize("system", ["save", "avigate"])
def test_objective(golden: Path, system: System) -> None:
    held, io = said(golden, f"{system}_train"), doubles(golden, "save_train_io")
    expected = io if system == "save" else doubles(golden, "avigate_train_io")
    state = {name: value.requires_grad_() for name, value in state_of(golden, system).items()}
    constants = Constants(
        tau=said(golden, "save_train")["temperature"],
        beta=held["beta"],
        delta=held["margin_BD"],
        distill_scale=held.get("distill_scale", 5.0),
    )
    losses = objective(state, io, system, constants)
    for name in ("loss_t2v", "loss_v2t", "sim_loss", "distill_loss", "total_loss"):
        if name in held:
            assert float(losses[name].detach()) == pytest.approx(held[name], abs=1e-4)
    assert_close(losses["logits_with_margin"], expected["logits_with_margin"], 1e-3)
    losses["total_loss"].backward()
    for name, value in state.items():
        assert (value.grad is not None) == (name in held["grad_norms"]), name
        if f"grad.{name}" in expected:
            assert value.grad is not None
            theirs = expected[f"grad.{name}"]
            assert_close(value.grad, theirs, 0.01 * float(theirs.abs().max()))


@torch.no_grad()
def test_towers(golden: Path) -> None:
    sizes, held = said(golden, "tiny_model"), said(golden, "e2e_save")
    io, state = doubles(golden, "e2e_save_io"), state_of(golden, "save")
    assert_close(text_tokens(state, io["asr_ids"], sizes["text_heads"]), io["asr_output"], 1e-4)
    assert_close(text_vectors(state, io["caption_ids"], sizes["text_heads"]), io["sequence_output"][:, 0], 1e-4)
    pixels = io["pixels_int8"].double() * held["pixel_scale"]
    seen = image_vectors(state, pixels.flatten(0, 1), sizes["vision_heads"]).unflatten(0, pixels.shape[:2])
    assert_close(seen, io["visual_output"], 1e-4)
    sound = io["fbank_int8"].double() * held["fbank_scale"]
    heard = sound_tokens(state, sound_blocks(state, sound, sizes["ast_heads"]))
    assert_close(heard[:, : io["audio_output_head"].shape[1]], io["audio_output_head"], 1e-4)
    assert_close(heard.mean(dim=1), io["audio_output_mean"], 1e-4)

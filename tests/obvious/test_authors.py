"""`tests/obvious`, which other golden data is made with, against the numbers the authors' code gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.golden_cases.blocks import FULL_SIZE
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
from tests.obvious.retrieval import best_captions, both_ways, grouped, padded_captions
from tests.obvious.sound import RATE_HZ, filter_bank, resampled
from tests.obvious.system import Constants, System, objective, represented, similarity, unit
from tests.obvious.tokens import read_vocabulary, token_ids
from tests.obvious.towers import image_vectors, sound_blocks, sound_tokens, text_tokens, text_vectors
from tests.obvious.updates import Schedule, Trajectory, updated

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
    rows = said(golden, "vitb32_parameters")["rows"]
    patch = next(shape[-1] for name, shape, *_ in rows if name == "clip.visual.conv1.weight")
    full = parameter_shapes(replace(FULL_SIZE, patch=patch))
    assert list(full.items()) == [(name, shape) for name, shape, *_ in rows]
    for name, shape, kind, *rules in rows:
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


def test_metrics(golden: Path) -> None:
    io = load_file(golden / "metrics.safetensors")
    for name, case in said(golden, "metrics").items():
        if case["kind"] == "square":
            assert_said(both_ways(io[name]), case)
            continue
        counts = case["captions_per_video"]
        assert np.array_equal(padded_captions(io[name], counts), io[f"{name}.padded"])
        assert np.array_equal(best_captions(io[name], counts), io[f"{name}.video_to_text_sim"])
        if case["has_ties"]:  # what the reference printed is one order of the tied, of many
            case["t2v"] = {}
        assert_said(grouped(io[name], counts), case)


def assert_said(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name, value in theirs.items():
        if isinstance(value, dict):
            assert_said(ours[name], value)
        else:
            assert ours[name] == pytest.approx(value, abs=1e-4), name


def test_optimiser(golden: Path) -> None:
    held, io = said(golden, "optimizer"), doubles(golden, "optimizer")
    for kind in ("optimizer_only", "full_loop"):
        rows = {row["name"]: row for row in held["params"]}
        moving = {
            name: Trajectory(io[f"{kind}.{name}"][0], row["lr"], row["weight_decay"]) for name, row in rows.items()
        }
        for step, rates in enumerate(held["lr_used"]):
            given = {
                name: io[f"grads.{name}"][step] for name in rows if step not in held["no_grad_steps"].get(name, ())
            }
            schedule = Schedule(held["t_total"], held["warmup"])
            used, norm = updated(moving, given, schedule, loop=kind == "full_loop")
            assert [used.get(name) for name in rows] == [own if own is None else pytest.approx(own) for own in rates]
            if kind == "full_loop":
                assert norm == pytest.approx(held["global_norm_before_clip"][step])
            for name, own in moving.items():
                torch.testing.assert_close(own.value, io[f"{kind}.{name}"][step + 1], rtol=1e-5, atol=1e-6)


def test_sound(golden: Path) -> None:
    io = load_file(golden / "fbank.safetensors")
    for name, case in said(golden, "fbank").items():
        if f"{name}.waveform_int16" not in io:
            continue
        wave = io[f"{name}.waveform_int16"] / 32768
        if case["sample_rate"] != RATE_HZ:
            wave = resampled(wave, case["sample_rate"], RATE_HZ)
            assert np.abs(wave[0, ::29] - io[f"{name}.resampled_every29"]).max() <= 1e-5
        assert np.abs(filter_bank(wave)[io[f"{name}.rows"]] - io[f"{name}.values"]).max() <= 5e-3, name


def test_tokens(golden: Path) -> None:
    vocabulary = read_vocabulary()
    for case in said(golden, "tokens")["cases"]:
        for name in case.keys() - {"text"}:
            assert token_ids(case["text"], vocabulary, most=int(name.removeprefix("ids_"))) == case[name], case["text"]

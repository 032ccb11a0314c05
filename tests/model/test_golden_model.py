"""SAVE and AVIGATE whole: evaluation, training objective, gradients, end to end; tolerances as the data's README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from savecli.model.blocks import unit
from savecli.model.records import TeacherVectors, VideoEncoding
from savecli.model.reference_names import TRANSPOSED, UNUSED
from savecli.model.save_model import SaveModel
from tests.model.golden_data import (
    assert_close,
    end_to_end_inputs,
    feature_inputs,
    said,
    tensors,
    their_names,
    tiny_model,
)


def assert_gates(encoding: VideoEncoding, io: dict[str, torch.Tensor], name: str) -> None:
    if name == "save":
        assert encoding.speech_gates is not None
        assert_close(encoding.speech_gates.attention, io["asr_attn_gates"], 1e-4)
        assert_close(encoding.speech_gates.feed_forward, io["asr_ff_gates"], 1e-4)
    assert encoding.audio_gates is not None
    prefix = "av_" if name == "save" else ""
    assert_close(encoding.audio_gates.attention, io[f"{prefix}attn_gates"], 1e-4)
    assert_close(encoding.audio_gates.feed_forward, io[f"{prefix}ff_gates"], 1e-4)


@torch.no_grad()
def test_save_at_evaluation(golden: Path) -> None:
    model, io = tiny_model(golden, "save").eval(), tensors(golden, "save_eval_io")
    model.temperature = said(golden, "save_eval")["temperature"]
    features = feature_inputs(io)
    encoding = model.head(features)
    assert_gates(encoding, io, "save")
    assert_close(encoding.frames, io["asv_fusion_output"], 1e-4)
    assert_close(encoding.pooled, io["asv_fusion_output_global"], 1e-4)
    assert_close(encoding.visual_pooled, io["visual_output_global"], 1e-4)
    visual = model.head.temporal(features.frames)
    assert_close(visual, io["visual_plus_position"], 1e-4)
    assert_close(unit(visual), io["visual_output_local"], 1e-4)
    tokens = model.head.resampler(io["audio_output"])
    assert_close(tokens, io["qa_output"], 1e-4)
    assert_close(model.head.audio_fusion(visual, tokens).frames, io["av_fusion_output"], 2e-3)
    assert_close(model.head.speech_fusion(visual, io["asr_output"]).frames, io["sv_fusion_output"], 2e-3)
    assert_close(model.similarity(unit(io["sequence_output"].squeeze(1)), encoding), io["logits"], 1e-3)


@torch.no_grad()
def test_avigate_at_evaluation(golden: Path) -> None:
    model, inputs = tiny_model(golden, "avigate").eval(), tensors(golden, "save_eval_io")
    held, io = said(golden, "avigate_eval"), tensors(golden, "avigate_eval_io")
    mixing, model.temperature = held["mixing"], held["temperature"]
    assert model.head.weights[:2] == (mixing["visual"], mixing["fused"])
    encoding = model.head(feature_inputs(inputs))
    assert_gates(encoding, io, "avigate")
    assert_close(encoding.frames, io["mixed_normalised"], 1e-4)
    assert_close(encoding.pooled, io["mixed_global"], 1e-4)
    tokens = model.head.resampler(inputs["audio_output"])
    assert_close(tokens, io["qa_output"], 1e-4)
    fused = model.head.audio_fusion(model.head.temporal(inputs["visual_output"]), tokens).frames
    assert_close(fused, io["fusion_output"], 2e-3)
    assert_close(model.similarity(unit(inputs["sequence_output"].squeeze(1)), encoding), io["logits"], 1e-3)


@pytest.mark.parametrize("name", ["save", "avigate"])
def test_training_objective_and_its_gradients(golden: Path, name: str) -> None:
    held, io = said(golden, f"{name}_train"), tensors(golden, "save_train_io")
    expected = io if name == "save" else tensors(golden, "avigate_train_io")
    model = tiny_model(golden, name)
    model.objective.margin_scale, model.objective.margin_limit = held["beta"], held["margin_BD"]
    model.temperature = held.get("temperature", model.temperature)
    model.objective.alignment_scale = held.get("distill_scale", model.objective.alignment_scale)
    leaves = [key for key in expected if key.startswith("grad_input.")]
    for key in leaves:
        io[key.removeprefix("grad_input.")].requires_grad_()
    encoding = model.head(feature_inputs(io))
    text = unit(io["sequence_output"].squeeze(1))
    teacher = TeacherVectors(audio=io["teacher_audio"], video=io["teacher_video"])
    losses = model.losses(text, encoding, teacher)
    assert_close(losses.total, torch.tensor(held["total_loss"]), 1e-4)
    assert_close(losses.logits, expected["logits_with_margin"], 1e-3)
    assert losses.margin is not None
    assert_close(losses.margin, io["margin"], 1e-4)
    if name == "save":
        assert_close(losses.contrastive, torch.tensor(held["sim_loss"]), 1e-4)
        assert_close(losses.alignment, torch.tensor(held["distill_loss"]), 1e-4)
        assert_close(model.similarity(text, encoding), io["logits_without_margin"], 1e-3)
        assert encoding.alignment is not None
        assert_close(encoding.alignment.visual @ encoding.alignment.audio.T, io["v2a_sim"], 1e-4)
    losses.total.backward()
    for key in leaves:
        assert_gradient(io[key.removeprefix("grad_input.")].grad, expected[key])
    check_gradients(model, name, expected, "grad.", held["grad_norms"], held.get("params_without_grad", ()))


def check_gradients(
    model: SaveModel, name: str, expected: dict[str, torch.Tensor], prefix: str, norms: dict[str, float], none: Any
) -> None:
    """Every parameter of ours has the gradient theirs has, or none; the norms of all, the numbers of those kept."""
    names, parameters = their_names(model, name), dict(model.named_parameters())
    with_gradient = {names[ours] for ours, value in parameters.items() if value.grad is not None}
    assert with_gradient == set(norms)
    unused = {theirs for theirs in none if theirs.startswith(UNUSED)}
    assert set(none) - unused <= set(names.values()) - with_gradient
    for ours, value in parameters.items():
        theirs = names[ours]
        if value.grad is None:
            continue
        assert float(value.grad.norm()) == pytest.approx(norms[theirs], rel=0.01, abs=1e-6), theirs
        if prefix + theirs in expected:
            grad = value.grad.T if theirs in TRANSPOSED else value.grad
            assert_gradient(grad, expected[prefix + theirs])


def assert_gradient(ours: torch.Tensor | None, theirs: torch.Tensor) -> None:
    """Within one percent of the tensor's largest element."""
    assert ours is not None
    assert_close(ours, theirs, 0.01 * float(theirs.abs().max()))


@torch.no_grad()
def test_end_to_end(golden: Path) -> None:
    _, io, inputs = end_to_end_inputs(golden)
    model = tiny_model(golden, "save").eval()
    features = model.features(inputs)
    assert features.audio is not None
    assert features.speech is not None
    assert_close(features.frames, io["visual_output"], 1e-4)
    audio = features.audio.tokens
    assert_close(audio[:, : io["audio_output_head"].shape[1]], io["audio_output_head"], 1e-4)
    assert_close(audio[:, -io["audio_output_tail"].shape[1] :], io["audio_output_tail"], 1e-4)
    assert_close(audio.mean(dim=1), io["audio_output_mean"], 1e-4)
    step = -(-audio.shape[1] // io["audio_output_norms"].shape[1])
    assert_close(audio[:, ::step].norm(dim=-1), io["audio_output_norms"], 1e-4)
    assert_close(features.speech.tokens, io["asr_output"], 1e-4)
    assert_close(model.text.features(io["caption_ids"]), io["sequence_output"].squeeze(1), 1e-4)
    encoding = model.encode_video(inputs)
    assert_gates(encoding, io, "save")
    assert_close(encoding.frames, io["asv_fusion_output"], 1e-4)
    assert_close(encoding.pooled, io["asv_fusion_output_global"], 1e-4)
    assert_close(encoding.visual_pooled, io["visual_output_global"], 1e-4)
    assert_close(model.similarity(model.encode_text(io["caption_ids"]), encoding), io["similarity"], 1e-3)


@torch.no_grad()
def test_avigate_end_to_end(golden: Path) -> None:
    _, inputs_io, inputs = end_to_end_inputs(golden)
    model, io = tiny_model(golden, "avigate").eval(), tensors(golden, "e2e_avigate_io")
    encoding = model.encode_video(inputs)
    assert_gates(encoding, io, "avigate")
    assert_close(model.similarity(model.encode_text(inputs_io["caption_ids"]), encoding), io["similarity"], 1e-3)


@pytest.mark.parametrize("name", ["save", "avigate"])
def test_the_first_training_step_end_to_end(golden: Path, name: str) -> None:
    held, io, inputs = end_to_end_inputs(golden)
    model = tiny_model(golden, name)
    model.freeze_as_published()
    first = [held["caption_video"].index(video) for video in range(len(inputs.pixels))]
    teacher = TeacherVectors(audio=io["teacher_audio"], video=io["teacher_video"])
    losses = model(inputs, io["caption_ids"][first], teacher).losses
    training = held["training"] if name == "save" else said(golden, "e2e_avigate")["training"]
    assert_close(losses.total, torch.tensor(training["losses"][0]), 1e-3)
    if name == "avigate":
        return
    assert_close(losses.contrastive, torch.tensor(training["sim_loss"]), 1e-3)
    assert_close(losses.alignment, torch.tensor(training["distill_loss"]), 1e-3)
    losses.total.backward()
    check_gradients(model, name, io, "train_grad.", training["grad_norms"], training["no_grad"])
    norms = [value.grad.norm() for value in model.parameters() if value.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(training["global_grad_norm"], rel=0.01)

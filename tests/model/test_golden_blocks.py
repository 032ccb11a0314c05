"""Resampler, fusion, similarity and losses against the golden data; tolerances are those its README states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from savecli.model.blocks import unit
from savecli.model.fusion import GatedFusion
from savecli.model.losses import adaptive_margin, alignment_loss, contrastive_loss
from savecli.model.resampler import Resampler
from savecli.model.similarity import frame_logits, joint_logits, pooled_embedding, pooled_logits
from tests.model.golden_data import assert_close, load_named, said, tensors


@torch.no_grad()
def test_resampler(golden: Path) -> None:
    sizes, io = said(golden, "resampler"), tensors(golden, "resampler_io")
    module = Resampler(
        sizes["width"], layers=sizes["layers"], heads=sizes["heads"], queries=io["query_tokens"].shape[1]
    )
    named = {"query_position_embeddings.weight": io["query_position_embeddings"], "query_tokens": io["query_tokens"]}
    load_named(module, "head.resampler", {**tensors(golden, "resampler_weights"), **named})
    assert_close(module(io["audio_tokens"]), io["output"], 1e-4)
    for layer in range(sizes["layers"]):
        part = Resampler(sizes["width"], layers=layer + 1, heads=sizes["heads"], queries=len(module.queries))
        part.load_state_dict(module.state_dict(), strict=False)
        assert_close(part(io["audio_tokens"]), io[f"after_layer_{layer}"], 1e-4)


@torch.no_grad()
def test_fusion(golden: Path) -> None:
    sizes, io = said(golden, "fusion"), tensors(golden, "fusion_io")
    module = GatedFusion(sizes["width"], layers=sizes["layers"], heads=sizes["heads"])
    load_named(module, "head.audio_fusion", tensors(golden, "fusion_weights"))
    whole = io["video_mask"].bool().all(dim=1)
    for case in sizes["cases"]:
        frames, gates = module(io[f"{case}.visual"], io[f"{case}.memory"])
        assert_close(frames, io[f"{case}.output_without_mask"], 1e-4)
        assert_close(frames[whole], io[f"{case}.output"][whole], 1e-4)
        assert_close(frames, io[f"{case}.output"], 2e-3)
        assert_close(gates.attention, io[f"{case}.attn_gates"], 1e-4)
        assert_close(gates.feed_forward, io[f"{case}.ff_gates"], 1e-4)


@torch.no_grad()
def test_similarity(golden: Path) -> None:
    held, io = said(golden, "save_eval"), tensors(golden, "save_eval_io")
    text, mask = unit(io["sequence_output"].squeeze(1)), io["video_mask"].bool()
    frames, pooled = io["asv_fusion_output"], pooled_embedding(io["asv_fusion_output"], mask)
    assert_close(pooled, io["asv_fusion_output_global"], 1e-4)
    assert_close(pooled_embedding(io["visual_output_local"], mask), io["visual_output_global"], 1e-4)
    scale = torch.tensor(held["logit_scale_param"]).exp()
    assert_close(frame_logits(text, frames, scale, mask=mask, temperature=held["temperature"]), io["sim_local"], 1e-3)
    assert_close(pooled_logits(text, pooled, scale), io["sim_global"], 1e-3)
    variants = {"logits": held, **held["variants"]}
    for name, options in variants.items():
        scale = torch.tensor(options["logit_scale_param"]).exp()
        logits = joint_logits(text, frames, pooled, scale, mask=mask, temperature=options["temperature"])
        assert_close(logits, io[name], 1e-3)


@torch.no_grad()
def test_similarity_where_the_reference_overflows(golden: Path) -> None:
    held, io = said(golden, "save_eval"), tensors(golden, "save_eval_io")
    text, mask = unit(io["overflow.sequence_output"].squeeze(1)), io["video_mask"].bool()
    scale = torch.tensor(held["overflow"]["logit_scale_param"]).exp()
    logits = joint_logits(text, io["asv_fusion_output"], io["asv_fusion_output_global"], scale, mask=mask)
    assert_close(logits, io["overflow.logits_stable"], 5e-3)
    reference = io["overflow.logits_reference_fp32"]
    assert torch.equal(reference.isinf(), torch.tensor(held["overflow"]["reference_is_inf"]))


def test_margin_and_contrastive_loss(golden: Path) -> None:
    held, io = said(golden, "save_train"), tensors(golden, "save_train_io")
    text = unit(io["sequence_output"].squeeze(1))
    scale = torch.tensor(held["logit_scale_param"]).exp()
    margin = (io["logits_with_margin"] - io["logits_without_margin"]) / scale
    assert_close(margin, io["margin"], 1e-4)
    assert_close(contrastive_loss(io["logits_with_margin"]), torch.tensor(held["sim_loss"]), 1e-4)
    avigate = tensors(golden, "avigate_train_io")["logits_with_margin"]
    assert_close(contrastive_loss(avigate), torch.tensor(said(golden, "avigate_train")["total_loss"]), 1e-4)
    with_itself = adaptive_margin(text, text, margin_scale=held["beta"], margin_limit=held["margin_BD"])
    assert_close(with_itself.diagonal(), torch.zeros(len(text)), 0)
    assert with_itself.max() <= held["margin_BD"]


def test_alignment(golden: Path) -> None:
    held, io = said(golden, "save_train"), tensors(golden, "save_train_io")
    student = io["v2a_sim"].requires_grad_()
    teacher = unit(io["teacher_video"]) @ unit(io["teacher_audio"]).T
    scale = held["distill_scale"]
    loss = alignment_loss(student, teacher, io["audio_mask"].bool(), scale=scale)
    assert_close(loss, torch.tensor(held["distill_loss"]), 1e-4)
    assert_close(loss, torch.tensor(held["distill_rows"]).mean() + torch.tensor(held["distill_cols"]).mean(), 1e-4)
    for mask, expected in held["distill_loss_by_mask"]:
        loss = alignment_loss(student, teacher, torch.tensor(mask).bool(), scale=scale)
        assert_close(loss, torch.tensor(expected or 0.0), 1e-4)  # the reference's NaN is 0 here
        (gradient,) = torch.autograd.grad(loss, student)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", ["pearson", "kl", "mse", "huber", "contrastive"])
@pytest.mark.parametrize("kept", [0, 1, 2, 5])
def test_alignment_equals_the_obvious_way(kind, kept) -> None:
    generator = torch.Generator().manual_seed(kept)
    student = torch.randn(5, 5, generator=generator).clamp(-1, 1).requires_grad_()
    teacher = torch.randn(5, 5, generator=generator).clamp(-1, 1)
    mask = torch.arange(5).flip(0) < kept
    loss = alignment_loss(student, teacher, mask, kind=kind, scale=3.0)
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()
    if kept < 2:
        assert loss == 0
        assert (gradient == 0).all()
        return
    expected = sum(
        obvious_distance(
            (3 * side(student)[mask][:, mask]).softmax(-1), (3 * side(teacher)[mask][:, mask]).softmax(-1), kind
        )
        for side in (lambda x: x, lambda x: x.T)
    )
    assert_close(loss, expected, 1e-5)


def obvious_distance(p: torch.Tensor, q: torch.Tensor, kind: str) -> torch.Tensor:
    """The mean over rows, one row at a time."""
    distances = []
    for row, (ours, theirs) in enumerate(zip(p, q, strict=True)):
        if kind == "pearson":
            distances.append(1 - torch.corrcoef(torch.stack([ours, theirs]))[0, 1])
        elif kind == "kl":
            distances.append(sum(t * (t / o).log() for o, t in zip(ours, theirs, strict=True)))
        elif kind == "contrastive":
            distances.append(-ours[row].log())
        else:
            gaps = [abs(o - t) for o, t in zip(ours, theirs, strict=True)]
            distances.append(sum(gap**2 if kind == "mse" else gap**2 / 2 for gap in gaps))
    return torch.stack(distances).mean()


def test_alignment_without_a_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a teacher"):
        alignment_loss(torch.eye(3), None, torch.ones(3, dtype=torch.bool))

"""The optimiser, the parameter groups and five steps of training against the golden data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from savecli.model.records import TeacherVectors
from savecli.model.reference_names import TRANSPOSED, UNUSED
from savecli.model.teachers import Taught
from savecli.training.batches import TrainingBatch
from savecli.training.config import OptimConfig
from savecli.training.optim import Group, PublishedAdam, bound_logit_scale, clip_together, parameter_groups
from savecli.training.step import backward
from savecli.training.updates import Updates
from savecli.training.workers import Workers
from tests.model.golden_data import assert_close, end_to_end_inputs, said, tensors, their_names, tiny_model


@pytest.mark.parametrize("kind", ["optimizer_only", "full_loop"])
def test_optimiser_alone_and_in_its_loop(golden: Path, kind: str) -> None:
    held, io = said(golden, "optimizer"), tensors(golden, "optimizer")
    names = [row["name"] for row in held["params"]]
    parameters = {name: nn.Parameter(io[f"{kind}.{name}"][0].clone()) for name in names}
    groups = [
        Group(params=[parameters[row["name"]]], lr=row["lr"], weight_decay=row["weight_decay"])
        for row in held["params"]
    ]
    optimiser = PublishedAdam(groups, num_steps=held["t_total"], warmup=held["warmup"])
    for step in range(len(io[f"grads.{names[0]}"])):
        for name, parameter in parameters.items():
            skipped = step in held["no_grad_steps"].get(name, ())
            parameter.grad = None if skipped else io[f"grads.{name}"][step].clone()
        if kind == "full_loop":
            norm = clip_together(parameters.values())
            assert float(norm) == pytest.approx(held["global_norm_before_clip"][step], rel=1e-5, abs=1e-9)
        optimiser.step()
        if kind == "full_loop":
            bound_logit_scale(parameters["clip.logit_scale"])
        for name, parameter in parameters.items():
            expected = io[f"{kind}.{name}"][step + 1]
            torch.testing.assert_close(parameter.data, expected, rtol=1e-5, atol=1e-6, msg=f"{name} after step {step}")


def test_rates_are_those_used(golden: Path) -> None:
    held = said(golden, "optimizer")
    optimiser = PublishedAdam(
        [Group(params=[nn.Parameter(torch.zeros(1))], lr=1.0, weight_decay=0.0)],
        num_steps=held["t_total"],
        warmup=held["warmup"],
    )
    for column, row in enumerate(held["params"]):
        used = [rates[column] for rates in held["lr_used"] if rates[column] is not None]
        assert [row["lr"] * optimiser.rate(step) for step in range(len(used))] == pytest.approx(used)


@pytest.mark.parametrize("name", ["save", "avigate"])
def test_groups_and_freezing(golden: Path, name: str) -> None:
    held = said(golden, "optimizer_groups")
    model = tiny_model(golden, name)
    if held["args"]["freeze_layer_num"] >= 0:  # -1 freezes nothing
        model.freeze_as_published(audio_layers=held["args"]["freeze_layer_num"])
    names = {id(parameter): ours for ours, parameter in model.named_parameters()}
    theirs = their_names(model, name)
    grouped = {
        theirs[names[id(parameter)]]: (group["lr"] / held["args"]["lr"], group["weight_decay"])
        for group in parameter_groups(model, lr=held["args"]["lr"], tower_factor=held["args"]["coef_lr"])
        for parameter in group["params"]
    }
    expected = {row[0]: (row[1], row[2]) for row in held[name] if row[3] and not row[0].startswith(UNUSED)}
    assert grouped.keys() == expected.keys()
    for parameter, values in expected.items():
        assert grouped[parameter] == pytest.approx(values), parameter


@pytest.mark.parametrize("chunk_size", [1000, 1])
@pytest.mark.parametrize("name", ["save", "avigate"])
def test_five_steps(golden: Path, name: str, chunk_size: int) -> None:
    """Loss k is computed before update k; losses within 1e-3, parameters within 2e-4; by the trainer's own step."""
    held, io, inputs = end_to_end_inputs(golden)
    training = held["training"] if name == "save" else said(golden, "e2e_avigate")["training"]
    model = tiny_model(golden, name)
    model.freeze_as_published()
    names = their_names(model, name)
    before = {ours: parameter.detach().clone() for ours, parameter in model.named_parameters()}
    optim = OptimConfig(lr=training["base_lr"], tower_factor=training["coef_lr"], warmup=training["warmup"])
    updates = Updates(model, optim, num_steps=training["t_total"])
    first = [held["caption_video"].index(video) for video in range(len(inputs.pixels))]
    teacher = TeacherVectors(audio=io["teacher_audio"], video=io["teacher_video"])
    taught = Taught(teacher, torch.ones(len(first), dtype=torch.bool))
    batch = TrainingBatch(inputs, io["caption_ids"][first], taught)
    for step, expected in enumerate(training["losses"]):
        losses = backward(model, batch, chunk_size=chunk_size, precision="fp32", workers=Workers())
        assert losses.total == pytest.approx(expected, abs=1e-3)
        updates.step()
        if name == "save":
            assert model.logit_scale.item() == pytest.approx(training["logit_scale_after_step"][step], abs=1e-6)
    if name == "avigate":
        return
    for ours, parameter in model.named_parameters():
        theirs = names[ours]
        if f"trained.{theirs}" in io:
            value = parameter.T if theirs in TRANSPOSED else parameter
            assert_close(value, io[f"trained.{theirs}"], 2e-4)
        change = float((parameter.detach() - before[ours]).norm())
        assert change == pytest.approx(training["delta_norms"][theirs], rel=0.02, abs=1e-5), theirs

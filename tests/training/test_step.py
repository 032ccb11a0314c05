"""A step's gradients do not depend on the pieces and processes it is computed in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from savecli.core.errors import SaveError
from savecli.training.batches import Collator, TrainingBatch, on_device
from savecli.training.config import OptimConfig
from savecli.training.step import backward
from savecli.training.updates import Updates
from savecli.training.workers import Workers
from tests.training.random_clips import random_model_of, random_split, small_config
from tests.training.two_processes import run_two

CPU = torch.device("cpu")
SOUNDS = ("most", "one", "half taught")
PRESETS = ["save", "save-plus", "save-hard-alignment", "save-3", "avigate", "clip4clip-meanp", "clip4clip-seqlstm"]


def random_step(preset: str, *, num_clips: int = 6, sound: str = "most"):
    config = small_config(preset)
    split, source = random_split(config, num_clips=num_clips, sound=sound)
    arrays = [source.read(clip) for clip in split.clips]
    batch = Collator(config).batch(arrays, [clip.captions[0].text for clip in split.clips])
    return random_model_of(config), on_device(batch, config, CPU)


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def stepped(model, batch: TrainingBatch, *, chunk_size: int):
    model.zero_grad(set_to_none=True)
    losses = backward(model, batch, chunk_size=chunk_size, precision="fp32", workers=Workers())
    return losses, gradients(model)


@pytest.mark.parametrize("preset", PRESETS)
def test_chunks_give_the_gradients_of_the_plain_loss(preset: str) -> None:
    model, batch = random_step(preset)
    plain = model(batch.inputs, batch.captions, batch.taught.vectors).losses
    plain.total.backward()
    expected = gradients(model)
    for chunk_size in (6, 4, 1):
        losses, found = stepped(model, batch, chunk_size=chunk_size)
        assert losses.total == pytest.approx(float(plain.total.detach()), abs=1e-5)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(
                found[name], gradient, atol=2e-5, rtol=1e-3, msg=lambda text, n=name: f"{n}: {text}"
            )


@pytest.mark.parametrize("sound", ["none", "one"])
@pytest.mark.parametrize("preset", ["save", "save-plus", "save-hard-alignment"])
def test_batches_with_hardly_any_sound_stay_finite(preset: str, sound: str) -> None:
    model, batch = random_step(preset, sound=sound)
    for chunk_size in (6, 2):
        losses, found = stepped(model, batch, chunk_size=chunk_size)
        assert losses.alignment == 0
        assert all(gradient.isfinite().all() for gradient in found.values())


def test_a_loss_that_is_not_finite_stops_before_the_weights_move() -> None:
    model, batch = random_step("save")
    with torch.no_grad():
        model.head.temporal.positions[0, 0] = float("nan")
    with pytest.raises(SaveError, match="the loss is not finite") as failed:
        stepped(model, batch, chunk_size=6)
    assert "--start RUN" in failed.value.fix
    assert gradients(model) == {}


@pytest.mark.parametrize("preset", ["save", "save-plus"])
def test_a_batch_that_the_teacher_does_not_know_is_not_aligned(preset: str) -> None:
    model, batch = random_step(preset)
    losses, found = stepped(model, batch._replace(taught=None), chunk_size=4)
    assert losses.alignment == 0
    assert losses.total == pytest.approx(losses.contrastive)
    assert all(gradient.isfinite().all() for gradient in found.values())


def test_a_gradient_that_is_not_finite_leaves_the_weights(tmp_path: Path) -> None:
    model, batch = random_step("save-plus")
    stepped(model, batch, chunk_size=6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.head.temporal.positions.grad[0, 0] = float("inf")
    with pytest.raises(SaveError, match="a gradient is not finite"):
        Updates(model, OptimConfig(kind="adamw"), num_steps=4).step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gates_are_told() -> None:
    model, batch = random_step("save")
    losses, _ = stepped(model, batch, chunk_size=2)
    assert 0 < losses.audio_gate < 1
    assert 0 < losses.speech_gate < 1


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    """Also when only one of them has a clip with sound, so that the other's parameters get no gradient of their own."""
    run_two(__file__, tmp_path)
    for sound in SOUNDS:
        model, batch = taught_step(sound)
        losses, expected = stepped(model, batch, chunk_size=8)
        for rank in range(2):
            held = torch.load(tmp_path / f"{sound}.{rank}.pt", weights_only=True)
            assert json.loads(held["losses"])[:3] == pytest.approx(list(losses)[:3], abs=1e-5)
            assert held["gradients"].keys() == expected.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(held["gradients"][name], gradient, atol=2e-5, rtol=1e-3)


def taught_step(sound: str):
    """A batch of eight; of the second process's half the teacher knows nothing, if so wanted."""
    model, batch = random_step("save-plus", num_clips=8, sound="most" if sound == "half taught" else sound)
    if sound == "half taught":
        assert batch.taught is not None
        known = batch.taught.has_audio & (torch.arange(8) < 4)
        batch = batch._replace(taught=batch.taught._replace(has_audio=known))
    return model, batch


def main(out: Path) -> None:
    """What each of the two processes does."""
    from savecli.training.workers import joined_workers

    with joined_workers(CPU) as workers:
        for sound in SOUNDS:
            model, batch = taught_step(sound)
            own = batch.part(slice(4 * workers.rank, 4 * workers.rank + 4))
            if sound == "half taught" and workers.rank:
                own = own._replace(taught=None)
            losses = backward(model, own, chunk_size=3, precision="fp32", workers=workers)
            held = {"losses": json.dumps(list(losses)), "gradients": gradients(model)}
            torch.save(held, out / f"{sound}.{workers.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

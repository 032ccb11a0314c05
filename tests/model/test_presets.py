"""Every preset, at a reduced size: forward, backward, and what each says of itself."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from savecli.core.errors import UsageError
from savecli.model.build import build_model
from savecli.model.clip_model import Unfilled
from savecli.model.config import ModelConfig, config_from_json, config_json
from savecli.model.precision import cast_weights, computing
from savecli.model.presets import PRESETS, find_preset, reduced
from savecli.model.records import VideoInputs
from tests.model.random_batch import random_batch, random_model

NAMES = list(PRESETS)


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(name: str) -> None:
    model, config = random_model(name)
    inputs, captions, teacher = random_batch(config)
    output = model(inputs, captions, teacher)
    output.losses.total.backward()
    assert output.losses.total.isfinite()
    assert output.losses.logits.shape == (len(captions), len(captions))
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    assert (output.video.audio_gates is not None) == (config.audio is not None)
    assert (output.video.speech_gates is not None) == config.has_speech
    assert (output.losses.alignment != 0) == (config.loss.alignment is not None and config.audio is not None)


@pytest.mark.parametrize("name", NAMES)
def test_encode_then_score_equals_the_joint_forward(name: str) -> None:
    model, config = random_model(name)
    inputs, captions, teacher = random_batch(config)
    with torch.no_grad():
        losses = model(inputs, captions, teacher).losses
        logits = model.similarity(model.encode_text(captions), model.encode_video(inputs))
    if losses.margin is not None:
        logits = logits + model.logit_scale.exp() * losses.margin
    assert torch.allclose(logits, losses.logits, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_runs_in_bf16(name: str) -> None:
    """Within what bf16 can hold of the fp32 embeddings, and the outputs themselves are fp32."""
    model, config = random_model(name)
    inputs, captions, teacher = random_batch(config)
    expected = model(inputs, captions, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(inputs, captions, teacher)
    output.losses.total.backward()
    assert output.video.pooled.dtype == output.text.dtype == output.losses.logits.dtype == torch.float32
    cosine = (output.video.pooled * expected.video.pooled).sum(dim=-1)
    assert cosine.min() > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_encodes_with_weights_in_bf16(name: str) -> None:
    """As an index run does: weights are cast once, and the products are then in bf16."""
    model, config = random_model(name)
    inputs, captions, _ = random_batch(config)
    with torch.no_grad():
        expected = model.encode_video(inputs).pooled, model.encode_text(captions)
    cast_weights(model, "bf16")
    with computing(torch.device("cpu"), "bf16"):
        vectors = model.encode_video(inputs).pooled, model.encode_text(captions)
    for ours, theirs in zip(vectors, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours * theirs).sum(dim=-1).min() > 0.99


@pytest.mark.parametrize("base", ["", "-vit-b32", "-vit-b16"])
@pytest.mark.parametrize("name", NAMES)
def test_names_give_configs_that_survive_json(name: str, base: str) -> None:
    config = find_preset(name + base)
    assert config.name == name + base
    assert config_from_json(config_json(config)) == config
    if name != "tiny":
        assert config.clip.model["vision_cfg"]["patch_size"] == (16 if base == "-vit-b16" else 32)
        assert config.clip.quick_gelu


def test_presets_differ() -> None:
    configs = [replace(find_preset(name), name="") for name in NAMES]
    for index, config in enumerate(configs):
        assert config not in configs[:index], NAMES[index]


def test_unknown_names_and_fields_are_refused() -> None:
    with pytest.raises(UsageError, match="no preset `saev`"):
        find_preset("saev")
    held = config_json(find_preset("save"))
    with pytest.raises(UsageError, match="no field `colour`"):
        config_from_json({**held, "colour": 1})
    with pytest.raises(UsageError, match="no field `beta`"):
        config_from_json({**held, "loss": {"beta": 1}})
    with pytest.raises(UsageError, match="`scoring` is 'best'"):
        config_from_json({**held, "scoring": "best"})
    with pytest.raises(UsageError, match=r"`inputs.num_frames` is 4.5: allowed: 1 or more, without a fraction"):
        config_from_json({**held, "inputs": {"num_frames": 4.5}})
    with pytest.raises(UsageError, match="cannot read"):
        config_from_json({key: value for key, value in held.items() if key != "clip"})


# Fields that a model of the tiny preset is not changed by: names, and how inputs are made, which the features read.
NOT_BUILT = {"name", "inputs", "temporal_layers"}


def test_every_field_of_a_config_is_read() -> None:
    """Each changes what is built or computed."""
    base = reduced(find_preset("save"))
    changes = {
        "clip": replace(base.clip, model={**base.clip.model, "quick_gelu": False}),
        "temporal": "none",
        "audio": None,
        "has_speech": False,
        "resampler_layers": 2,
        "num_queries": 3,
        "fusion_layers": 2,
        "head_width": 8,
        "mix": replace(base.mix, audio=0.1),
        "scoring": "pooled",
        "temperature": 2.0,
        "loss": replace(base.loss, margin_limit=0.01),
        "parity": replace(base.parity, padded_speech=False),
    }
    assert set(changes) | NOT_BUILT == {item.name for item in fields(ModelConfig)}
    expected = loss_of(base)
    for name, value in changes.items():
        assert loss_of(replace(base, **{name: value})) != expected, name


def loss_of(config: ModelConfig) -> float:
    inputs, captions, teacher = random_batch(config)
    torch.manual_seed(0)
    with torch.no_grad():
        return float(build_model(config)(inputs, captions, teacher).losses.total)


def test_a_model_without_sound_and_speech_takes_inputs_without() -> None:
    model, config = random_model("save")
    inputs, _, _ = random_batch(config)
    bare = VideoInputs(inputs.pixels, inputs.frame_mask)
    assert config.audio is not None
    shape = (len(inputs.pixels), config.audio.num_rows, config.audio.num_mel_bins)
    zeros = bare._replace(
        sound=torch.zeros(shape),
        sound_mask=torch.zeros(shape[0], dtype=torch.bool),
        speech=torch.zeros(shape[0], config.inputs.speech_tokens, dtype=torch.long),
    )
    with torch.no_grad():  # as published: missing is the encoding of zeros
        assert torch.equal(model.encode_video(bare).pooled, model.encode_video(zeros).pooled)


def test_as_many_parameters_train_as_the_authors_log_says() -> None:
    """AVIGATE with ViT-B/32: 168.11 million."""
    with Unfilled():
        model = build_model(find_preset("avigate"))
    model.freeze_as_published()
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert round(trained / 1e6, 2) == 168.11

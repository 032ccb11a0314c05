"""What must hold of every model whatever its weights: padding, order and company of a clip do not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from savecli.model.build import build_model
from savecli.model.config import PUBLISHED, ParityConfig
from savecli.model.presets import PRESETS, find_preset, reduced
from savecli.model.records import VideoEncoding, VideoInputs
from savecli.model.save_model import SaveModel
from savecli.model.similarity import frame_logits, joint_logits, pooled_embedding
from tests.model.random_batch import random_batch, random_model

NAMES = list(PRESETS)
# Their published form lets padding take part; with `ParityConfig()` they are right too.
PADDING_COUNTS = [name for name in NAMES if reduced(find_preset(name)).parity != ParityConfig()]


def encoded(model: SaveModel, inputs: VideoInputs) -> VideoEncoding:
    with torch.no_grad():
        return model.encode_video(inputs)


def assert_same(one: VideoEncoding, other: VideoEncoding) -> None:
    """Equal pooled embeddings and real frames."""
    assert torch.allclose(one.pooled, other.pooled, atol=1e-5)
    assert int(one.mask.sum()) == int(other.mask.sum())
    assert torch.allclose(one.frames[one.mask], other.frames[other.mask], atol=1e-5)


def picked(inputs: VideoInputs, idx: torch.Tensor) -> VideoInputs:
    return VideoInputs(*(None if field is None else field[idx] for field in inputs))


def right(name: str) -> tuple[SaveModel, VideoInputs]:
    """The preset with right masks, and a batch."""
    _, config = random_model(name)
    torch.manual_seed(0)
    model = build_model(replace(config, parity=ParityConfig())).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model, random_batch(config)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_right", [True, False])
def test_order_and_company_do_not_matter(name: str, is_right: bool) -> None:
    """True of the published presets too."""
    if is_right:
        model, inputs = right(name)
    else:
        model, config = random_model(name)
        inputs = random_batch(config)[0]
    together = encoded(model, inputs)
    order = torch.tensor([2, 0, 3, 1])
    moved = encoded(model, picked(inputs, order))
    assert torch.allclose(moved.pooled, together.pooled[order], atol=1e-5)
    for clip in range(len(inputs.pixels)):
        alone = encoded(model, picked(inputs, torch.tensor([clip])))
        assert torch.allclose(alone.pooled[0], together.pooled[clip], atol=1e-5)
        assert torch.allclose(alone.frames[0], together.frames[clip], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_padding_never_changes_an_embedding(name: str) -> None:
    """Neither more of it nor what lies in it, be it NaN."""
    model, inputs = right(name)
    expected = encoded(model, inputs)
    assert_same(expected, encoded(model, padded(inputs, fill=0.0)))
    assert_same(expected, encoded(model, padded(inputs, fill=torch.nan)))


def padded(inputs: VideoInputs, *, fill: float) -> VideoInputs:
    """Two more frames and three more tokens that are not real; what is not real holds `fill`."""
    assert inputs.sound is not None
    assert inputs.sound_mask is not None
    assert inputs.speech is not None
    frame_mask = functional.pad(inputs.frame_mask, (0, 2))
    pixels = functional.pad(inputs.pixels, (0, 0) * 3 + (0, 2)).masked_fill(~frame_mask[:, :, None, None, None], fill)
    return inputs._replace(
        pixels=pixels,
        frame_mask=frame_mask,
        sound=inputs.sound.masked_fill(~inputs.sound_mask[:, None, None], fill),
        speech=functional.pad(inputs.speech, (0, 3)),
    )


@pytest.mark.parametrize("name", PADDING_COUNTS)
def test_the_published_presets_have_their_fault(name: str) -> None:
    """Where this fails, the preset has become right, and its numbers are not the published ones any more."""
    model, config = random_model(name)
    inputs = random_batch(config)[0]
    changes = (encoded(model, padded(inputs, fill=0.0)).pooled - encoded(model, inputs).pooled).abs().max()
    can_show = config.audio is not None or config.has_speech
    assert (changes > 1e-4) == can_show
    assert config.parity == PUBLISHED


def test_missing_sound_and_speech_are_dropped() -> None:
    """A clip without them is the same as one of a batch in which nobody has them."""
    model, inputs = right("save")
    together = encoded(model, inputs)
    no_sound = encoded(model, picked(inputs, torch.tensor([1]))._replace(sound=None, sound_mask=None))
    assert torch.allclose(no_sound.pooled[0], together.pooled[1], atol=1e-5)
    no_speech = encoded(model, picked(inputs, torch.tensor([2]))._replace(speech=None))
    assert torch.allclose(no_speech.pooled[0], together.pooled[2], atol=1e-5)
    neither = picked(inputs, torch.tensor([0]))._replace(sound=None, sound_mask=None, speech=None)
    seen = encoded(model, neither)
    assert torch.allclose(seen.pooled, seen.visual_pooled, atol=1e-6)


def test_more_windows_of_silence_change_nothing() -> None:
    """Sound in windows: one that is not real is not looked at, and neither are rows behind the end of the last."""
    model, inputs = right("save-plus")
    assert inputs.sound is not None
    windows = torch.stack([inputs.sound, inputs.sound.flip(1)], dim=1)
    rows = torch.ones(windows.shape[:3], dtype=torch.bool)
    rows[0, 1] = False
    rows[1] = False
    longer = functional.pad(windows, (0, 0, 0, 0, 0, 1), value=3.0)
    expected = encoded(model, inputs._replace(sound=windows, sound_mask=rows))
    same = inputs._replace(sound=longer, sound_mask=functional.pad(rows, (0, 0, 0, 1)))
    assert torch.allclose(encoded(model, same).pooled, expected.pooled, atol=1e-5)
    one = encoded(model, inputs._replace(sound=windows[:, :1], sound_mask=rows[:, :1]))
    assert torch.allclose(one.pooled[:2], expected.pooled[:2], atol=1e-5)
    assert not torch.allclose(one.pooled[2:], expected.pooled[2:], atol=1e-3)


def test_kept_audio_tokens_are_the_same_as_sound() -> None:
    for name in ("save", "save-2", "save-plus"):
        model, config = random_model(name)
        inputs = random_batch(config)[0]
        assert model.audio is not None
        assert inputs.sound is not None
        kept = model.audio.encoder(inputs.sound).unsqueeze(1)
        expected = encoded(model, inputs)
        assert_same(expected, encoded(model, inputs._replace(sound=None, sound_tokens=kept)))


def test_log_sum_exp_is_finite_at_any_scale() -> None:
    text = functional.normalize(torch.randn(3, 8), dim=-1).requires_grad_()
    frames = text.detach().unsqueeze(1).expand(3, 4, 8).clone().requires_grad_()
    for scale in (100.0, 1e4):
        for temperature in (0.25, 1.0, 4.0):
            logits = frame_logits(text, frames, torch.tensor(scale), temperature=temperature)
            assert logits.isfinite().all()
            expected = scale + torch.log(torch.tensor(4.0)) / temperature
            assert torch.allclose(logits.diagonal(), expected.expand(3), rtol=1e-5)
            gradients = torch.autograd.grad(logits.sum(), (text, frames))
            assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_video_without_frames_is_found_last() -> None:
    text = functional.normalize(torch.randn(2, 8), dim=-1).requires_grad_()
    frames = functional.normalize(torch.randn(3, 4, 8), dim=-1).requires_grad_()
    mask = torch.tensor([[True] * 4, [False] * 4, [True, False, False, False]])
    logits = joint_logits(text, frames, pooled_embedding(frames, mask), torch.tensor(10.0), mask=mask)
    assert (logits[:, 1] == -torch.inf).all()
    assert logits[:, [0, 2]].isfinite().all()
    gradients = torch.autograd.grad(logits[:, [0, 2]].sum(), (text, frames))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("seed", range(3))
def test_similarity_equals_the_obvious_way(seed: int) -> None:
    """One text, one video, one frame at a time, in float64, at random sizes."""
    generator = torch.Generator().manual_seed(seed)
    texts, videos, frames, width = (int(torch.randint(1, 9, (), generator=generator)) for _ in range(4))
    text = functional.normalize(torch.randn(texts, width, generator=generator), dim=-1)
    clips = functional.normalize(torch.randn(videos, frames, width, generator=generator), dim=-1)
    mask = torch.rand(videos, frames, generator=generator) > 0.4
    mask[:, 0] = True
    pooled = pooled_embedding(clips, mask)
    scale, temperature = torch.tensor(7.0), 2.0
    fast = joint_logits(text, clips, pooled, scale, mask=mask, temperature=temperature)
    for row in range(texts):
        for column in range(videos):
            real = [clips[column, f].double() for f in range(frames) if mask[column, f]]
            cosines = [float(text[row].double() @ frame) for frame in real]
            total = sum(torch.tensor(temperature * 7.0 * cosine, dtype=torch.double).exp() for cosine in cosines)
            mean = functional.normalize(torch.stack(real).mean(dim=0), dim=0)
            expected = (float(torch.as_tensor(total).log()) / temperature + 7.0 * float(text[row].double() @ mean)) / 2
            assert float(fast[row, column]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["save-plus", "save-2", "clip4clip-seqtransf"])
def test_compiled_is_the_same(name: str) -> None:
    model, config = random_model(name)
    inputs, captions, teacher = random_batch(config)
    expected = model(inputs, captions, teacher).losses
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs, captions, teacher).losses.total, expected.total)

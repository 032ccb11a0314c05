"""The branches against open_clip's own functions, and the forms that weights come in."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from torch.nn import functional

from savecli.core.errors import WeightsError
from savecli.model.clip_config import clip_config
from savecli.model.clip_model import build_clip, build_tokenizer, load_clip, load_text_branch
from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import ClipSource, find_clip
from savecli.model.hub import Hub
from savecli.model.precision import cast_weights, computing
from savecli.model.text import TextBranch
from savecli.model.vision import VisionBranch
from tests.make_clip import make_tiny_clip

CPU = torch.device("cpu")
TEXTS = ["a dog", "", "a man explains what he has seen today", "word " * 200]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def reference(tiny_source):
    """open_clip's own way to the same model."""
    return open_clip.create_model(f"local-dir:{tiny_source.spec.path}").eval()


def test_frames_equal_open_clip(tiny_source, reference, pixels):
    model = load_clip(tiny_source, device=CPU, precision="fp32")
    with torch.inference_mode():
        assert torch.allclose(model.vision(pixels), reference.encode_image(pixels, normalize=True), atol=1e-6)


def test_the_text_half_alone_is_the_same(tiny_source):
    whole = load_clip(tiny_source, device=CPU, precision="fp32").text
    half = load_text_branch(tiny_source, device=CPU, precision="fp32")
    with torch.inference_mode():
        assert torch.equal(half(half.tokens(TEXTS)), whole(whole.tokens(TEXTS)))


def test_texts_equal_open_clip_though_they_are_cut_short(tiny_source, reference):
    """Among them an empty text, and one beyond the 77 tokens."""
    text = load_clip(tiny_source, device=CPU, precision="fp32").text
    tokens = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
    assert torch.equal(text.tokens(TEXTS), tokens)
    with torch.inference_mode():
        expected = reference.encode_text(tokens, normalize=True)
        assert torch.allclose(text(tokens), expected, atol=1e-6)
        for row, vector in zip(tokens, expected, strict=True):
            assert torch.allclose(text(row[None])[0], vector, atol=1e-6)


def test_other_text_towers_go_through_open_clip():
    """A tower without a causal mask must not be cut."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 99,
            "width": 32,
            "heads": 2,
            "layers": 1,
            "no_causal_mask": True,
        },
    }
    model = open_clip.model.CustomTextCLIP(**config).eval()
    tokens = torch.randint(1, 98, (2, 16))
    with torch.inference_mode():
        branch = TextBranch(model, lambda texts: tokens)
        assert torch.allclose(branch(tokens), model.encode_text(tokens, normalize=True), atol=1e-6)


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_the_activation_is_that_of_the_config(tmp_path, quick_gelu):
    spec = parse_clip_spec(make_tiny_clip(tmp_path, quick_gelu=quick_gelu))
    assert activations(build_clip(find_clip(spec, Hub(offline=True)))) == {QuickGELU if quick_gelu else torch.nn.GELU}


def activations(model: torch.nn.Module) -> set[type]:
    return {type(module) for module in model.modules() if isinstance(module, (QuickGELU, torch.nn.GELU))}


@pytest.fixture(scope="module")
def openai_clip():
    """ViT-B/32 as OpenAI's weights need it, with random weights, which is all that can be had without a hub."""
    parsed = parse_clip_spec("clip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_clip(ClipSource(parsed, clip_config(parsed), None)).eval()


def test_openai_weights_get_quick_gelu(openai_clip):
    assert activations(openai_clip) == {QuickGELU}


def test_precisions_agree_with_fp32_on_a_real_architecture(openai_clip):
    generator = torch.Generator().manual_seed(0)
    pixels, tokens = torch.randn(2, 3, 224, 224, generator=generator), open_clip.get_tokenizer("ViT-B-32")(TEXTS[:3])
    expected = outputs(openai_clip, pixels, tokens, "fp32")
    for precision in ("medium", "bf16"):
        cast_weights(openai_clip, precision)  # bf16 changes the model, so it comes last
        for ours, theirs in zip(outputs(openai_clip, pixels, tokens, precision), expected, strict=True):
            assert ours.dtype == torch.float32
            assert functional.cosine_similarity(ours, theirs).min() >= 0.9995


def outputs(model, pixels, tokens, precision):
    vision, text = VisionBranch(model.visual), TextBranch(model, lambda texts: tokens)
    with computing(CPU, precision):
        return vision(pixels), text(tokens)


def test_computing_leaves_no_trace():
    before = torch.get_float32_matmul_precision()
    with computing(CPU, "medium"):
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_inference_mode_enabled()
    assert torch.get_float32_matmul_precision() == before
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("form", ["epoch.pt", "plain.bin", "model.pth", "openai.pt"])
def test_weights_come_in_many_forms(tiny_source, pixels, tmp_path, form):
    expected = load_clip(tiny_source, device=CPU, precision="fp32")
    state = open_clip.create_model(f"local-dir:{tiny_source.spec.path}").state_dict()
    path = tmp_path / form
    if form == "epoch.pt":  # as open_clip trains: wrapped by the parallel trainer, with its other state
        torch.save({"epoch": 3, "name": "mine", "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    elif form == "openai.pt":  # as OpenAI released: a TorchScript archive with three extra numbers
        save_as_torchscript(state, path)
    else:
        torch.save(state, path)
    model = load_clip(replace(tiny_source, weights=path), device=CPU, precision="fp32")
    with torch.inference_mode():
        assert torch.equal(model.vision(pixels), expected.vision(pixels))
        assert torch.equal(model.text(model.text.tokens(TEXTS)), expected.text(expected.text.tokens(TEXTS)))


def save_as_torchscript(state: dict[str, torch.Tensor], path: Path) -> None:
    class Holder(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    root = Holder()
    for name, value in {**state, "context_length": torch.tensor(77), "vocab_size": torch.tensor(49408)}.items():
        parent, *rest = root, *name.split(".")
        for part in rest[:-1]:
            if not hasattr(parent, part):
                parent.add_module(part, Holder())
            parent = getattr(parent, part)
        parent.register_buffer(rest[-1], value.detach().clone())
    torch.jit.save(torch.jit.script(root), str(path))


class Trap:
    """What a hostile pickle does: name a function to call on loading."""

    def __reduce__(self):
        return (Path.write_text, (Path("sprung"), "x"))


def test_a_pickle_that_would_run_code_is_refused(tiny_source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, save in (("zip.pt", torch.save), ("raw.bin", lambda held, path: path.write_bytes(pickle.dumps(held)))):
        path = tmp_path / name
        save({"state_dict": Trap()}, path)
        with pytest.raises(WeightsError, match="cannot load") as caught:
            load_clip(replace(tiny_source, weights=path), device=CPU, precision="fp32")
        assert "run code" in caught.value.why
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_damaged_file_is_named(tiny_source, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x00\x01 half a file")
    with pytest.raises(WeightsError, match=name):
        load_clip(replace(tiny_source, weights=path), device=CPU, precision="fp32")


def test_weights_of_another_architecture_are_refused(tiny_source):
    spec = parse_clip_spec(f"clip:RN50={tiny_source.weights}")
    with pytest.raises(WeightsError, match="does not hold weights of") as caught:
        load_clip(find_clip(spec, Hub(offline=True)), device=CPU, precision="fp32")
    assert "clip:MODEL=FILE" in caught.value.fix


def test_loading_keeps_the_process_log_as_it_was(tiny_source):
    import logging

    handlers = list(logging.getLogger().handlers)
    load_clip(tiny_source, device=CPU, precision="fp32")
    assert logging.getLogger().handlers == handlers


def test_every_number_comes_from_the_file(tiny_source):
    """Parameters are left as allocated before they are loaded; none may stay so."""
    reference = open_clip.create_model(f"local-dir:{tiny_source.spec.path}").state_dict()
    model = load_clip(tiny_source, device=CPU, precision="bf16")
    loaded = {f"visual.{name}": value for name, value in model.vision.tower.state_dict().items()}
    loaded |= model.text.model.state_dict()
    assert loaded.keys() == reference.keys()
    for name, value in loaded.items():
        assert torch.equal(value, reference[name].to(value.dtype)), name


def test_loading_does_not_disturb_random_numbers_elsewhere(tiny_source):
    load_clip(tiny_source, device=CPU, precision="fp32")
    assert torch.nn.Linear(8, 8).weight.abs().sum() > 0
    assert torch.empty(8).normal_().abs().sum() > 0


def test_a_tokenizer_that_lies_on_the_hub_is_not_fetched_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    parsed = parse_clip_spec("clip:ViT-B-16-SigLIP/webli")
    with pytest.raises(WeightsError, match="cannot load the tokenizer"):
        build_tokenizer(ClipSource(parsed, clip_config(parsed), None), Hub(offline=True))


def test_a_text_tower_described_on_the_hub_needs_the_hub(tmp_path):
    file = tmp_path / "w.bin"
    file.write_bytes(b"")
    spec = parse_clip_spec(f"clip:roberta-ViT-B-32={file}")
    with pytest.raises(WeightsError, match="cannot build") as caught:
        load_clip(find_clip(spec, Hub()), device=CPU, precision="fp32", hub=Hub(offline=True))
    assert "--offline forbids downloads" in caught.value.why

"""How a CLIP is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.model.clip_spec import DEFAULT_CLIP, KNOWN_CLIPS, ClipSpec, parse_clip_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("clip", ClipSpec("ViT-B-32", "openai")),
        ("clip:ViT-B-16", ClipSpec("ViT-B-16", "openai")),
        ("clip:ViT-B-32/laion2b_s34b_b79k", ClipSpec("ViT-B-32", "laion2b_s34b_b79k")),
        ("clip:ViT-B-32=/m/w.pt", ClipSpec("ViT-B-32", "", Path("/m/w.pt"))),
        ("clip:ViT-B-32/openai=/m/a=b.pt", ClipSpec("ViT-B-32", "openai", Path("/m/a=b.pt"))),
        ("clip:/models/mine", ClipSpec("", "", Path("/models/mine"))),
        ("clip:/models/a=b", ClipSpec("", "", Path("/models/a=b"))),
    ],
)
def test_spellings(text, spec):
    assert parse_clip_spec(text) == spec
    assert parse_clip_spec(spec.name) == spec


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_clip_spec("clip:./mine").path == tmp_path / "mine"
    assert parse_clip_spec("clip:ViT-B-32=w.pt").path == tmp_path / "w.pt"
    assert parse_clip_spec("clip:~/mine").path == Path("/home/someone/mine")


def test_a_folder_in_the_way_does_not_change_what_a_name_means(tmp_path, monkeypatch):
    (tmp_path / "ViT-B-32" / "openai").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_clip_spec("clip:ViT-B-32/openai") == DEFAULT_CLIP


@pytest.mark.parametrize("text", ["klip", "clip:", "clip:=/m/w.pt", "clip:ViT-B-32=", "clip:a/b/c"])
def test_nonsense_is_refused_with_the_spellings(text):
    with pytest.raises(UsageError) as caught:
        parse_clip_spec(text)
    assert "`clip:MODEL=FILE`" in caught.value.fix


def test_labels_are_for_people():
    assert DEFAULT_CLIP.label == "clip ViT-B-32 (openai)"
    assert parse_clip_spec("clip:ViT-B-32=/m/w.pt").label == "clip ViT-B-32 (w.pt)"
    assert parse_clip_spec("clip:/models/mine").label == "clip mine"


def test_the_table_agrees_with_open_clip():
    import open_clip
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME
    from open_clip.transform import PreprocessCfg

    from savecli.model.clip_config import PixelFormat
    from savecli.model.clip_weights import WEIGHTS_FILE

    assert WEIGHTS_FILE == HF_SAFE_WEIGHTS_NAME
    usual = PixelFormat()
    assert (usual.mean, usual.std) == (PreprocessCfg().mean, PreprocessCfg().std)
    for known in KNOWN_CLIPS:
        tag = open_clip.get_pretrained_cfg(known.architecture, known.pretrained)
        assert tag["hf_hub"] == known.repo + "/"
        assert tag.get("quick_gelu", False) == known.quick_gelu
        assert (tuple(tag["mean"]), tuple(tag["std"])) == (usual.mean, usual.std)
        assert (tag["interpolation"], tag["resize_mode"]) == (usual.interpolation, usual.resize_mode)


@pytest.mark.parametrize("architecture", sorted({known.architecture for known in KNOWN_CLIPS}))
def test_sizes_are_four_bytes_a_parameter(architecture):
    import torch
    from open_clip.factory import get_model_config
    from open_clip.model import CLIP

    with torch.device("meta"):
        parameters = sum(p.numel() for p in CLIP(**get_model_config(architecture)).parameters())
    for known in KNOWN_CLIPS:
        if known.architecture == architecture:
            assert known.size_bytes == pytest.approx(4 * parameters, rel=0.01)

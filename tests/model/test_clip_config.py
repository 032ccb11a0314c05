"""Architecture, preprocessing and fingerprint of a CLIP, without loading it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from savecli.core.errors import UsageError, WeightsError
from savecli.model.clip_config import ClipConfig, PixelFormat, clip_config, clip_fingerprint
from savecli.model.clip_spec import ClipSpec, parse_clip_spec
from tests.make_clip import tiny_model_config


def folder_with(folder, model, preprocess=None):
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    return ClipSpec("", path=folder)


def test_openai_weights_get_quick_gelu_and_others_do_not():
    assert clip_config(parse_clip_spec("clip")).quick_gelu
    assert clip_config(parse_clip_spec("clip:ViT-B-32/openai=/m/w.pt")).quick_gelu
    assert clip_config(parse_clip_spec("clip:ViT-B-32-quickgelu=/m/w.pt")).quick_gelu
    assert not clip_config(parse_clip_spec("clip:ViT-B-32/laion2b_s34b_b79k")).quick_gelu
    assert not clip_config(parse_clip_spec("clip:ViT-B-32=/m/w.pt")).quick_gelu


def test_a_pair_outside_the_table_comes_from_open_clip():
    config = clip_config(parse_clip_spec("clip:ViT-L-14-CLIPA/datacomp1b"))
    assert config.pixels.resize_mode == "squash"
    assert config.pixels.interpolation == "bilinear"
    assert config.dimension == 768


def test_what_open_clip_does_not_know_is_refused():
    with pytest.raises(UsageError, match="no model `ViT-X`") as caught:
        clip_config(parse_clip_spec("clip:ViT-X"))
    assert "ViT-B-32" in caught.value.why
    with pytest.raises(UsageError, match="no weights `mine` for `ViT-B-32`") as caught:
        clip_config(parse_clip_spec("clip:ViT-B-32/mine"))
    assert "openai" in caught.value.why


def test_a_lone_weights_file_is_told_how_to_say_its_architecture(tmp_path):
    file = tmp_path / "w.pt"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="without its architecture") as caught:
        clip_config(ClipSpec("", path=file))
    assert f"clip:MODEL={file}" in caught.value.fix


def test_folders_without_a_usable_config_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no CLIP model in"):
        clip_config(ClipSpec("", path=tmp_path))
    (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot read"):
        clip_config(ClipSpec("", path=tmp_path))
    with pytest.raises(UsageError, match="does not make"):
        clip_config(folder_with(tmp_path, tiny_model_config(), {"resize_mode": "longest"}))


def test_a_folder_says_its_preprocessing(tmp_path):
    preprocess = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
    config = clip_config(folder_with(tmp_path, tiny_model_config(quick_gelu=True), preprocess))
    assert config.pixels == PixelFormat(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", "squash")
    assert config.quick_gelu


def test_a_folder_of_a_config_has_that_config(tmp_path):
    config = clip_config(parse_clip_spec("clip"))
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config.folder_config()))
    assert clip_config(ClipSpec("", path=tmp_path)) == config


def test_the_fingerprint_follows_what_makes_the_vectors(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"numbers")
    config = ClipConfig(tiny_model_config(), PixelFormat(32))
    first = clip_fingerprint(config, weights)

    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(b"numbers")
    assert clip_fingerprint(config, moved) == first

    moved.write_bytes(b"Numbers")
    others = {
        clip_fingerprint(config, moved),
        clip_fingerprint(replace(config, model=tiny_model_config(quick_gelu=True)), weights),
        clip_fingerprint(replace(config, pixels=PixelFormat(32, resize_mode="squash")), weights),
    }
    assert len(others | {first}) == 4


def test_choosing_and_fingerprinting_load_no_model(tiny_source):
    program = f"""
import sys
import savecli.archive.encoder, savecli.model.hub
assert not {{"torch", "open_clip", "transformers"}} & set(sys.modules), "at import"
from savecli.archive.encoder import encoder_record, resolve_encoder
hub = savecli.model.hub.Hub(offline=True)
assert resolve_encoder("auto", hub=hub).name == "words"
assert len(encoder_record(resolve_encoder("clip:{tiny_source.spec.path}", hub=hub)).fingerprint) == 64
assert not {{"torch", "open_clip", "transformers"}} & set(sys.modules), "at work"
"""
    empty = str(tiny_source.spec.path / "no_cache")
    subprocess.run([sys.executable, "-c", program], check=True, env={"HF_HOME": empty, "PATH": ""})

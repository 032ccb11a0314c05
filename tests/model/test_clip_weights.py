"""Where weights are found, fetched from and put."""

from __future__ import annotations

import json
import shutil

import pytest

from savecli.core.errors import UsageError, WeightsError
from savecli.model import clip_spec
from savecli.model.clip_spec import ClipSpec, KnownClip, parse_clip_spec
from savecli.model.clip_weights import export_clip, fetch_clip, find_clip
from savecli.model.hub import Hub

REPO = clip_spec.KNOWN_CLIPS[0].repo


@pytest.fixture
def hub(local_hub, tmp_path):
    local_hub.files[f"{REPO}/open_clip_model.safetensors"] = b"numbers"
    return Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path / "cache")


def test_weights_on_the_hub_are_found_without_asking_it(hub, local_hub):
    source = find_clip(parse_clip_spec("clip"), hub)
    assert (source.weights, source.repo) == (None, REPO)
    assert source.download_bytes > 500_000_000
    assert local_hub.requests == []


def test_fetched_weights_are_found_in_the_cache(hub, tmp_path):
    fetched = fetch_clip(find_clip(parse_clip_spec("clip"), hub), hub)
    assert fetched.weights is not None
    assert fetched.weights.read_bytes() == b"numbers"
    assert fetched.download_bytes == 0
    offline = Hub(offline=True, cache_dir=tmp_path / "cache")
    assert find_clip(parse_clip_spec("clip"), offline).weights == fetched.weights


def test_a_file_with_the_tag_has_the_fingerprint_of_the_download(hub, tmp_path):
    file = tmp_path / "copied.safetensors"
    file.write_bytes(b"numbers")
    fetched = fetch_clip(find_clip(parse_clip_spec("clip"), hub), hub)
    assert find_clip(parse_clip_spec(f"clip:ViT-B-32/openai={file}"), hub).fingerprint == fetched.fingerprint
    assert find_clip(parse_clip_spec(f"clip:ViT-B-32={file}"), hub).fingerprint != fetched.fingerprint


def test_an_exported_folder_stands_by_itself(hub, tmp_path):
    source = find_clip(parse_clip_spec("clip"), hub)
    folder = tmp_path / "to carry"
    exported = export_clip(source, folder, hub)
    assert sorted(path.name for path in folder.iterdir()) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["quick_gelu"]

    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    found = find_clip(parse_clip_spec(f"clip:{moved}"), Hub(offline=True))
    assert found.fingerprint == fetch_clip(source, hub).fingerprint
    assert exported.spec.name == f"clip:{folder}"


def test_the_second_name_is_tried_where_the_first_is_missing(local_hub, tmp_path):
    """Older repositories have no safetensors."""
    local_hub.files["laion/CLIP-ViT-H-14-laion2B-s32B-b79K/open_clip_pytorch_model.bin"] = b"pickled"
    hub = Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path)
    fetched = fetch_clip(find_clip(parse_clip_spec("clip:ViT-H-14/laion2b_s32b_b79k"), hub), hub)
    assert fetched.weights is not None
    assert fetched.weights.read_bytes() == b"pickled"


def test_local_models_must_be_there(tmp_path):
    hub = Hub(offline=True)
    with pytest.raises(WeightsError, match="no CLIP weights at"):
        find_clip(parse_clip_spec(f"clip:ViT-B-32={tmp_path}/gone.pt"), hub)
    with pytest.raises(UsageError, match="names a folder"):
        find_clip(parse_clip_spec(f"clip:ViT-B-32={tmp_path}"), hub)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(WeightsError, match="cannot load") as caught:
        find_clip(parse_clip_spec(f"clip:ViT-B-32={tmp_path}/notes.txt"), hub)
    assert ".safetensors" in caught.value.why


def test_a_folder_with_its_weights_missing_or_doubled_is_refused(tiny_source, tmp_path):
    shutil.copy(tiny_source.spec.path / "open_clip_config.json", tmp_path)
    spec = ClipSpec("", path=tmp_path)
    with pytest.raises(WeightsError, match="no CLIP weights in") as caught:
        find_clip(spec, Hub(offline=True))
    assert "found none" in caught.value.why
    (tmp_path / "a.pt").write_bytes(b"1")
    assert find_clip(spec, Hub(offline=True)).weights == tmp_path / "a.pt"
    (tmp_path / "b.pt").write_bytes(b"2")
    with pytest.raises(WeightsError) as caught:
        find_clip(spec, Hub(offline=True))
    assert "a.pt, b.pt" in caught.value.why


def test_models_with_a_tokenizer_elsewhere_are_not_exported(tmp_path):
    hub = Hub(offline=True, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="cannot be put into a folder"):
        export_clip(find_clip(parse_clip_spec("clip:ViT-B-16-SigLIP/webli"), hub), tmp_path / "out", hub)


def test_the_table_names_each_pair_once():
    pairs = [(known.architecture, known.pretrained) for known in clip_spec.KNOWN_CLIPS]
    assert len(set(pairs)) == len(pairs)
    assert all(isinstance(known, KnownClip) and known.purpose for known in clip_spec.KNOWN_CLIPS)

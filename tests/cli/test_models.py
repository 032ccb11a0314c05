"""`save models` through the real command, with a hub on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from savecli.model.clip_spec import KNOWN_CLIPS
from tests.make_hub import serve_hub

CLIP_FILE = f"{KNOWN_CLIPS[0].repo}/open_clip_model.safetensors"


@pytest.fixture
def hub(save):
    """A hub that offers CLIP; `save` is pointed at it."""
    with serve_hub() as hub:
        hub.files[CLIP_FILE] = b"numbers" * 1000
        save.env.update(HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.endpoint)
        yield hub


def rows(save):
    return {row["name"]: row for row in save.within("models", "--json").json["models"]}


def test_the_list_says_what_is_here(save):
    listed = rows(save)
    assert not listed["clip:ViT-B-32/openai"]["is_here"]
    assert listed["clip:ViT-B-32/openai"]["is_default"]
    assert not listed["whisper-base"]["is_here"]
    assert listed["pocketsphinx en-us"]["is_here"]
    assert listed["tiny-world"]["is_here"]
    assert all(row["purpose"] and row["size_bytes"] > 3_000_000 for row in listed.values())


def test_off_a_terminal_the_list_is_tab_separated_and_plain(save):
    for arguments in (("models",), ("models", "list")):
        outcome = save(*arguments)
        lines = [line.split("\t") for line in outcome.out.splitlines()]
        assert all(len(line) == 4 for line in lines)
        assert lines[0] == ["clip:ViT-B-32/openai", KNOWN_CLIPS[0].purpose, "605.0 MB", "not here"]
        assert "\x1b" not in outcome.out
        assert outcome.err == ""


def test_listing_asks_no_network(save, hub):
    save("models")
    assert hub.requests == []


def test_pull_fetches_into_the_cache_and_prints_the_path(save, hub):
    outcome = save("models", "pull", "clip")
    assert outcome.out.rstrip("\n").endswith("open_clip_model.safetensors")
    assert rows(save)["clip:ViT-B-32/openai"]["path"] == outcome.out.rstrip("\n")
    again = save("models", "pull", "clip", "--offline")
    assert again.out == outcome.out


def test_pull_into_a_folder_says_how_to_use_it(save, hub, tmp_path):
    folder = tmp_path / "to carry"
    outcome = save("models", "pull", "clip:ViT-B-32/openai", "--dir", folder)
    assert outcome.out == f"{folder}\n"
    assert f"save index VIDEOS --encoder clip:{folder}" in outcome.err
    config = json.loads((folder / "open_clip_config.json").read_text())
    assert config["model_cfg"]["quick_gelu"] is True
    assert sorted(path.name for path in folder.iterdir()) == ["open_clip_config.json", "open_clip_model.safetensors"]


@pytest.mark.parametrize("name", ["clip", "whisper-base"])
@pytest.mark.parametrize("by_option", [True, False])
def test_offline_is_respected_with_its_reason(save, hub, name, by_option):
    arguments = ("--offline",) if by_option else ()
    save.env.update({} if by_option else {"HF_HUB_OFFLINE": "1"})
    outcome = save.within("models", "pull", name, *arguments, code=1)
    assert ("--offline forbids downloads" if by_option else "HF_HUB_OFFLINE forbids downloads") in outcome.err
    assert "--dir FOLDER" in outcome.err
    assert outcome.out == ""
    assert hub.requests == []


def test_whisper_is_pulled_from_the_same_hub(save, hub, tmp_path):
    for file in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        hub.files[f"Systran/faster-whisper-tiny/{file}"] = b"{}"
    outcome = save("models", "pull", "whisper-tiny")
    assert rows(save)["whisper-tiny"]["path"] == outcome.out.rstrip("\n")
    copied = save("models", "pull", "whisper-tiny", "--dir", tmp_path / "whisper", "--offline")
    assert f"--whisper {tmp_path / 'whisper'}" in copied.err
    assert (tmp_path / "whisper" / "model.bin").read_bytes() == b"{}"
    assert not (tmp_path / "whisper" / "model.bin").is_symlink()


@pytest.mark.parametrize("name", ["words", "base", "clipper"])
def test_names_without_weights_are_refused(save, name):
    outcome = save.within("models", "pull", name, code=2)
    assert f"there is nothing to pull for `{name}`" in outcome.err
    assert "save models" in outcome.err


def test_unknown_models_name_the_known_ones(save):
    assert "open_clip has no model `ViT-X`" in save.within("models", "pull", "clip:ViT-X", code=2).err
    assert "base" in save.within("models", "pull", "whisper-huge", code=2).err


def test_help_has_examples_and_defaults(save):
    assert "Example: save models" in save.within("models", "--help").out
    pull = save.within("models", "pull", "--help").out
    assert "Example: save models pull clip --dir" in pull
    assert "[default: (the hub's cache)]" in pull


def test_import_converts_and_lists(save, golden):
    file = golden / "tiny_model.safetensors"
    outcome = save("models", "import", str(file), "--as", "mine")
    folder = Path(outcome.out.rstrip("\n"))
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "preprocess.json",
        "README.md",
    }
    assert "Imported save" in outcome.err
    assert rows(save)["mine"]["path"] == str(folder)
    again = save.within("models", "import", str(file), "--as", "mine", code=2)
    assert "is there already" in again.err


def test_import_says_what_is_wrong(save, tmp_path):
    assert "cannot call a model" in save.within("models", "import", "x.bin", "--as", "../x", code=2).err
    assert "cannot load" in save.within("models", "import", str(tmp_path / "none.bin"), "--as", "x", code=1).err

"""Our folders and foreign files: there and back is the identity, what does not fit is told, nothing in them is run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from savecli.core.errors import UsageError, WeightsError
from savecli.model.build import build_model
from savecli.model.checkpoint import (
    CARD,
    CONFIG,
    ORIGIN,
    PREPROCESS,
    WEIGHTS,
    Origin,
    checkpoint_fingerprint,
    load_checkpoint,
    save_checkpoint,
)
from savecli.model.clip_model import Unfilled, build_towers
from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import find_clip
from savecli.model.convert import from_reference, reference_config, to_reference
from savecli.model.hub import Hub
from savecli.model.importing import import_file
from savecli.model.initial import fill_towers
from savecli.model.presets import PRESETS, find_preset
from savecli.model.reference_names import AVIGATE_RESAMPLER, SAVE_RESAMPLER, UNUSED, reference_table
from tests.model.golden_data import half_to_float, said, tiny_config, tiny_model
from tests.model.random_batch import random_batch, random_model


@pytest.mark.parametrize("name", list(PRESETS))
def test_saved_and_loaded_is_the_same(name: str, tmp_path: Path) -> None:
    model, config = random_model(name)
    save_checkpoint(model, config, tmp_path / "m", notes="a test")
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.config == config
    assert not loaded.model.training
    inputs, captions, _ = random_batch(config)
    with torch.no_grad():
        assert torch.equal(loaded.model.encode_video(inputs).pooled, model.encode_video(inputs).pooled)
        assert torch.equal(loaded.model.encode_text(captions), model.encode_text(captions))


def test_a_folder_says_what_it_is(tmp_path: Path) -> None:
    model, config = random_model("save")
    save_checkpoint(model, config, tmp_path / "m", notes="trained on nothing")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == sorted([CARD, CONFIG, PREPROCESS, WEIGHTS])
    assert "trained on nothing" in (tmp_path / "m" / CARD).read_text()
    said_inputs = json.loads((tmp_path / "m" / PREPROCESS).read_text())
    assert said_inputs["num_frames"] == config.inputs.num_frames
    assert said_inputs["pixels"]["image_size"] == config.clip.pixels.image_size
    assert said_inputs["bank"]["kind"] == "ast"


def test_what_is_known_of_the_training_is_kept_and_decides_no_embedding(tmp_path: Path) -> None:
    model, config = random_model("clip4clip-meanp")
    origin = Origin("fp32", "trained on lsmdc")
    save_checkpoint(model, config, tmp_path / "plain")
    save_checkpoint(model, config, tmp_path / "trained", origin=origin)
    assert load_checkpoint(tmp_path / "plain").origin == Origin()
    assert load_checkpoint(tmp_path / "trained").origin == origin
    assert checkpoint_fingerprint(tmp_path / "plain") == checkpoint_fingerprint(tmp_path / "trained")
    (tmp_path / "trained" / ORIGIN).write_text('{"precision": "fp8"}')
    with pytest.raises(WeightsError, match="no precision `fp8`"):
        load_checkpoint(tmp_path / "trained")


def test_weights_are_as_readable_as_the_other_files(tmp_path: Path) -> None:
    model, config = random_model("clip4clip-meanp")
    save_checkpoint(model, config, tmp_path / "m")
    assert (tmp_path / "m" / WEIGHTS).stat().st_mode == (tmp_path / "m" / CONFIG).stat().st_mode


def test_fingerprints_tell_models_apart(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model, config = random_model("save-h", seed=seed)
        save_checkpoint(model, config, tmp_path / name, notes=name)
    prints = [checkpoint_fingerprint(tmp_path / name) for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, config = random_model("clip4clip-meanp")
    folder = tmp_path / "m"
    save_checkpoint(model, config, folder)
    before = checkpoint_fingerprint(folder)
    with pytest.raises(UsageError, match="is there already"):
        save_checkpoint(model, config, folder)
    with monkeypatch.context() as patch:
        patch.setattr("savecli.model.checkpoint.CARD", "no/such/folder")
        with pytest.raises(FileNotFoundError):
            save_checkpoint(model, replace(config, temperature=2.0), folder, replace=True)
    assert checkpoint_fingerprint(folder) == before
    save_checkpoint(model, replace(config, temperature=2.0), folder, replace=True)
    assert load_checkpoint(folder).config.temperature == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_damage_is_told(tmp_path: Path) -> None:
    model, config = random_model("clip4clip-meanp")
    folder = tmp_path / "m"
    with pytest.raises(WeightsError, match="there is none"):
        load_checkpoint(folder)
    save_checkpoint(model, config, folder)
    other, other_config = random_model("clip4clip-seqlstm")
    save_checkpoint(other, other_config, tmp_path / "other")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(WeightsError, match=r"unknown: head\.temporal\.lstm"):
        load_checkpoint(folder)
    (folder / WEIGHTS).write_bytes(whole[:1000])
    with pytest.raises(WeightsError, match="cannot load"):
        load_checkpoint(folder)
    held = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**held, "format": 99}))
    with pytest.raises(UsageError, match="format 99"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["save", "avigate"])
def test_the_authors_names_there_and_back(golden: Path, name: str) -> None:
    """Every number of the tiny model but the documented unused ones."""
    state = tiny_model(golden, name).state_dict()
    theirs = to_reference(state, resampler=AVIGATE_RESAMPLER if name == "avigate" else SAVE_RESAMPLER)
    assert all(torch.equal(value, state[key]) for key, value in from_reference(theirs, state).items())
    keys = said(golden, "tiny_model" if name == "save" else "avigate_eval")["state_dict_keys"]
    expected = {key: shape for key, shape in keys if not key.startswith(UNUSED)}
    assert {key: list(value.shape) for key, value in theirs.items()} == expected
    if name == "save":
        original = load_file(golden / "tiny_model.safetensors")
        assert all(torch.equal(half_to_float(original[key]), value) for key, value in theirs.items())


def test_the_names_of_the_full_size_model(golden: Path) -> None:
    """Names and shapes of a ViT-B/32 SAVE are those of the authors' checkpoint, whose config is the preset's."""
    rows = {row[0]: tuple(row[1]) for row in said(golden, "vitb32_parameters")["rows"]}
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in rows.items()}
    patch = rows["clip.visual.conv1.weight"][-1]
    preset = replace(find_preset(f"save-vit-b{patch}"), name="save")
    assert reference_config(state) == preset
    with Unfilled():
        ours = build_model(preset).state_dict()
    table = reference_table(ours)
    assert table.keys() == {name for name in rows if not name.startswith(UNUSED)}
    for theirs, name in table.items():
        shape = rows[theirs][::-1] if theirs == "query_tokens" else rows[theirs]
        assert tuple(ours[name].shape) == shape, name


def test_a_fresh_model_starts_where_theirs_does(golden: Path) -> None:
    config = tiny_config(golden)
    rows = said(golden, "initialisation")["rows"]
    torch.manual_seed(0)
    donor, model = build_model(config), build_model(config)
    with torch.no_grad():
        for parameter in donor.parameters():
            parameter.normal_()
    held = to_reference(donor.state_dict())
    clip = {row[1][5:]: held[row[0]] for row in rows if row[1].startswith("clip:") and row[0].startswith("clip.")}
    audio = {f"module.{row[1][4:]}": held[row[0]] for row in rows if row[1].startswith("ast:") and row[0] in held}
    fill_towers(model, clip=clip, audio=audio)
    fresh = to_reference(model.state_dict())
    for name, source, _ in rows:
        if name.startswith(UNUSED):
            continue
        value = fresh[name]
        if source.startswith("clip:"):
            assert torch.equal(value, clip[source[5:]]), name
        elif source.startswith("ast:"):
            assert torch.equal(value, audio[f"module.{source[4:]}"]), name
        elif source in ("ones", "zeros"):
            assert (value == float(source == "ones")).all(), name
        elif source == "orthonormal columns":
            assert torch.allclose(value.T @ value, torch.eye(value.shape[1]), atol=1e-5), name
        elif source == "xavier uniform":
            bound = (6 / sum(value.shape)) ** 0.5
            assert 0.9 * bound < value.abs().max() <= bound, name
        else:
            deviation = re.fullmatch(r"normal, std = (0\.\d+|ast_width\^-0\.5)", source)
            assert deviation is not None, f"{name} from {source}"
            assert config.audio is not None
            expected = config.audio.width**-0.5 if "ast" in deviation[1] else float(deviation[1])
            spread = 5 / (2 * value.numel()) ** 0.5  # five deviations of a deviation
            assert float(value.std()) == pytest.approx(expected, rel=spread), name


def test_wrong_towers_are_refused(golden: Path) -> None:
    model = build_model(tiny_config(golden))
    clip = build_towers(tiny_config(golden).clip).state_dict()
    with pytest.raises(WeightsError, match="missing: positional_embedding"):
        fill_towers(model, clip={name: value for name, value in clip.items() if name != "positional_embedding"})
    with pytest.raises(WeightsError, match="unknown: colour"):
        fill_towers(model, clip={**clip, "colour": torch.ones(1)})


@pytest.mark.parametrize("name", ["save", "avigate"])
def test_importing_an_authors_checkpoint(golden: Path, tmp_path: Path, name: str) -> None:
    """With one head a 64 of width, which is what their full-size checkpoints have, and can be told."""
    state = load_file(golden / "tiny_model.safetensors")
    if name == "avigate":
        keys = [key for key, _ in said(golden, "avigate_eval")["state_dict_keys"]]
        state = {key: state[key.replace(AVIGATE_RESAMPLER, SAVE_RESAMPLER)] for key in keys}
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "pytorch_model.bin.4")
    imported = import_file(tmp_path / "pytorch_model.bin.4", tmp_path / "mine")
    assert imported == ("save", name)
    loaded = load_checkpoint(tmp_path / "mine")
    assert loaded.config == reference_config(state)
    expected = tiny_model(golden, name).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.model.state_dict().items())


def test_unknown_and_missing_names_are_listed(golden: Path, tmp_path: Path) -> None:
    state = load_file(golden / "tiny_model.safetensors")
    torch.save({**state, "colour": torch.ones(1)}, tmp_path / "a.bin")
    with pytest.raises(WeightsError, match="unknown: colour"):
        import_file(tmp_path / "a.bin", tmp_path / "a")
    gone = {key: value for key, value in state.items() if key != "clip.ln_final.bias"}
    torch.save(gone, tmp_path / "b.bin")
    with pytest.raises(WeightsError, match=re.escape("missing: clip.ln_final.bias")):
        import_file(tmp_path / "b.bin", tmp_path / "b")
    torch.save({"weight": torch.ones(1)}, tmp_path / "c.bin")
    with pytest.raises(WeightsError, match="no weights that can be imported"):
        import_file(tmp_path / "c.bin", tmp_path / "c")
    torch.save({"model": print}, tmp_path / "d.bin")
    with pytest.raises(WeightsError, match="cannot load"):
        import_file(tmp_path / "d.bin", tmp_path / "d")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_importing_clip_gives_a_folder_that_clip_takes(golden: Path, tmp_path: Path) -> None:
    towers = build_towers(tiny_config(golden).clip)
    extra = {"input_resolution": torch.tensor(32)}
    torch.save({**{key: value.half() for key, value in towers.state_dict().items()}, **extra}, tmp_path / "clip.pt")
    assert import_file(tmp_path / "clip.pt", tmp_path / "clip").kind == "clip"
    source = find_clip(parse_clip_spec(f"clip:{tmp_path / 'clip'}"), Hub(offline=True))
    assert source.config.quick_gelu
    assert source.weights is not None
    held = load_file(source.weights)
    assert held.keys() == towers.state_dict().keys()


def test_importing_audio_encoders(golden: Path, tmp_path: Path) -> None:
    from savecli.model.audio_names import original_ast

    model = tiny_model(golden, "save")
    assert model.audio is not None
    state = {name: value for name, value in model.audio.state_dict().items() if name != "projection"}
    torch.save({**original_ast(state), "module.mlp_head.0.weight": torch.ones(1)}, tmp_path / "ast.pth")
    assert import_file(tmp_path / "ast.pth", tmp_path / "ast") == ("audio", "AST")
    held = load_file(tmp_path / "ast" / WEIGHTS)
    assert all(torch.equal(held[name], value) for name, value in state.items())
    fresh = build_model(tiny_config(golden))
    fill_towers(fresh, clip=build_towers(tiny_config(golden).clip).state_dict(), audio=held)
    assert fresh.audio is not None
    assert torch.equal(fresh.audio.norm.weight, model.audio.norm.weight)

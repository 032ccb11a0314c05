"""AST and Whisper's encoder against transformers', and the names their weights come under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from savecli.core.errors import WeightsError
from savecli.model.audio import AST_NORM_EPS, WHISPER_NORM_EPS, Ast, AudioBranch, WhisperEncoder
from savecli.model.audio_names import audio_state, is_ast, original_ast, transformers_ast

AST = {"width": 24, "layers": 2, "heads": 3, "num_rows": 60, "num_mel_bins": 40, "patch": 16, "stride": 10}
WHISPER = {"width": 24, "layers": 2, "heads": 3, "num_rows": 40, "num_mel_bins": 8}


def ast_branch() -> AudioBranch:
    return AudioBranch(Ast(**AST), norm_eps=AST_NORM_EPS, width=24).eval()


def without_projection(branch: AudioBranch) -> dict[str, torch.Tensor]:
    return {name: value for name, value in branch.state_dict().items() if name != "projection"}


@pytest.fixture(scope="module")
def transformers() -> Any:
    import transformers

    return transformers


@torch.no_grad()
def test_ast_equals_transformers(transformers: Any) -> None:
    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=AST["width"],
        num_hidden_layers=AST["layers"],
        num_attention_heads=AST["heads"],
        intermediate_size=4 * AST["width"],
        max_length=AST["num_rows"],
        num_mel_bins=AST["num_mel_bins"],
        layer_norm_eps=AST_NORM_EPS,
    )
    theirs = transformers.ASTModel(config).eval()
    for parameter in theirs.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    branch = ast_branch()
    branch.load_state_dict(audio_state(theirs.state_dict()), strict=False)
    sound = torch.randn(2, AST["num_rows"], AST["num_mel_bins"])
    expected = theirs(sound).last_hidden_state  # norms first, and leaves the two tokens to be averaged afterwards
    ours = branch.norm(branch.encoder(sound))
    assert torch.allclose(ours[:, 1:], expected[:, 2:], atol=1e-5)


@torch.no_grad()
def test_whisper_equals_transformers(transformers: Any) -> None:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=WHISPER["width"],
        encoder_layers=WHISPER["layers"],
        encoder_attention_heads=WHISPER["heads"],
        encoder_ffn_dim=4 * WHISPER["width"],
        num_mel_bins=WHISPER["num_mel_bins"],
        max_source_positions=WHISPER["num_rows"] // 2,
    )
    theirs = TheirEncoder(config).eval()
    fresh = AudioBranch(WhisperEncoder(**WHISPER), norm_eps=WHISPER_NORM_EPS, width=24).eval()
    assert torch.allclose(fresh.encoder.positions, theirs.embed_positions.weight, atol=1e-6)
    for parameter in theirs.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    state = {f"model.encoder.{name}": value for name, value in theirs.state_dict().items()}
    fresh.load_state_dict(audio_state({**state, "model.decoder.layers.0.fc1.bias": torch.ones(1)}), strict=False)
    sound = torch.randn(2, WHISPER["num_rows"], WHISPER["num_mel_bins"])
    expected = theirs(sound.transpose(1, 2)).last_hidden_state
    assert torch.allclose(fresh.norm(fresh.encoder(sound)), expected, atol=1e-5)


@pytest.mark.parametrize("to_theirs", [original_ast, transformers_ast])
def test_ast_there_and_back_is_the_identity(to_theirs: Callable[..., dict[str, torch.Tensor]]) -> None:
    state = without_projection(ast_branch())
    theirs = to_theirs(state)
    assert is_ast(theirs)
    back = audio_state(theirs)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_names_of_transformers_are_its_own(transformers: Any) -> None:
    config = transformers.ASTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96)
    assert (
        transformers_ast(without_projection(ast_branch())).keys() == transformers.ASTModel(config).state_dict().keys()
    )


def test_names_of_older_transformers_are_known() -> None:
    """As the hub's AST checkpoints were written in 2022."""
    state = without_projection(ast_branch())
    older = {}
    for name, value in transformers_ast(state).items():
        for newer, old in (
            ("layers.", "encoder.layer."),
            ("q_proj", "attention.query"),
            ("k_proj", "attention.key"),
            ("v_proj", "attention.value"),
            ("o_proj", "output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
        ):
            name = name.replace(newer, old)
        older[f"audio_spectrogram_transformer.{name}"] = value
    older["classifier.dense.weight"] = torch.ones(1)
    back = audio_state(older)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_unknown_names_are_told() -> None:
    theirs = original_ast(without_projection(ast_branch()))
    with pytest.raises(WeightsError, match=r"module\.v\.colour"):
        audio_state({**theirs, "module.v.colour": torch.ones(1)})


def test_patches_look_at_their_rows() -> None:
    """The mask of tokens is the rows that reach each: changing others leaves its patch as it was."""
    encoder = Ast(**AST)
    rows = torch.zeros(1, AST["num_rows"], dtype=torch.bool)
    rows[0, :20] = True
    sound = torch.randn(1, AST["num_rows"], AST["num_mel_bins"])
    changed = sound.masked_fill(rows.unsqueeze(-1), 9.0)
    patches = [encoder.patches(x.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2) for x in (sound, changed)]
    touched = (patches[0] != patches[1]).any(dim=2)
    assert torch.equal(encoder.token_mask(rows)[:, 1:], touched)

"""The text side of an encoder within an archive: written whole, found again, or the reason why it cannot be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import ftfy
import open_clip
import pytest
import torch

from savecli.archive.encoder import encoder_record, load_text_encoder, resolve_encoder
from savecli.archive.manifest import EncoderRecord
from savecli.archive.text_side import (
    FILE_NAME,
    MAX_COSINE_DISTANCE,
    PROBES,
    build_tokenizer,
    drop_text_sides_of_others,
    keep_text_side,
    read_text_files,
    repaired,
    text_folder,
)
from savecli.features.tokens import VOCABULARY_SIZE
from savecli.model.build import build_model
from savecli.model.hub import Hub
from savecli.model.presets import find_preset
from savecli.model.text import TextBranch
from tests.features.test_tokens import texts_of_all_kinds
from tests.make_clip import TINY_WIDTH, make_tiny_clip

OFFLINE = Hub(offline=True)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> EncoderRecord:
    """A tiny random CLIP as an archive remembers it."""
    return encoder_record(resolve_encoder(make_tiny_clip(tmp_path_factory.mktemp("weights")), hub=OFFLINE))


@pytest.fixture(scope="module")
def written(record: EncoderRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text side of that CLIP."""
    folder = tmp_path_factory.mktemp("archive")
    keep_text_side(folder, record, lambda: load_text_encoder(record, hub=OFFLINE).branch)
    return folder


@pytest.fixture
def kept(written: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(written, tmp_path / "home.save"))


def unloaded() -> TextBranch:
    raise AssertionError("there was nothing to write")


def test_what_is_written_says_what_it_is(written: Path, record: EncoderRecord) -> None:
    files = read_text_files(written, record)
    assert files is not None
    assert files.obstacle == ""
    assert files.fingerprint == record.fingerprint
    assert (files.vocabulary_size, files.max_tokens, files.end_id) == (VOCABULARY_SIZE, 77, VOCABULARY_SIZE - 1)
    assert files.cosine_distance <= MAX_COSINE_DISTANCE
    folder = text_folder(written, record)
    assert {path.name for path in folder.iterdir()} == {FILE_NAME, *files.size_bytes}
    assert {files.graph, files.token_embedding} < files.size_bytes.keys()
    # Half the bytes of float32: only rows in use are widened.
    assert files.size_bytes[files.token_embedding] < 1.01 * 2 * VOCABULARY_SIZE * 2 * TINY_WIDTH
    assert list(written.iterdir()) == [folder]


def test_what_is_there_is_not_made_again(kept: Path, record: EncoderRecord) -> None:
    keep_text_side(kept, record, unloaded)
    keep_text_side(kept, EncoderRecord(name="words", label="words", fingerprint="words-1", dimension=0), unloaded)


def cut_short(folder: Path) -> None:
    path = next(folder.glob("*.onnx"))
    path.write_bytes(path.read_bytes()[:-1])


def of_another_version(folder: Path) -> None:
    held = json.loads((folder / FILE_NAME).read_text())
    (folder / FILE_NAME).write_text(json.dumps({**held, "format": 0}))


def without_a_file(folder: Path) -> None:
    next(folder.glob("*.npy")).unlink()


def not_json(folder: Path) -> None:
    (folder / FILE_NAME).write_text("{")


@pytest.mark.parametrize("harm", [cut_short, of_another_version, without_a_file, not_json, shutil.rmtree])
def test_what_is_torn_or_old_counts_as_missing(kept: Path, record: EncoderRecord, harm: Any) -> None:
    harm(text_folder(kept, record))
    assert read_text_files(kept, record) is None


def test_the_files_of_another_encoder_are_not_taken(kept: Path, record: EncoderRecord) -> None:
    other = replace(record, fingerprint=record.fingerprint[:12] + "0" * 52)
    assert read_text_files(kept, other) is None


def test_what_a_kill_left_half_written_is_made_anew(kept: Path, record: EncoderRecord) -> None:
    place = text_folder(kept, record)
    cut_short(place)
    (kept / f"{place.name}.tmp").mkdir()
    (kept / f"{place.name}.tmp" / "text-fp32.onnx").write_bytes(b"half")
    keep_text_side(kept, record, lambda: load_text_encoder(record, hub=OFFLINE).branch)
    files = read_text_files(kept, record)
    assert files is not None
    assert files.obstacle == ""
    assert list(kept.iterdir()) == [place]


def test_only_one_encoders_text_side_stays(kept: Path, record: EncoderRecord) -> None:
    other = text_folder(kept, replace(record, fingerprint="f" * 64))
    shutil.copytree(text_folder(kept, record), other)
    drop_text_sides_of_others(kept, record)
    assert list(kept.iterdir()) == [text_folder(kept, record)]


class ForeignTokens(TextBranch):
    """A tower whose words are cut up by something else than CLIP's tokenizer."""

    def tokens(self, texts: Any) -> torch.Tensor:
        return super().tokens(texts).flip(0)


class LooksAhead(TextBranch):
    """A tower that is not causal."""

    def __init__(self, branch: TextBranch) -> None:
        super().__init__(branch.model, branch.tokenizer)
        self.model.attn_mask = None


class Drifting(TextBranch):
    """A tower that computes something else than the graph made of it."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors = super().forward(tokens)
        return torch.nn.functional.normalize(vectors + 0.1 * vectors.flip(1), dim=-1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda branch: ForeignTokens(branch.model, branch.tokenizer), "a tokenizer of its own"),
        (LooksAhead, "not causal"),
        (lambda branch: Drifting(branch.model, branch.tokenizer), "differs too much"),
    ],
)
def test_what_cannot_be_exported_leaves_the_reason(
    tmp_path: Path, record: EncoderRecord, change: Any, why: str
) -> None:
    branch = load_text_encoder(record, hub=OFFLINE).branch
    keep_text_side(tmp_path, record, lambda: change(branch))
    files = read_text_files(tmp_path, record)
    assert files is not None
    assert why in files.obstacle
    assert [path.name for path in text_folder(tmp_path, record).iterdir()] == [FILE_NAME]
    keep_text_side(tmp_path, record, unloaded)  # and is not tried again


def test_the_text_side_of_a_model_of_ours_is_exported(tmp_path: Path) -> None:
    config = find_preset("tiny")
    model = build_model(config).eval()
    tokenizer = build_tokenizer(config.clip.model["text_cfg"]["vocab_size"])
    most = config.inputs.caption_tokens
    model.text.tokenizer = lambda texts: torch.from_numpy(tokenizer.rows(texts, max_tokens=most).ids)
    record = EncoderRecord(name="mine", label="mine", fingerprint="a" * 64, dimension=config.clip.dimension)
    keep_text_side(tmp_path, record, lambda: model.text)
    files = read_text_files(tmp_path, record)
    assert files is not None
    assert files.obstacle == ""
    assert files.max_tokens == most
    assert files.cosine_distance <= MAX_COSINE_DISTANCE


def test_token_numbers_are_open_clips() -> None:
    texts = [*PROBES, *texts_of_all_kinds(300)]
    ours = build_tokenizer(VOCABULARY_SIZE).rows(texts, max_tokens=77).ids
    assert (ours == open_clip.get_tokenizer("ViT-B-32")(texts).numpy()).all()


def test_repairs_are_ftfys() -> None:
    for text in [*PROBES, *texts_of_all_kinds(2000), *map(chr, range(300)), "a\u2019b", "&AMP; x", "x\x7fy", "a\r\nb"]:
        assert repaired(text) == ftfy.fix_text(text), repr(text)

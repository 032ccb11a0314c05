"""Queries through the text side that lies in an archive, against torch, and what they load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from savecli.archive.create import create_archive
from savecli.archive.encoder import encoder_record, load_text_encoder, resolve_encoder
from savecli.archive.schema import ClipRow, VideoRow
from savecli.archive.store import Archive, open_archive
from savecli.archive.text_side import FILE_NAME, MAX_COSINE_DISTANCE, PROBES, keep_text_side, text_folder
from savecli.core.errors import WeightsError
from savecli.core.records import ClipEmbedding
from savecli.model.hub import Hub
from savecli.search.text_encoder import load_query_encoder, open_text_encoder
from tests.make_clip import TINY_WIDTH, make_tiny_clip

OFFLINE = Hub(offline=True)
# What a query must do without. numpy and pyarrow come with lancedb.
HEAVY = {"torch", "open_clip", "transformers", "pandas", "torchvision", "huggingface_hub", "onnx", "onnxscript"}
QUERY = """
import json, sys
from savecli.cli.main import save
code = save.main(["query", *sys.argv[1:]], standalone_mode=False)
print(json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of two clips whose pictures are what a tiny random CLIP makes of two texts."""
    folder = tmp_path_factory.mktemp("made")
    record = encoder_record(resolve_encoder(make_tiny_clip(folder / "weights"), hub=OFFLINE))
    encoder = load_text_encoder(record, hub=OFFLINE)
    archive = create_archive(folder / "home.save")
    archive.set_manifest(replace(archive.manifest, encoder=record))
    vectors = archive.make_vector_table(record)
    for number, vector in enumerate(encoder.encode_text(["a red kite", "ein gr\u00fcner Hund"])):
        path = folder / f"{number}.mp4"
        path.touch()
        video = VideoRow(path=str(path), video_id=str(number), root=str(folder), duration_s=4.0, num_clips=1)
        clips = [ClipRow(str(number), 0, 0.0, 4.0)]
        archive.commit_video(video, clips, [ClipEmbedding(vector, vector[None])], vectors)
    keep_text_side(archive.folder, record, lambda: encoder.branch)
    return archive.folder


@pytest.fixture(scope="module")
def archive(made: Path) -> Archive:
    return open_archive(made)


def cosine_distance(one: np.ndarray, other: np.ndarray) -> float:
    assert np.linalg.norm(one, axis=1) == pytest.approx(1, abs=1e-5)
    return float((1 - (one * other).sum(axis=1)).max())


@pytest.mark.parametrize("for_many", [False, True])
def test_vectors_are_torchs(archive: Archive, for_many: bool) -> None:
    texts = [*PROBES, "dog", "!", "\u00e9", " ".join(["palimpsest"] * 200), "\u732b" * 100]
    assert archive.manifest.encoder is not None
    expected = load_text_encoder(archive.manifest.encoder, hub=OFFLINE).encode_text(texts)
    encoder = open_text_encoder(archive, for_many=for_many)
    assert encoder is not None
    together = encoder.encode_text(texts)
    assert together.dtype == np.float32
    assert cosine_distance(together, expected) <= MAX_COSINE_DISTANCE
    alone = np.concatenate([encoder.encode_text([text]) for text in texts])
    assert cosine_distance(alone, expected) <= MAX_COSINE_DISTANCE
    many = encoder.encode_text(texts * 4)
    assert cosine_distance(many, np.tile(expected, (4, 1))) <= MAX_COSINE_DISTANCE
    assert encoder.encode_text([]).shape == (0, TINY_WIDTH)


def query(archive_folder: Path, *arguments: str) -> tuple[list[dict], set[str], int]:
    """What a fresh process prints, the packages it loaded, and its exit code."""
    command = [sys.executable, "-c", QUERY, *arguments, "--jsonl", "--all", "--archive", str(archive_folder)]
    env = {**os.environ, "LANCEDB_LOG": "error", "HOME": str(archive_folder.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    *hits, told = map(json.loads, done.stdout.splitlines())
    return hits, set(told["modules"]), told["code"]


def test_a_query_loads_neither_torch_nor_pandas(made: Path) -> None:
    hits, modules, code = query(made, "a red kite", "--see")
    assert code == 0
    assert Path(hits[0]["path"]).name == "0.mp4"
    assert modules & HEAVY == set()
    assert "ftfy" not in modules  # plain ASCII needs no repair
    hits, modules, _ = query(made, "ein gr\u00fcner Hund", "--see")
    assert Path(hits[0]["path"]).name == "1.mp4"
    assert modules & HEAVY == set()
    assert "ftfy" in modules


def test_words_alone_do_not_load_the_runtime(made: Path) -> None:
    _, modules, code = query(made, "a red kite", "--phrase")
    assert code == 1
    assert modules & {*HEAVY, "onnxruntime", "tokenizers"} == set()


def test_an_archive_of_before_goes_through_torch(archive: Archive, tmp_path: Path) -> None:
    assert archive.manifest.encoder is not None
    expected = load_query_encoder(archive, hub=OFFLINE)(["a dog"])
    old = open_archive(Path(shutil.copytree(archive.folder, tmp_path / "old.save")))
    place = text_folder(old.folder, archive.manifest.encoder)
    told = json.loads((place / FILE_NAME).read_text())
    (place / FILE_NAME).write_text(json.dumps({**told, "obstacle": "another tower"}))
    assert open_text_encoder(old) is None
    assert cosine_distance(load_query_encoder(old, hub=OFFLINE)(["a dog"]), expected) <= MAX_COSINE_DISTANCE
    shutil.rmtree(place)
    assert open_text_encoder(old) is None
    assert cosine_distance(load_query_encoder(old, hub=OFFLINE)(["a dog"]), expected) <= MAX_COSINE_DISTANCE


def test_only_torch_needs_the_weights(archive: Archive, tmp_path: Path) -> None:
    record = archive.manifest.encoder
    assert record is not None
    moved = open_archive(Path(shutil.copytree(archive.folder, tmp_path / "moved.save")))
    moved.manifest = replace(moved.manifest, encoder=replace(record, name=f"clip:{tmp_path / 'gone'}"))
    assert load_query_encoder(moved, hub=OFFLINE)(["a dog"]).shape == (1, TINY_WIDTH)
    shutil.rmtree(text_folder(moved.folder, record))
    with pytest.raises(WeightsError, match="cannot be opened"):
        load_query_encoder(moved, hub=OFFLINE)

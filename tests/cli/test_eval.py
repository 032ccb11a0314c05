"""`save eval` of real models on real videos: the numbers, their forms, and what is refused before work is done."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from savecli.model.checkpoint import Origin, save_checkpoint
from savecli.training.config import RunConfig, Selection, TrainConfig
from savecli.training.run_dir import RunData, RunDir
from tests.cli.test_eval_archive import refused, run
from tests.make_clip import make_tiny_clip
from tests.make_media import make_video
from tests.training.random_clips import random_model_of, small_config

COLOURS = ("red", "blue", "green", "yellow")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of four test clips, of which one has no file and one no sound, one training clip, and two models."""
    folder = tmp_path_factory.mktemp("world")
    rows = ["video,caption,split,group"]
    for number, colour in enumerate(COLOURS):
        make_video(folder / f"{colour}.mp4", scenes=(colour,), duration_s=1.0, audio=None if number == 3 else "aac")
        rows.append(f"{colour}.mp4,something {colour},test,{'sound' if number % 2 else 'vision'}")
    make_video(folder / "train.mp4", scenes=("white",), duration_s=1.0, audio=None)
    rows += ["lost.mp4,something lost,test,vision", "train.mp4,something white,train,"]
    rows += ["train.mp4,another white,train,"]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "asr.json").write_text('[{"key": "red.wav", "text": "red words that are said"}]')
    config = small_config("save-plus")
    for seed, name in enumerate(("one", "two")):
        save_checkpoint(random_model_of(config, seed=seed), config, folder / name)
    return folder


def options(world: Path) -> tuple[Any, ...]:
    return "--dataset", "manifest", "--root", world, "--asr", world / "asr.json", "--device", "cpu"


@pytest.fixture(scope="module")
def kept(world: Path) -> Path:
    """Similarities of the first model, written by the command."""
    result = run("--checkpoint", world / "one", *options(world), "--out", world / "one.npz", "--json")
    assert result.return_value == 3, result.exception
    (world / "one.json").write_text(result.stdout)
    return world / "one.npz"


def test_numbers_come_with_what_they_mean_nothing_without(world: Path, kept: Path) -> None:
    document = json.loads((world / "one.json").read_text())
    facts = {name: document[name] for name in ("num_clips", "num_captions", "num_with_audio", "num_missing", "ties")}
    assert facts == {"num_clips": 4, "num_captions": 4, "num_with_audio": 3, "num_missing": 1, "ties": "strict"}
    assert document["num_with_speech"] == 1
    assert [row["direction"] for row in document["results"][0]["rows"]] == ["t2v", "v2t"]
    assert document["results"][0]["rows"][0]["recall_at_5"] == 100


def test_kept_similarities_give_the_same_report_without_the_model(world: Path, kept: Path) -> None:
    again = json.loads(run("--checkpoint", kept, "--json").stdout)
    first = json.loads((world / "one.json").read_text())
    assert again["results"] == first["results"]


def test_groups_post_processing_and_pictures(world: Path, kept: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curve.svg"
    result = run("--checkpoint", kept, "--by", "speech", "--post", "dsl", "--csv", "--plot", plot)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["processing"], row["direction"], row["group"]) for row in rows] == [
        (processing, *row)
        for processing in ("raw", "transductive")
        for row in (("t2v", ""), ("v2t", ""), ("t2v", "vision"), ("t2v", "sound"))
    ]
    assert plot.read_text(encoding="utf-8").startswith("<?xml")


def test_a_querybank_is_made_of_training_captions_and_leaves_raw_numbers_alone(world: Path, kept: Path) -> None:
    result = run("--checkpoint", world / "one", *options(world), "--post", "qb", "--json")
    raw, bank = json.loads(result.stdout)["results"]
    plain = json.loads((world / "one.json").read_text())["results"][0]
    assert [row["recall_at_1"] for row in raw["rows"]] == [row["recall_at_1"] for row in plain["rows"]]
    assert bank["processing"] == "inductive"
    assert bank["how"].startswith("querybank of 2, beta ")
    assert [row["direction"] for row in bank["rows"]] == ["t2v"]


def test_a_pipe_gets_aligned_text(kept: Path) -> None:
    result = run("--checkpoint", kept)
    lines = result.stdout.splitlines()
    assert "\x1b" not in result.stdout
    header = next(line for line in lines if "R@1" in line)
    row = next(line for line in lines if line.startswith("text to video"))
    assert len(header) == len(row)
    assert "gallery of 4 clips" in result.stdout
    assert "| text to video | 4 |" in run("--checkpoint", kept, "--markdown").stdout


def test_two_models_are_compared_on_the_same_clips(world: Path, kept: Path) -> None:
    result = run("--compare", kept, world / "two", *options(world), "--json")
    document = json.loads(result.stdout)
    assert document["kind"] == "comparison"
    assert document["names"] == [str(kept), str(world / "two")]
    assert len(document["differences"]) == 9
    assert result.return_value == 3


def test_clip_is_a_checkpoint_like_any_other(world: Path, tmp_path: Path) -> None:
    result = run("--checkpoint", make_tiny_clip(tmp_path / "clip"), *options(world))
    assert result.return_value == 3, result.exception
    assert "text to video" in result.stdout


def test_the_precision_is_that_of_training_unless_another_is_asked_for_and_is_said(world: Path, tmp_path: Path) -> None:
    config = small_config("save-plus")
    save_checkpoint(random_model_of(config), config, tmp_path / "trained", origin=Origin("fp32", "trained on lsmdc"))
    asked = ("--checkpoint", tmp_path / "trained", *options(world))
    fp32, bf16 = (json.loads(run(*asked, *more, "--json").stdout) for more in ((), ("--precision", "bf16")))
    assert (fp32["precision"], bf16["precision"]) == ("fp32", "bf16")
    assert fp32["selection"] == "trained on lsmdc"
    assert "computed in fp32" in run(*asked, "--out", tmp_path / "kept.npz").stdout
    assert "computed in fp32" in run("--checkpoint", tmp_path / "kept.npz").stdout
    assert next(csv.DictReader(io.StringIO(run(*asked, "--csv").stdout)))["precision"] == "fp32"


@pytest.mark.parametrize(
    ("select", "note"),
    [("val", "epoch chosen by validation clips"), ("peak-test", "epoch chosen by the test split itself")],
)
def test_a_run_says_how_its_epoch_was_chosen(world: Path, tmp_path: Path, select: Selection, note: str) -> None:
    config = RunConfig(dataset="lsmdc", train=TrainConfig(select=select), model=small_config("save-plus"))
    RunDir(tmp_path / "run").create(config, RunData(root="/data"))
    assert "has no checkpoint yet" in refused("--checkpoint", tmp_path / "run", *options(world))
    shutil.copytree(world / "one", tmp_path / "run/best")
    for spec in ("run", "run/best"):
        result = run("--checkpoint", tmp_path / spec, *options(world))
        assert f"selection: trained on lsmdc, {note}" in result.stdout
    run("--checkpoint", tmp_path / "run", *options(world), "--out", tmp_path / "kept.npz")
    assert note in run("--checkpoint", tmp_path / "kept.npz").stdout
    assert "selection" not in run("--checkpoint", world / "one", *options(world)).stdout
    one, kept, *_ = run("--compare", world / "one", tmp_path / "kept.npz", *options(world)).stdout.splitlines()
    assert one.startswith(f"A = {world / 'one'} · computed in ")
    assert "selection" not in one
    assert kept.startswith(f"B = {tmp_path / 'kept.npz'} · computed in ")
    assert f"selection: trained on lsmdc, {note}" in kept


def test_what_cannot_be_done_is_said_before_anything_is_loaded(world: Path, kept: Path) -> None:
    one = world / "one"
    assert "--dataset is missing" in refused("--checkpoint", one)
    assert "--root is missing" in refused("--checkpoint", one, "--dataset", "lsmdc")
    assert "ends in `.pdf`" in refused("--checkpoint", kept, "--plot", "a.pdf")
    assert "--out a.npz" in refused("--checkpoint", kept, "--out", "a.txt")
    assert "--by and --compare do not go together" in refused("--compare", kept, kept, "--by", "speech")
    assert "the bank is not in it" in refused("--checkpoint", kept, "--post", "qb")
    assert "similarities are computed" in refused("--checkpoint", kept, "--precision", "bf16")
    assert "there is no folder /nowhere" in refused("--checkpoint", kept, "--out", "/nowhere/a.npz")
    assert "there is no folder /nowhere" in refused("--checkpoint", kept, "--plot", "/nowhere/a.png")
    assert "no model `oen`" in refused("--checkpoint", "oen", *options(world))
    assert "has no val split here" in refused("--checkpoint", one, *options(world), "--split", "val")


@pytest.mark.parametrize(
    "given",
    ["--dataset=nonsense", "--root=/nowhere", "--split=val", "--videos=/nowhere", "--cache=/nowhere", "--asr=/nowhere"],
)
def test_kept_similarities_refuse_what_would_not_change_them(kept: Path, given: str) -> None:
    for mode in (("--checkpoint", kept), ("--compare", kept, kept)):
        assert f"{given.partition('=')[0]} and FILE.npz do not go together" in refused(*mode, given)


def test_clips_without_a_file_and_those_that_cannot_be_read_are_told_apart(world: Path, tmp_path: Path) -> None:
    shutil.copy(world / "red.mp4", tmp_path)
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    rows = "video,caption,split\nred.mp4,a,test\nlost.mp4,b,test\ntorn.mp4,c,test\n"
    (tmp_path / "manifest.csv").write_text(rows)
    asked = ("--checkpoint", world / "one", "--dataset", "manifest", "--root", tmp_path, "--device", "cpu")
    result = run(*asked, "--out", tmp_path / "kept.npz")
    assert result.return_value == 3, result.exception
    assert "2 clips of the split left out: 1 without a file, 1 unreadable" in result.stdout
    assert f"save data verify manifest --root {tmp_path} --decode" in result.stderr
    kept = json.loads(run("--checkpoint", tmp_path / "kept.npz", "--json").stdout)
    assert (kept["num_missing"], kept["num_unreadable"]) == (2, 1)

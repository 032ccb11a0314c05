"""`save data`: what is listed, what a verification tells, and a cache that goes on where it was stopped."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from savecli.cli.clip_check import why_unusable
from savecli.cli.data import data
from savecli.core.errors import UsageError
from savecli.core.records import Span
from savecli.datasets.registry import DATASETS, find_dataset
from savecli.model.build import build_model
from savecli.model.checkpoint import save_checkpoint
from savecli.model.presets import find_preset
from savecli.training.cache import CacheSource
from savecli.training.session import open_data
from tests.datasets.miniature import make_miniature
from tests.training.test_files import overwrite_sound

NAME = "msrvtt-9k"


def run(*arguments: str | Path, code: int = 0) -> Result:
    """The group as `save` calls it."""
    outcome = CliRunner().invoke(data, [str(item) for item in arguments], standalone_mode=False)
    if outcome.exception is not None:
        raise outcome.exception
    assert (outcome.return_value or 0) == code, outcome.output
    return outcome


@pytest.fixture
def miniature(tmp_path) -> Path:
    return make_miniature(NAME, tmp_path / NAME)


@pytest.fixture
def first(miniature) -> tuple[str, Path]:
    """The first clip of the training split, and its file."""
    opened = open_data(NAME, miniature)
    clip_id = opened.dataset.train.clips[0].clip_id
    return clip_id, opened.located.paths[clip_id]


def test_the_list_names_every_dataset_its_files_and_their_source():
    listed = json.loads(run("--json").stdout)["datasets"]
    assert [row["name"] for row in listed] == list(DATASETS)
    assert all(row["layout"] and row["source"] for row in listed)
    text = run().stdout
    assert run("list").stdout == text
    assert all(name in text for name in DATASETS)
    assert "    MSRVTT_data.json" in text


def test_a_whole_copy_is_verified(miniature, tmp_path):
    split = find_dataset(NAME).read(miniature).train
    # The sample is no whole protocol, so the copy is told to differ from it, but nothing is missing.
    outcome = run("verify", NAME, "--root", miniature, "--decode", code=3)
    number = len(split.clips)
    assert f"{number} found, {number} can be decoded" in outcome.stdout
    assert "the published split 9,000" in outcome.stdout
    assert "missing" not in outcome.stdout
    manifest = make_miniature("manifest", tmp_path / "manifest")
    assert (
        "complete, by the names of files (--decode opens them)" in run("verify", "manifest", "--root", manifest).stdout
    )


def test_spans_and_sound_are_decoded(video):
    path, mute = video("a.mp4", duration_s=2.0), video("mute.mp4", audio=None)
    assert why_unusable(path, None) is None
    assert why_unusable(path, Span(0.5, 1.5)) is None
    assert why_unusable(mute, None) is None
    assert why_unusable(path, Span(500.0, 510.0)) == "it has no picture at 500.00 s"
    overwrite_sound(path)
    for span in (None, Span(0.5, 1.5)):
        assert why_unusable(path, span) == "nothing of its audio stream can be decoded"


@pytest.mark.parametrize("ending", ["flv", "avi", "mp4"])
def test_slides_are_in_order(video, ending):
    codec = "flv1" if ending == "flv" else "mpeg4"
    slides = video(f"slides.{ending}", duration_s=9.0, rate_hz=Fraction(1, 3), codec=codec, b_frames=0, audio=None)
    assert why_unusable(slides, None) is None


def overwrite_middle(path: Path) -> Path:
    """The file with its middle third full of noise."""
    data = path.read_bytes()
    third = len(data) // 3
    path.write_bytes(data[:third] + Random(1).randbytes(third) + data[2 * third :])
    return path


def test_half_a_clip_is_not_in_order(video):
    whole = video("whole.mkv", duration_s=6.0)
    assert why_unusable(whole, None) is None
    half = whole.with_name("half.mkv")
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert re.fullmatch(r"it ends at [23]\.\d\d s, and should at 6\.0\d s", why_unusable(half, None))
    assert re.fullmatch(r"it ends at 6\.0\d s, and should at 900\.00 s", why_unusable(whole, Span(1.0, 900.0)))
    silent = overwrite_middle(video("silent.mp4", duration_s=6.0, audio=None))
    assert re.fullmatch(
        r"its picture cannot be decoded at \d of 12 places, the first at [23]\.\d\d s", why_unusable(silent, None)
    )
    loud = overwrite_middle(video("loud.mp4", duration_s=6.0))
    assert re.fullmatch(r"\d\d % of its sound cannot be decoded", why_unusable(loud, None))
    hollow = overwrite_middle(video("hollow.mkv", duration_s=6.0))
    assert re.fullmatch(r"it holds nothing from [12]\.\d\d s to \d\.\d\d s", why_unusable(hollow, None))


def test_pictures_that_stay_and_sound_that_ends_are_in_order(video):
    slides = video("slides.mkv", times_s=[0.0, 0.1, 0.2, 5.0, 5.04, 9.9])
    late = video("late.mp4", duration_s=6.0, audio_start_s=3.0)
    titled = video("titled.mkv", duration_s=2.0, subtitles=[(0.5, 200.0, "a note")])
    tape, silent = video("tape.ts", start_s=90_000.0), video("silent.avi", codec="mpeg4", audio=None)
    for path in (slides, late, titled, tape, silent):
        assert [why_unusable(path, span) for span in (None, Span(0.5, 1.5), Span(0.0, 2.0))] == [None, None, None]


def test_what_is_missing_and_what_is_broken_is_told_apart(miniature, first):
    name, path = first
    test_clip = find_dataset(NAME).read(miniature).test.clips[0].clip_id
    path.write_bytes(b"no video" * 99)
    (miniature / "videos" / f"{test_clip}.mp4").unlink()
    outcome = run("verify", NAME, "--root", miniature, "--decode", code=3)
    assert f"    missing: {test_clip}\n" in outcome.stdout
    assert f"    cannot be decoded: {name}: " in outcome.stdout
    assert f"what is missing comes from: {DATASETS[NAME].source}" in outcome.stdout
    found = json.loads(run("verify", NAME, "--root", miniature, "--decode", "--json", code=3).stdout)
    train, test = found["splits"]
    assert (list(train["undecodable"]), test["missing"]) == ([name], [test_clip])
    assert not found["is_complete"]


def test_prepare_fills_a_cache_once(miniature, first):
    path = first[1]
    arguments = ("prepare", NAME, "--root", miniature, "--preset", "tiny")
    planned = run(*arguments, "--plan")
    assert "10 clips to prepare" in planned.stderr
    assert "filter banks" in planned.stderr
    assert planned.stdout == ""
    assert not (miniature / "cache").exists()
    outcome = run(*arguments)
    assert outcome.stdout == f"{miniature / 'cache'}\n"
    assert "10 clips prepared." in outcome.stderr
    opened = open_data(NAME, miniature)
    source = CacheSource(miniature / "cache", find_preset("tiny"), paths=opened.located.paths, speech=opened.speech)
    splits = opened.dataset.splits
    assert all(len(source.read(clip).frames) for split in splits for clip in split.clips)
    assert "0 clips prepared, 10 were there." in run(*arguments, "--verify").stderr
    path.write_bytes(b"no video" * 99)
    broken = run(*arguments, code=3)
    assert f"skipped {path}: " in broken.stderr
    assert "0 clips prepared, 9 were there, 1 cannot be read." in broken.stderr
    assert "1 failed before" in run(*arguments, code=3).stderr
    assert "1 clip to prepare" in run(*arguments, "--retry-failed", code=3).stderr


def test_clips_without_a_file_are_counted(miniature, first):
    first[1].unlink()
    outcome = run("prepare", NAME, "--root", miniature, "--preset", "tiny", "--cache", miniature / "own", code=3)
    assert "9 clips prepared, 1 without a file." in outcome.stderr
    assert outcome.stdout == f"{miniature / 'own'}\n"


def test_a_checkpoint_or_an_encoder_keeps_tokens(miniature, tmp_path):
    config = find_preset("tiny")
    model = build_model(config)
    save_checkpoint(model, config, tmp_path / "model")
    cache = ("prepare", NAME, "--root", miniature, "--cache", tmp_path / "cache")
    outcome = run(*cache, "--checkpoint", tmp_path / "model", "--device", "cpu")
    assert "tokens of the frozen encoder" in outcome.stderr
    source = CacheSource(tmp_path / "cache", config, audio=model.audio)
    assert source.gives_tokens
    with pytest.raises(UsageError, match="--audio beside --checkpoint"):
        run(*cache, "--checkpoint", tmp_path / "model", "--audio", tmp_path / "model")


def test_the_encoder_of_a_file_is_the_models(miniature, tmp_path):
    from safetensors.torch import save_file

    branch = build_model(find_preset("tiny")).audio
    state = {name: value for name, value in branch.state_dict().items() if name != "projection"}
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "ast.safetensors")
    arguments = ("--preset", "tiny", "--audio", tmp_path / "ast.safetensors", "--cache", tmp_path / "cache")
    run("prepare", NAME, "--root", miniature, *arguments)
    assert CacheSource(tmp_path / "cache", find_preset("tiny"), audio=branch).gives_tokens


def test_a_world_is_drawn_and_prepared(tmp_path):
    out = tmp_path / "world"
    numbers = ("--seed", "1", "--train", "20", "--val", "4", "--test", "4")
    assert run("make", "synthetic", "--out", out, *numbers).stdout == f"{out}\n"
    run("verify", "synthetic", "--root", out)
    arguments = ("prepare", "synthetic", "--root", out, "--teacher", out / "teacher")
    prepared = run(*arguments).stderr
    assert "28 clips prepared" in prepared
    assert "for `save-drawn`" in prepared


def test_wrong_names_are_told(tmp_path):
    with pytest.raises(UsageError, match="there is no dataset 'msrvt'"):
        run("verify", "msrvt", "--root", tmp_path)
    with pytest.raises(UsageError, match="no preset"):
        run("prepare", NAME, "--root", make_miniature(NAME, tmp_path), "--preset", "none")


def test_of_own_clips_it_is_told_which_splits_are_empty(tmp_path):
    make_miniature("manifest", tmp_path)
    rows = (tmp_path / "manifest.csv").read_text().splitlines()
    column = rows[0].split(",").index("split")
    kept = [row for row in rows if row.split(",")[column] in ("split", "train")]
    (tmp_path / "manifest.csv").write_text("\n".join([*kept, "lost.mp4,gone,,,train,"]) + "\n")
    outcome = run("verify", "manifest", "--root", tmp_path, code=3)
    assert "no row falls into `val` or `test`" in outcome.stdout
    assert "comes from" not in outcome.stdout

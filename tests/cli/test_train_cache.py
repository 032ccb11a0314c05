"""What `save train` and `save eval` do with a cache that `save data prepare` filled."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from savecli.cli.main import save
from savecli.core.errors import SaveError, UsageError
from savecli.datasets.registry import find_dataset
from savecli.model.records import TeacherVectors
from savecli.model.teachers import Taught, write_teacher
from tests.datasets.miniature import make_miniature

QUICK = ("--preset", "tiny", "--start", "scratch", "--set", "batch_size=2", "--set", "num_epochs=1")
UNALIGNED = ("--set", "model.loss.alignment=null")


def invoked(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(save, [str(item) for item in arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_miniature("manifest", tmp_path / "data")


def videos(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.suffix in (".mp4", ".mkv")]


def prepared(root: Path, *more: str | Path) -> str:
    return invoked("data", "prepare", "manifest", "--root", root, "--preset", "tiny", *more).stderr


def trained(root: Path, *more: str | Path) -> str:
    return invoked("train", "--dataset", "manifest", "--root", root, *QUICK, *more).stderr


def make_teacher(folder: Path, root: Path, value: float) -> Path:
    ids = [clip.clip_id for split in find_dataset("manifest").read(root).splits for clip in split.clips]
    rows = torch.full((len(ids), 4), value)
    write_teacher(folder, ids, Taught(TeacherVectors(audio=rows, video=rows), torch.ones(len(ids), dtype=torch.bool)))
    return folder


def test_of_two_teachers_in_a_cache_one_can_be_named_or_none_needed(manifest: Path, tmp_path: Path) -> None:
    teachers = [make_teacher(tmp_path / name, manifest, value) for name, value in (("one", 1.0), ("two", 2.0))]
    for teacher in teachers:
        prepared(manifest, "--teacher", teacher)
    with pytest.raises(SaveError, match="which teacher is meant") as raised:
        trained(manifest, "--out", tmp_path / "unclear")
    assert "`--teacher DIR`" in raised.value.fix
    trained(manifest, "--out", tmp_path / "named", "--teacher", teachers[1])
    trained(manifest, "--out", tmp_path / "unaligned", *UNALIGNED)


def test_a_cache_stands_for_videos_that_are_gone(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest)
    with_videos, without = tmp_path / "with", tmp_path / "without"
    trained(manifest, "--out", with_videos, *UNALIGNED)
    for path in videos(manifest):
        path.unlink()
    trained(manifest, "--out", without, *UNALIGNED)
    assert (without / "report.json").read_text() == (with_videos / "report.json").read_text()
    invoked("eval", "--checkpoint", without, "--dataset", "manifest", "--root", manifest)
    tuning = ("--set", "num_epochs=1", *UNALIGNED)
    tuned = invoked("finetune", without / "best", "--root", manifest, "--out", tmp_path / "tuned", *tuning)
    assert "gallery of 3 clips" in tuned.output
    with pytest.raises(SaveError, match="no video of manifest"):  # made for another model
        trained(manifest, "--out", tmp_path / "other", *UNALIGNED, "--set", "model.inputs.num_frames=3")


def test_frames_alone_do_not_stand_for_a_video_that_is_gone(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest)
    shutil.rmtree(next((manifest / "cache").glob("sound-*")))  # as a model that does not hear leaves it
    first, *others = sorted(videos(manifest))
    first.unlink()
    told = trained(manifest, "--out", tmp_path / "fewer", *UNALIGNED)
    assert "2 of 4 clips are missing" in told  # of one video
    report = json.loads((tmp_path / "fewer/report.json").read_text())
    assert (report["num_missing_in_all"], report["num_unreadable_in_training"]) == (2, 0)
    for path in others:
        path.unlink()
    with pytest.raises(UsageError, match="no video of manifest"):
        trained(manifest, "--out", tmp_path / "none", *UNALIGNED)
    assert not (tmp_path / "none").exists()


def test_tokens_stand_for_the_sound_of_their_own_encoder_only(manifest: Path, tmp_path: Path) -> None:
    model = tmp_path / "run/best"
    trained(manifest, "--out", tmp_path / "run", *UNALIGNED)
    invoked("data", "prepare", "manifest", "--root", manifest, "--checkpoint", model)
    for path in videos(manifest):
        path.unlink()
    invoked("eval", "--checkpoint", model, "--dataset", "manifest", "--root", manifest)
    tuning = ("--set", "num_epochs=1", *UNALIGNED)
    invoked("finetune", model, "--root", manifest, "--out", tmp_path / "tuned", *tuning)
    with pytest.raises(UsageError, match="neither from their files nor from the cache") as raised:
        trained(manifest, "--out", tmp_path / "other", *UNALIGNED, "--seed", "5")
    assert "what another encoder made of its sound" in raised.value.why
    assert not (tmp_path / "other").exists()
    shutil.rmtree(next((manifest / "cache").glob("tokens-*")))  # as the error tells
    with pytest.raises(UsageError, match="no video of manifest"):
        trained(manifest, "--out", tmp_path / "other", *UNALIGNED)


def test_a_copied_dataset_keeps_its_cache(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest)
    copied = tmp_path / "copied"
    shutil.copytree(manifest, copied, copy_function=shutil.copyfile)
    for path in videos(copied):
        os.utime(path, ns=(1, 1))
    assert "whose files have changed since (`save data prepare` looks at them again)" in trained(
        copied, "--out", tmp_path / "run", *UNALIGNED
    )
    told = prepared(copied)
    assert "9 clips to prepare, 9 of them as their files have changed since" in told
    assert "0 clips prepared, 9 were there, as only the time of their files is another." in told
    assert "0 clips prepared, 9 were there." in prepared(copied)


def test_clips_that_are_not_tried_again_are_named_and_never_called_slow(manifest: Path, tmp_path: Path) -> None:
    (manifest / "rain.mp4").write_bytes(b"no video" * 99)
    prepared(manifest)
    assert "1 cannot be read. Not tried again (--retry-failed does): rain" in prepared(manifest)
    assert "slower" not in trained(manifest, "--out", tmp_path / "run", *UNALIGNED)

"""The drawn world in a folder: read again by our own readers, taken up after a kill, never mixed with another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from savecli.core.errors import UsageError
from savecli.datasets.asr import read_transcripts
from savecli.datasets.registry import find_dataset
from savecli.datasets.synthetic import make_world
from savecli.datasets.world import World, clip_frames
from savecli.media.frames import read_frames
from savecli.media.probe import probe_video
from savecli.media.write import write_clip
from savecli.transcript.sidecar import SidecarSource

SIZES = {"num_train": 9, "num_val": 9, "num_test": 9}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("worlds") / "world"
    return folder, make_world(folder, seed=1, write_clip=write_clip, **SIZES)


def test_the_folder_is_read_as_the_dataset(made):
    folder, world = made
    dataset = find_dataset("synthetic").read(folder)
    assert [split.name for split in dataset.splits] == ["train", "val", "test"]
    for split in dataset.splits:
        assert [clip.clip_id for clip in split.clips] == [clip.clip_id for clip in world.split(split.name)]
        assert [clip.captions for clip in split.clips] == [clip.captions for clip in world.split(split.name)]
    assert dataset.asr_files == (folder / "asr.json",)


def test_its_files_hold_what_the_world_says(made):
    folder, world = made
    texts = read_transcripts(find_dataset("synthetic").read(folder)).texts
    assert set(texts) == {clip.clip_id for clip in world.clips if clip.speech}
    for clip in world.clips:
        info = probe_video(folder / "videos" / f"{clip.clip_id}.mp4")
        assert info.duration_s == pytest.approx(clip.duration_s, abs=0.15)
        assert (info.audio is not None) == bool(clip.sound)
        transcript = SidecarSource().read(info)
        assert (transcript.text if transcript else "") == texts.get(clip.clip_id, "")
        (frame,) = read_frames(info.path, [1.0], short_side=None)
        assert np.abs(frame.pixels.astype(int) - clip_frames(clip)[8]).mean() < 8


def test_a_killed_run_is_taken_up(tmp_path):
    written: list[Path] = []

    def dies_at_five(path, *clip):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        write_clip(path, *clip)

    folder = tmp_path / "world"
    with pytest.raises(KeyboardInterrupt):
        make_world(folder, seed=1, write_clip=dies_at_five, **SIZES)
    assert not (folder / "manifest.jsonl").exists()
    before = {path: path.stat().st_mtime_ns for path in written}
    world = make_world(folder, seed=1, write_clip=write_clip, **SIZES)
    assert {path: path.stat().st_mtime_ns for path in written} == before
    assert len(list((folder / "videos").glob("*.mp4"))) == len(world.clips)
    make_world(folder, seed=1, write_clip=lambda *clip: pytest.fail("a whole folder is written to"), **SIZES)


def test_another_folder_is_refused(made, tmp_path):
    folder, _ = made
    with pytest.raises(UsageError, match=r"holds another world: .*'seed': 1.* wanted is .*'seed': 2"):
        make_world(folder, seed=2, write_clip=write_clip, **SIZES)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"it holds other files and no world\.json"):
        make_world(tmp_path, seed=1, write_clip=write_clip, **SIZES)
    with pytest.raises(UsageError, match="it is a file"):
        make_world(tmp_path / "mine.txt", seed=1, write_clip=write_clip, **SIZES)
    assert json.loads((folder / "world.json").read_text())["version"] == 1

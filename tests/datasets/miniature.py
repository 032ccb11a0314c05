"""Whole datasets in miniature: the samples' annotation files with a real video for each clip, where people have it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from savecli.datasets.base import DatasetClip
from savecli.datasets.registry import find_dataset
from tests.make_media import COLOURS, make_video

SAMPLES = Path(__file__).resolve().parent.parent / "data/datasets"
# Every third clip is silent, as clips of each real dataset are.
_SILENT_EVERY = 3


def make_miniature(name: str, folder: Path, *, lost: Collection[str] = ()) -> Path:
    """A copy of the dataset's sample in `folder`, with videos of two seconds; returns `folder`.

    Args:
        name: of the registry.
        lost: ids of clips whose videos are not written, as videos vanish from the web.
    """
    shutil.copytree(SAMPLES / name, folder, dirs_exist_ok=True)
    dataset = find_dataset(name).read(folder)
    clips = [clip for split in dataset.splits for clip in split.clips]
    paths = {video_path(name, folder, clip): None for clip in clips if clip.clip_id not in lost}
    colours = list(COLOURS)
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_video(
            path,
            duration_s=2.0,
            width=64,
            height=48,
            rate_hz=5,
            gop=5,
            scenes=(colours[number % len(colours)], colours[(3 * number + 1) % len(colours)]),
            audio=None if number % _SILENT_EVERY == _SILENT_EVERY - 1 else "tone",
        )
    return folder


def video_path(name: str, folder: Path, clip: DatasetClip) -> Path:
    """Where people have the file of a clip."""
    if name in ("manifest", "synthetic"):
        return folder / clip.media
    if name == "charades":
        return folder / "Charades_v1_480" / f"{clip.media}.mp4"
    if name == "lsmdc":
        film = clip.clip_id.rpartition("_")[0]
        return folder / "videos" / film / f"{clip.media}.avi"
    if name == "msvd":
        return folder / "YouTubeClips" / f"{clip.media}.avi"
    if name == "didemo":
        # Some copies keep the endings of the keys, some were made MP4.
        is_converted = clip.media.endswith((".avi", ".m4v"))
        return folder / "videos" / (f"{clip.clip_id}.mp4" if is_converted else clip.media)
    return folder / "videos" / f"{clip.media}.mp4"

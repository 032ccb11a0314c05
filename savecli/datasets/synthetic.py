"""The dataset `synthetic`: the drawn world written to a folder, as a user's own videos and manifest would lie there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.core.errors import UsageError
from savecli.core.progress import NoProgress, Progress
from savecli.datasets.world import World, build_world, clip_frames, clip_waveform
from savecli.datasets.world_picture import FRAME_RATE_HZ
from savecli.datasets.world_scene import WorldClip
from savecli.datasets.world_sound import SOUND_RATE_HZ

# Raise it when the same seed gives other clips or captions, so that a folder of before is not mixed with new ones.
WORLD_VERSION = 1
WORLD_FILE, MANIFEST_FILE, ASR_FILE, VIDEO_FOLDER = "world.json", "manifest.jsonl", "asr.json", "videos"

# Path, frames `(F, H, W, 3)` uint8, frames a second, waveform `(N,)` float32 or None, its rate; whole or not at all.
WriteClip = Callable[[Path, npt.NDArray[np.uint8], float, npt.NDArray[np.float32] | None, int], None]


def make_world(
    folder: Path,
    *,
    seed: int,
    num_train: int,
    num_val: int,
    num_test: int,
    write_clip: WriteClip,
    progress: Progress | None = None,
) -> World:
    """The drawn world, now lying in `folder`; about 50 clips a second on one core.

    Videos with subtitles of what is said, then `asr.json`, then `manifest.jsonl`, with which it is whole. A run that
    was killed is taken up where it stopped; on a whole folder nothing is written.

    Raises:
        UsageError: the folder holds something else or another world, or the numbers are not possible.
    """
    progress = progress or NoProgress()
    world = build_world(seed=seed, num_train=num_train, num_val=num_val, num_test=num_test)
    settings = {"version": WORLD_VERSION, "seed": seed, "train": num_train, "val": num_val, "test": num_test}
    _claim(folder, settings)
    if (folder / MANIFEST_FILE).exists():
        return world
    (folder / VIDEO_FOLDER).mkdir(exist_ok=True)
    progress.start(len(world.clips), unit="clips", title="drawing the world")
    for clip in world.clips:
        _write_files(folder / VIDEO_FOLDER, clip, write_clip)
        progress.advance(1)
    heard = [{"key": f"{clip.clip_id}.wav", "text": clip.speech.text} for clip in world.clips if clip.speech]
    _write_text(folder / ASR_FILE, json.dumps(heard, indent=1) + "\n")
    _write_text(folder / MANIFEST_FILE, "".join(json.dumps(row) + "\n" for row in manifest_rows(world)))
    return world


def manifest_rows(world: World) -> list[dict[str, str]]:
    """A row for each caption, as `savecli.datasets.manifest` reads them."""
    return [
        {
            "video": f"{VIDEO_FOLDER}/{clip.clip_id}.mp4",
            "caption": caption.text,
            "split": clip.split,
            "clip_id": clip.clip_id,
            "group": caption.group,
        }
        for clip in world.clips
        for caption in clip.captions
    ]


def subtitles(clip: WorldClip) -> str:
    """The clip's speech as SubRip text, errors of the recogniser included; "" where nothing was understood."""
    sentences = clip.speech.heard if clip.speech else ()
    step_s = clip.duration_s / max(1, len(sentences))
    cues = [
        f"{_srt_time(place * step_s)} --> {_srt_time((place + 1) * step_s)}\n{text}\n"
        for place, text in enumerate(sentences)
        if text
    ]
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(cues, 1))


def _claim(folder: Path, settings: dict[str, int]) -> None:
    """Make the folder this world's, before anything else is in it."""
    path = folder / WORLD_FILE
    if path.exists():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            held = "something that is not JSON"
        if held != settings:
            raise UsageError(
                f"{folder} holds another world",
                why=f"its {WORLD_FILE} says {held}, wanted is {settings}",
                fix="choose another folder, or delete this one",
            )
        return
    if folder.exists() and (not folder.is_dir() or next(folder.iterdir(), None)):
        raise UsageError(
            f"{folder} cannot take the drawn world",
            why=f"it holds other files and no {WORLD_FILE}" if folder.is_dir() else "it is a file",
            fix="name a new or empty folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(path, json.dumps(settings, indent=2) + "\n")


def _write_files(folder: Path, clip: WorldClip, write_clip: WriteClip) -> None:
    """The video and before it its subtitles, so that a video that is there has both."""
    path = folder / f"{clip.clip_id}.mp4"
    if path.exists():
        return
    if text := subtitles(clip):
        _write_text(path.with_suffix(".srt"), text)
    write_clip(path, clip_frames(clip), FRAME_RATE_HZ, clip_waveform(clip), SOUND_RATE_HZ)


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _srt_time(seconds: float) -> str:
    whole_ms = round(seconds * 1000)
    return f"{whole_ms // 3_600_000:02}:{whole_ms // 60_000 % 60:02}:{whole_ms // 1000 % 60:02},{whole_ms % 1000:03}"

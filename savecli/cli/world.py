"""The drawn world, made on the spot: its videos, its teacher, and the cache that makes training on it fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from savecli.core.progress import Progress

SYNTHETIC = "synthetic"
TEACHER_FOLDER, CACHE_FOLDER = "teacher", "cache"


@dataclass(frozen=True)
class WorldSize:
    """How many clips; the defaults are what the shipped model and the tables were made with."""

    seed: int = 0
    num_train: int = 3000
    num_val: int = 180
    num_test: int = 396


DEFAULT_SIZE = WorldSize()


def default_world() -> Path:
    """Where the drawn world lies when nobody says: in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("save", appauthor=False) / "drawn-world"


def make_drawn_world(folder: Path, progress: Progress, *, size: WorldSize = DEFAULT_SIZE) -> None:
    """The world in `folder`, with the vectors of a teacher that knows the truth; what is there stays.

    Raises:
        UsageError: the folder holds something else, or another world.
    """
    import torch

    from savecli.datasets.synthetic import make_world
    from savecli.datasets.world import world_teacher
    from savecli.media.write import write_clip
    from savecli.model.teachers import stack, write_teacher

    world = make_world(
        folder,
        seed=size.seed,
        num_train=size.num_train,
        num_val=size.num_val,
        num_test=size.num_test,
        write_clip=write_clip,
        progress=progress,
    )
    if (folder / TEACHER_FOLDER / "video.safetensors").exists():  # written last
        return
    video, audio = world_teacher(world.clips)
    vectors = [
        (torch.from_numpy(sight), torch.from_numpy(audio[name]) if name in audio else None)
        for name, sight in video.items()
    ]
    write_teacher(folder / TEACHER_FOLDER, list(video), stack(vectors))


def prepare_world(root: Path, preset: str | None, progress: Progress, *, num_workers: int) -> Path:
    """The folder of a cache for a preset on the world in `root`, filled."""
    from savecli.model.presets import find_preset
    from savecli.training.launch import drawn_preset
    from savecli.training.prepare import prepare_cache
    from savecli.training.session import open_data

    data = open_data(SYNTHETIC, root)
    config = find_preset(drawn_preset(preset))
    cache = root / CACHE_FOLDER
    prepare_cache(
        data.dataset, data.located, config, cache, speech=data.speech, progress=progress, num_workers=num_workers
    )
    return cache

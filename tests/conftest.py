"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from tests.make_media import make_video

# SVT-AV1 writes a banner per encoder to stderr unless told to speak of errors only.
os.environ.setdefault("SVT_LOG", "1")
# Tests run side by side: more threads than cores would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


GOLDEN = Path(__file__).resolve().parent / "data/golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden", type=Path, default=GOLDEN, metavar="PATH", help="Check against the golden data of this folder."
    )


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of golden data that this run is checked against; its README.md says what each file pins."""
    folder: Path = request.config.getoption("--golden")
    if not folder.is_dir():
        raise pytest.UsageError(f"--golden {folder} is not a folder")
    return folder.resolve()


class VideoMaker(Protocol):
    """`make_video`, with names instead of paths."""

    def __call__(self, name: str = "video.mp4", **options: Any) -> Path:
        """Write a video of this name into the test's folder; options as of `make_video`."""


@pytest.fixture
def video(tmp_path: Path) -> VideoMaker:
    """Makes videos in `tmp_path`, e.g. `video("talk.mkv", scenes=("red", "blue"))`."""

    def make(name: str = "video.mp4", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return make_video(path, **options)

    return make


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Test processes share the cores: more threads than cores wait for one another most of the time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)

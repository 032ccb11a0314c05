"""A tiny CLIP on disk, and a hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import ClipSource, find_clip
from savecli.model.hub import Hub
from tests.make_clip import make_tiny_clip
from tests.make_hub import LocalHub, serve_hub


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    """A tiny CLIP with random weights in a folder of open_clip's form."""
    folder = tmp_path_factory.mktemp("tiny_clip")
    return find_clip(parse_clip_spec(make_tiny_clip(folder)), Hub(offline=True))


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    for name in ("HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve_hub() as hub:
        yield hub

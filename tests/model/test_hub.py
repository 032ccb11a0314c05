"""Whether the hub can be reached, asked once and in time; and fetching from it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from savecli.core.errors import WeightsError
from savecli.model.hub import Hub


@pytest.fixture
def silent_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that takes connections and never answers."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Bytes:
    """Counts what a download reports."""

    def __init__(self) -> None:
        self.total = self.done = 0.0
        self.titles: list[str] = []

    def start(self, total: float, *, unit: str, title: str) -> None:
        assert unit == "bytes"
        self.total, self.done = total, 0.0
        self.titles.append(title)

    def advance(self, amount: float) -> None:
        self.done += amount

    def skip(self, path: Path, reason: str) -> None:
        raise AssertionError("a download skips nothing")

    def note(self, text: str) -> None:
        raise AssertionError("a download has nothing to note")


def test_a_hub_that_never_answers_costs_three_seconds_at_most(silent_endpoint, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", silent_endpoint)
    hub = Hub()
    start = time.monotonic()
    assert not hub.reachable
    assert time.monotonic() - start < 3
    assert silent_endpoint in hub.obstacle


def test_a_name_lookup_that_hangs_is_left_behind(monkeypatch):
    """The system's resolver has no time limit of its own."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(10) and [])
    start = time.monotonic()
    assert "did not answer" in Hub(endpoint="http://hub.invalid").obstacle
    assert time.monotonic() - start < 3
    released.set()


def test_the_hub_is_asked_once(local_hub):
    hub = Hub(endpoint=local_hub.endpoint)
    assert [hub.reachable, hub.reachable, hub.obstacle] == [True, True, ""]
    assert local_hub.requests == ["HEAD /"]


def test_a_refused_connection_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert Hub(endpoint=endpoint).obstacle.startswith(f"{endpoint} cannot be reached")


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_the_offline_variable_is_respected(local_hub, monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert Hub(endpoint=local_hub.endpoint).obstacle == "HF_HUB_OFFLINE forbids downloads"
    assert local_hub.requests == []


def test_offline_downloads_nothing_and_says_how_to_go_on(local_hub, tmp_path):
    hub = Hub(offline=True, endpoint=local_hub.endpoint, cache_dir=tmp_path)
    with pytest.raises(WeightsError) as caught:
        hub.download("owner/repo", "weights.safetensors")
    assert caught.value.why == "--offline forbids downloads"
    assert "--dir FOLDER" in caught.value.fix
    assert local_hub.requests == []


def test_a_download_reports_its_bytes_and_is_cached(local_hub, tmp_path, capfd):
    content = bytes(range(256)) * 4096
    local_hub.files["owner/repo/weights.safetensors"] = content
    hub, seen = Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path), Bytes()
    assert hub.cached("owner/repo", "weights.safetensors") is None
    path = hub.download("owner/repo", "weights.safetensors", progress=seen)
    assert path.read_bytes() == content
    assert (seen.total, seen.done) == (len(content), len(content))
    assert seen.titles == ["owner/repo/weights.safetensors"]
    assert hub.cached("owner/repo", "weights.safetensors") == path
    assert capfd.readouterr() == ("", "")


def test_a_cached_file_is_used_without_a_connection(local_hub, tmp_path):
    local_hub.files["owner/repo/weights.safetensors"] = b"numbers"
    Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path).download("owner/repo", "weights.safetensors")
    offline = Hub(offline=True, cache_dir=tmp_path)
    assert offline.download("owner/repo", "weights.safetensors").read_bytes() == b"numbers"


@pytest.mark.parametrize("is_cached", [False, True])
def test_a_folder_gets_a_plain_copy_and_nothing_else(local_hub, tmp_path, is_cached):
    local_hub.files["owner/repo/weights.safetensors"] = b"numbers"
    hub = Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path / "cache")
    if is_cached:
        hub.download("owner/repo", "weights.safetensors")
    path = hub.download("owner/repo", "weights.safetensors", folder=tmp_path / "copy")
    assert path == tmp_path / "copy" / "weights.safetensors"
    assert path.read_bytes() == b"numbers"
    assert not path.is_symlink()
    assert [entry.name for entry in (tmp_path / "copy").iterdir()] == ["weights.safetensors"]


def test_a_missing_file_is_named(local_hub, tmp_path):
    hub = Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="owner/repo") as caught:
        hub.download("owner/repo", "weights.safetensors")
    assert "has no owner/repo/weights.safetensors" in caught.value.why


def test_a_line_that_breaks_is_reported_with_what_to_do(local_hub, tmp_path):
    local_hub.files["owner/repo/weights.safetensors"] = b"numbers"
    local_hub.is_broken = True
    hub = Hub(endpoint=local_hub.endpoint, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="cannot download") as caught:
        hub.download("owner/repo", "weights.safetensors")
    assert "507" in caught.value.why
    assert "try again" in caught.value.fix

"""A tiny CLIP on disk, and a hub on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import ClipSource, find_clip
from savecli.model.hub import Hub
from tests.make_clip import make_tiny_clip

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    """A tiny CLIP with random weights in a folder of open_clip's form."""
    folder = tmp_path_factory.mktemp("tiny_clip")
    return find_clip(parse_clip_spec(make_tiny_clip(folder)), Hub(offline=True))


@dataclass
class LocalHub:
    """A hub that offers `files` (`OWNER/REPO/FILE` to content) and keeps what is asked of it.

    With `is_broken` it answers every request for a file with "insufficient storage", which is not worth a retry.
    """

    endpoint: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    is_broken: bool = False


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A server on the loopback address that speaks as much of the hub's language as a download needs."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:
            return None

        def _answer(self, *, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            content = b"" if self.path == "/" else hub.files.get(self.path[1:].replace("/resolve/main/", "/"))
            if content is None or (content and hub.is_broken):
                self.send_response(507 if content else 404)
                if not content:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = LocalHub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    for name in ("HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    server.shutdown()
    server.server_close()

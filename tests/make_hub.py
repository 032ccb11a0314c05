"""A model hub on the loopback address, so that the real download code runs without a network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class LocalHub:
    """A hub that offers `files` (`OWNER/REPO/FILE` to content) and keeps what is asked of it.

    With `is_broken` it answers every request for a file with "insufficient storage", which is not worth a retry.
    """

    endpoint: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    is_broken: bool = False

    def listing(self, repo: str, *, as_tree: bool) -> bytes:
        """What the hub says of a repository: its commit and names of files, or the files alone with their sizes."""
        names = [name.removeprefix(f"{repo}/") for name in self.files if name.startswith(f"{repo}/")]
        if as_tree:
            sizes = (len(self.files[f"{repo}/{name}"]) for name in names)
            tree = [
                {"type": "file", "path": name, "size": size, "oid": COMMIT}
                for name, size in zip(names, sizes, strict=True)
            ]
            return json.dumps(tree).encode()
        return json.dumps({"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}).encode()


@contextmanager
def serve_hub() -> Iterator[LocalHub]:
    """A server that speaks as much of the hub's language as a download needs."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:
            return None

        def _content(self) -> bytes | None:
            path = self.path.partition("?")[0]
            if path == "/":
                return b""
            if path.startswith("/api/models/"):
                owner, repo, kind = path.split("/")[3:6]
                return hub.listing(f"{owner}/{repo}", as_tree=kind == "tree")
            for revision in ("main", COMMIT):
                path = path.replace(f"/resolve/{revision}/", "/")
            return hub.files.get(path[1:])

        def _answer(self, *, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            content = self._content()
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
    yield hub
    server.shutdown()
    server.server_close()

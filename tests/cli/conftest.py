"""The real `save` command in a home of its own, as a process or within this one."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import huggingface_hub.constants
import pytest

from savecli.cli.main import run
from tests.make_media import make_video

SAVE = Path(sys.executable).parent / "save"


@dataclass
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Save:
    """Runs `save` with nothing of the developer's machine in reach: no home, no cache, no hub."""

    home: Path
    archive: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, code: int | None = 0, cwd: Path | None = None, **env: str) -> Outcome:
        """Run and check the exit code (None takes any)."""
        done = subprocess.run(
            [SAVE, *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            cwd=cwd or self.home,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            timeout=240,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        assert code is None or outcome.code == code, f"exit {outcome.code}\n{outcome.out}\n{outcome.err}"
        return outcome

    def on_a_full_disk(self, *arguments: str | Path, most_bytes: int) -> Outcome:
        """Run where no file can grow beyond `most_bytes`, as on a disk that fills up; it must fail with code 1."""

        def limit_file_size() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        done = subprocess.run(
            [SAVE, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment(PYTHONDONTWRITEBYTECODE="1"),  # half a file of it would outlive the test
            stdin=subprocess.DEVNULL,
            preexec_fn=limit_file_size,
            timeout=120,
        )
        assert done.returncode == 1, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start without waiting, in a process group of its own."""
        return subprocess.Popen(
            [SAVE, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def environment(self, **env: str) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "PYTHONPATH", "LANG", "TMPDIR", "SYSTEMROOT", "OMP_NUM_THREADS")
            if name in os.environ
        }
        return {
            **kept,
            "HOME": str(self.home),
            "SAVE_ARCHIVE": str(self.archive),
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "default",
            **self.env,
            **env,
        }

    def within(self, *arguments: str | Path, code: int | None = 0) -> Outcome:
        """The same without a process of its own, as its imports take longer than most commands."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ, self.environment(), clear=True):
            patch.chdir(self.home)
            patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(self.home / ".cache/huggingface/hub"))
            with redirect_stdout(out), redirect_stderr(err):
                ended = run(list(map(str, arguments)))
        said = [stream.buffer.getvalue().decode("utf-8", "surrogateescape") for stream in (out, err)]
        assert code is None or ended == code, f"exit {ended}\n{said[0]}\n{said[1]}"
        return Outcome(ended, *said)

    def index(self, *arguments: str | Path, code: int | None = 0) -> Outcome:
        """`save index` with words from subtitles only, which is fast; without a process of its own."""
        return self.within("index", "--speech", "subtitles", *arguments, code=code)

    def piped(self, lines: str, *arguments: str | Path, **env: str) -> Outcome:
        """`save shell` on lines from a pipe."""
        done = subprocess.run(
            [SAVE, "shell", *map(str, arguments)],
            input=lines,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            cwd=self.home,
            env=self.environment(**env),
            timeout=60,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def videos(self, query: str, *arguments: str | Path) -> list[dict[str, Any]]:
        """Videos of `save query --json`; none when it finds nothing."""
        outcome = self.within("query", query, "--json", *arguments, code=None)
        assert outcome.code in (0, 1), outcome.err
        return list(outcome.json["videos"]) if outcome.code == 0 else []


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a started command with everything it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def save(tmp_path: Path) -> Save:
    home = tmp_path / "home"
    home.mkdir()
    return Save(home, tmp_path / "test.save")


@dataclass
class Library:
    """A folder of small videos with subtitles."""

    folder: Path

    def add(self, name: str, words: str = "", *, start_s: float = 0.5, **options: Any) -> Path:
        """A video whose sidecar says `words` from `start_s` on, a line a second; no two have the same content."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_video(path, **{"duration_s": 2.0, "audio": None, "metadata": {"comment": name}, **options})
        if words:
            self.subtitle(path, words, start_s=start_s)
        return path

    def subtitle(self, path: Path, words: str, *, start_s: float = 0.5) -> Path:
        lines = [
            f"{idx}\n{_srt_time(start_s + idx - 1)} --> {_srt_time(start_s + idx)}\n{word}\n"
            for idx, word in enumerate(words.split("|"), start=1)
        ]
        sidecar = path.with_suffix(".srt")
        sidecar.write_text("\n".join(lines), encoding="utf-8")
        return sidecar


def _srt_time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3600000:02}:{milliseconds // 60000 % 60:02}:"
        f"{milliseconds // 1000 % 60:02},{milliseconds % 1000:03}"
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    folder = tmp_path / "videos"
    folder.mkdir()
    return Library(folder)

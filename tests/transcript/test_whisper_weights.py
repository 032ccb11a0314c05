"""Whisper's weights: found, fetched, and told apart from what is no model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from savecli.core.errors import UsageError, WeightsError
from savecli.transcript import whisper_weights
from savecli.transcript.whisper_weights import WHISPER_MODELS, download_whisper, find_whisper, whisper_size

FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")


def put_model(folder: Path, *, without: str = "") -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        if name != without:
            (folder / name).write_bytes(b"x")
    return folder


def put_in_cache(cache: Path, *, without: str = "") -> Path:
    repo = cache / "models--Systran--faster-whisper-base"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    return put_model(repo / "snapshots" / ("0" * 40), without=without)


@pytest.mark.parametrize("name", ["base", "whisper-base"])
def test_weights_in_the_cache_are_found(no_hub_cache, name):
    assert find_whisper(name) is None
    folder = put_in_cache(no_hub_cache)
    assert find_whisper(name) == folder


@pytest.mark.parametrize("missing", FILES)
def test_a_download_that_was_cut_off_does_not_count(no_hub_cache, missing):
    put_in_cache(no_hub_cache, without=missing)
    assert find_whisper("base") is None


def test_a_folder_is_found_by_its_path(tmp_path):
    assert find_whisper(str(put_model(tmp_path / "mine"))) == tmp_path / "mine"
    assert find_whisper(str(put_model(tmp_path / "torn", without="model.bin"))) is None


def test_a_folder_called_like_a_size_does_not_hide_it(no_hub_cache, tmp_path, monkeypatch):
    put_model(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    assert find_whisper("base") is None
    assert find_whisper("./base") == Path("base")


def test_a_misspelt_size_is_a_wrong_usage():
    with pytest.raises(UsageError, match="no Whisper model `bose`") as caught:
        find_whisper("bose")
    assert "base" in caught.value.why
    assert whisper_size("whisper-small") == "small"


def test_the_sizes_are_those_that_faster_whisper_knows():
    from faster_whisper.utils import _MODELS

    assert {name: model.repo for name, model in WHISPER_MODELS.items()}.items() <= _MODELS.items()


class Steps:
    """A progress that adds up."""

    def __init__(self):
        self.total, self.done, self.titles = 0.0, 0.0, []

    def start(self, total, *, unit, title):
        self.total = total
        self.titles.append((unit, title))

    def advance(self, amount):
        self.done += amount

    def skip(self, path, reason):
        raise AssertionError

    def note(self, text):
        raise AssertionError


def test_a_download_tells_of_its_bytes_once(no_hub_cache, tmp_path, monkeypatch):
    def fetch(repo, *, allow_patterns, local_dir, tqdm_class):
        """As the hub's library does: one bar of received bytes, one of written bytes, one of files."""
        assert repo == "Systran/faster-whisper-base"
        assert "model.bin" in allow_patterns
        bars = [tqdm_class(total=0, unit="B", desc=name) for name in ("Downloading", "Reconstructing")]
        files = tqdm_class(total=4, unit="it")
        for _ in range(10):
            for bar in bars:
                bar.update(100)
        files.update(4)
        return str(put_model(Path(local_dir)))

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    progress = Steps()
    assert download_whisper("whisper-base", directory=tmp_path / "copy", progress=progress) == tmp_path / "copy"
    assert progress.done == 1000
    assert progress.total == WHISPER_MODELS["base"].size_bytes
    assert progress.titles == [("bytes", "whisper base")]


def test_a_failed_download_says_what_to_do(no_hub_cache, monkeypatch):
    import huggingface_hub

    def fail(*args, **options):
        raise ConnectionError("the line is dead\nand a long story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(WeightsError, match="cannot download Whisper base: the line is dead") as caught:
        download_whisper("base")
    assert "save models pull whisper-base" in caught.value.fix


def test_offline_fails_at_once(no_hub_cache, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="cannot download Whisper base"):
        download_whisper("base")


def test_looking_for_weights_loads_no_recogniser():
    program = (
        "import sys\n"
        "from savecli.transcript.choose import SpeechConfig, build_transcriber\n"
        "from savecli.transcript.whisper_weights import find_whisper\n"
        "find_whisper('base')\n"
        "build_transcriber(SpeechConfig(), hub_reachable=lambda: False)\n"
        "print(sorted({'torch', 'ctranslate2', 'faster_whisper', 'pocketsphinx', 'onnxruntime'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert whisper_weights is not None

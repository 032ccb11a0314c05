"""Transcripts in the authors' form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.datasets.asr import read_asr


def asr(folder: Path, value: object) -> dict[str, str]:
    path = folder / "asr.json"
    path.write_text(json.dumps(value))
    return read_asr(path)


def test_keys_lose_the_endings_of_files_only(tmp_path: Path) -> None:
    film = "0001_Harbour_Lights_00.00.51.926-00.00.54.129"
    entries = [{"key": "video0.wav", "text": " hello "}, {"key": film, "text": None}, {"key": "a.MP4", "text": ""}]
    assert asr(tmp_path, entries) == {"video0": "hello", film: "", "a": ""}


def test_a_mapping_says_the_same(tmp_path: Path) -> None:
    assert asr(tmp_path, {"video0.wav": "hello"}) == asr(tmp_path, [{"key": "video0.wav", "text": "hello"}])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hello", r"expected \[{\"key\": .*; found a text"),
        ([{"key": "a.wav", "text": "x"}, {"key": "b.wav"}], "found something else as entry 2"),
        ([["a.wav", "x"]], "found something else as entry 1"),
        ({"a.wav": 5}, "expected a text for 'a.wav'; found a number"),
        ({"a.wav": "x", "a.mp4": "y"}, "expected one text for 'a.mp4'; found two that differ"),
    ],
)
def test_wrong_content(value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        asr(tmp_path, value)

"""Transcripts in the authors' form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.datasets.asr import read_asr, read_transcripts
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split


def asr(folder: Path, value: object) -> dict[str, str]:
    path = folder / "asr.json"
    path.write_text(json.dumps(value))
    return read_asr(path)


def of_clips(ids: Sequence[str], *files: Path) -> Dataset:
    clips = tuple(DatasetClip(clip_id, (Caption("a caption"),), media=clip_id) for clip_id in ids)
    return Dataset("made", None, None, Split("test", clips), asr_files=files)


def texts(folder: Path, ids: Sequence[str], value: object) -> dict[str, str]:
    """What is said in clips of these ids; no key is left over."""
    path = folder / "asr.json"
    path.write_text(json.dumps(value))
    found = read_transcripts(of_clips(ids, path))
    assert found is not None
    assert found.unknown == ()
    return dict(found.texts)


def test_keys_lose_the_endings_of_files_only(tmp_path: Path) -> None:
    film = "0001_Harbour_Lights_00.00.51.926-00.00.54.129"
    entries = [{"key": "video0.wav", "text": " hello "}, {"key": film, "text": None}, {"key": "a.MP4", "text": ""}]
    assert texts(tmp_path, ["video0", film, "a", "b"], entries) == {"video0": "hello", film: "", "a": ""}


@pytest.mark.parametrize(
    ("ids", "value"),
    [
        (["a.mp4"], {"a.mp4": "x"}),
        (["a.mp4"], {"a.wav": "x"}),
        (["a.mp4"], {"a": "x"}),
        (["a.mp4", "a.mov"], {"a.mp4": "x", "a.mov": "y"}),
        (["a", "a.mov"], {"a.wav": "x", "a.mov": "y"}),
    ],
)
def test_an_id_that_is_the_key_goes_before_others(ids: list[str], value: dict[str, str], tmp_path: Path) -> None:
    assert texts(tmp_path, ids, value) == dict(zip(ids, value.values(), strict=True))


def test_keys_of_no_clip_are_told(tmp_path: Path) -> None:
    path = tmp_path / "asr.json"
    path.write_text(json.dumps({"b": "x", "a.wav": "either"}))
    found = read_transcripts(of_clips(["a.mp4", "a.mov"], path))
    assert found is not None
    assert (found.texts, found.unknown) == ({}, ("b", "a.wav"))
    assert read_transcripts(of_clips(["a"])) is None


@pytest.mark.parametrize("value", [{"a.wav": "y"}, [{"key": "a", "text": "y"}]])
def test_files_that_differ(value: object, tmp_path: Path) -> None:
    first, second = tmp_path / "asr.json", tmp_path / "whisper_asr.json"
    first.write_text(json.dumps({"a": "x", "b": "z"}))
    second.write_text(json.dumps(value))
    with pytest.raises(UsageError, match=r"two transcripts of one clip differ: .*/asr.json .*/whisper_asr.json"):
        read_transcripts(of_clips(["a", "b"], first, second))
    found = read_transcripts(of_clips(["a", "b"], first, second), second)
    assert found is not None
    assert found.texts == {"a": "y"}


def test_two_texts_of_a_clip_in_one_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"as 'a\.wav' in .* as 'a\.mp4' in"):
        texts(tmp_path, ["a"], {"a.wav": "x", "a.mp4": "y"})


def test_a_mapping_says_the_same(tmp_path: Path) -> None:
    assert asr(tmp_path, {"video0.wav": "hello"}) == asr(tmp_path, [{"key": "video0.wav", "text": "hello"}])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hello", r"expected \[{\"key\": .*; found a text"),
        ([{"key": "a.wav", "text": "x"}, {"key": "b.wav"}], "found something else as entry 2"),
        ([["a.wav", "x"]], "found something else as entry 1"),
        ({"a.wav": 5}, "expected a text for 'a.wav'; found a number"),
        (2 * [{"key": "a", "text": "x"}] + [{"key": "a", "text": "y"}], "expected one text for 'a'; found two that"),
    ],
)
def test_wrong_content(value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        asr(tmp_path, value)

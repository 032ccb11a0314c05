"""Annotation files that are not what they should be: the error names the file, the line and what was expected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.datasets.registry import DATASETS, find_dataset
from tests.datasets.miniature import SAMPLES


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        (
            "msrvtt-9k",
            "MSRVTT_train.9k.csv",
            b"video\nvideo0\n",
            "line 1: expected a header with video_id; found video",
        ),
        ("msrvtt-9k", "MSRVTT_train.9k.csv", b"", "line 1: expected a header with video_id; found an empty file"),
        ("msrvtt-9k", "MSRVTT_train.9k.csv", b"video_id\nvideo5,9\n", "line 2: expected 1 columns; found 2"),
        ("msrvtt-9k", "MSRVTT_data.json", b'{"videos": [],\n "sentences": [}', "line 2: .*; found what is not JSON"),
        ("msrvtt-9k", "MSRVTT_data.json", b"[]", "expected {videos: .*; found a list"),
        (
            "msrvtt-9k",
            "MSRVTT_data.json",
            b'{"sentences": [{"video_id": "video0"}]}',
            "entry 1 .* found a text and null",
        ),
        (
            "msrvtt-9k",
            "MSRVTT_JSFUSION_test.csv",
            b"video_id,sentence\n",
            "header with key, vid_key, video_id, sentence",
        ),
        ("vatex", "test_list.txt", b"a b\n", "line 1: expected one id a line; found 'a b'"),
        ("vatex", "test_list.txt", b"\xff\xfea\x00", "line 1: expected UTF-8; found the byte 0xff"),
        ("vatex", "ref_captions.json", b'{"a": "b"}', "expected a list of texts for 'a'; found a text"),
        (
            "charades",
            "Charades_v1_test.csv",
            b"id,script\nA,\xe9t\xe9\n",
            "line 2: expected UTF-8; found the byte 0xe9",
        ),
        (
            "charades",
            "Charades_v1_test.csv",
            b'id,script\nA,"no end\n',
            "line 2: expected a row of CSV; found one with",
        ),
        ("lsmdc", "LSMDC16_annos_val.csv", b"a\tb\tc\n", "line 1: expected six columns with tabs .* found 3 columns"),
        ("didemo", "test_data.json", b'[{"video": "a.mp4"}]', "`description`; found a text and null in entry 1"),
        ("didemo", "test_data.json", b"{}", "; found an object"),
        ("activitynet", "val_1.json", b'{"v_a": {"duration": 3}}', "as `sentences`; found null for 'v_a'"),
        ("activitynet", "val_ids.json", b'{"v_a": 1}', "expected a list of ids"),
        ("synthetic", "manifest.jsonl", b'{"video": "a.mp4", "caption": "b"}\n[]\n', "line 2: expected a JSON object"),
    ],
)
def test_wrong_content(name: str, file: str, content: bytes, message: str, tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / name, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        DATASETS[name].read(tmp_path)
    assert str(tmp_path / file) in caught.value.why
    assert caught.value.fix


def test_latin_1_is_told_how_to_be_mended(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "vatex", tmp_path, dirs_exist_ok=True)
    (tmp_path / "test_list.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UsageError) as caught:
        DATASETS["vatex"].read(tmp_path)
    assert caught.value.fix.startswith("if it is Latin-1: iconv -f latin1 -t utf-8")


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not there|holds no|there is no manifest") as caught:
        DATASETS[name].read(tmp_path)
    assert "--root" in caught.value.fix


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("manifest", "synthetic")])
def test_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the dataset has no folder"):
        DATASETS[name].read(tmp_path / "nowhere")


def test_datasets_side_by_side(tmp_path: Path) -> None:
    for name in ("msvd", "didemo"):
        shutil.copytree(SAMPLES / name, tmp_path / f"{name}_data")
    with pytest.raises(UsageError, match=r"train_list\.txt is there more than once: .*didemo_data and in .*msvd"):
        DATASETS["msvd"].read(tmp_path)


def test_ids_that_fit_no_caption(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "msvd", tmp_path, dirs_exist_ok=True)
    (tmp_path / "test_list.txt").write_text("vid1\nvid2\n")
    with pytest.raises(
        UsageError, match="test MSVD has no clips: none of its 2 ids, the first being 'vid1', has a caption"
    ):
        DATASETS["msvd"].read(tmp_path)


def test_an_unknown_dataset() -> None:
    with pytest.raises(UsageError, match=r"known are msrvtt-9k, .*, synthetic") as caught:
        find_dataset("MSRVTT9k")
    assert caught.value.fix == "did you mean `msrvtt-9k`?"


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_says_its_layout_and_source(name: str) -> None:
    kind = find_dataset(name)
    assert kind.name == name
    assert all(len(line) <= 110 for line in kind.layout.splitlines())
    assert kind.source

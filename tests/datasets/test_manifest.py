"""The user's own dataset: rows to clips, and splits that never part a video."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.core.records import Span
from savecli.datasets.base import Dataset
from savecli.datasets.locate import Located
from savecli.datasets.manifest import hash_split, read_manifest
from savecli.datasets.verify import verify


def manifest(folder: Path, text: str, name: str = "manifest.csv") -> Dataset:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_manifest(path)


def test_rows_of_one_span_are_one_clip(tmp_path: Path) -> None:
    rows = "a.mp4,one,0,5\na.mp4,two,0.0,5.0\na.mp4,three,5,9\nb.mp4,four,,\n"
    dataset = manifest(tmp_path, "video,caption,start_s,end_s,split\n" + rows.replace("\n", ",test\n"))
    assert dataset.test is not None
    assert [(clip.clip_id, clip.span, len(clip.captions)) for clip in dataset.test.clips] == [
        ("a#t=0,5", Span(0, 5), 2),
        ("a#t=5,9", Span(5, 9), 1),
        ("b", None, 1),
    ]
    assert dataset.test.is_grouped
    assert (dataset.train, dataset.val, dataset.video_folders) == (None, None, (tmp_path,))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_spreadsheets(delimiter: str, tmp_path: Path) -> None:
    text = 'video,caption,split\r\na.mp4,"say ""hi""",train\r\n'.replace(",", delimiter)
    dataset = manifest(tmp_path, "\ufeff" + text)
    assert dataset.train is not None
    assert dataset.train.clips[0].captions[0].text == 'say "hi"'


def test_jsonl_says_the_same_as_csv(tmp_path: Path) -> None:
    csv = manifest(tmp_path, "video,caption,start_s,end_s,split,clip_id,group\na.mp4,one,1,2.5,val,x,sound\n")
    row = {"video": "a.mp4", "caption": "one", "start_s": 1, "end_s": 2.5, "split": "val", "clip_id": "x"}
    jsonl = manifest(tmp_path, json.dumps(row | {"group": "sound"}) + "\n", "manifest.jsonl")
    assert csv.splits == jsonl.splits


def test_a_folder_stands_for_its_manifest(tmp_path: Path) -> None:
    expected = manifest(tmp_path, "video,caption,split\na.mp4,one,train\n")
    assert read_manifest(tmp_path) == expected


def test_hashes_split_by_video(tmp_path: Path) -> None:
    rows = [f"talks/{video}.mp4,caption {clip},{clip},{clip + 1}" for video in range(400) for clip in range(2)]
    dataset = manifest(tmp_path, "video,caption,start_s,end_s\n" + "\n".join(rows))
    assert [split.name for split in dataset.splits] == [f"{name} by hash 80/10/10" for name in ("train", "val", "test")]
    assert [round(len(split.clips) / 8) for split in dataset.splits] == pytest.approx([80, 10, 10], abs=5)
    videos = [{clip.media for clip in split.clips} for split in dataset.splits]
    assert sum(map(len, videos)) == len(set.union(*videos)) == 400


def test_hashes_stay_the_same() -> None:
    # Trained models depend on these: a video that moves from train to test spoils what was measured.
    assert [hash_split(f"video{number}.mp4") for number in range(12)] == [
        *("test", "train", "train", "train", "train", "test"),
        *("train", "val", "train", "train", "train", "train"),
    ]
    assert hash_split("a\\b.mp4") == hash_split("a/b.mp4") == hash_split("./a/b.mp4")


def test_files_that_differ_in_their_ending_only_keep_it_in_their_ids(tmp_path: Path) -> None:
    dataset = manifest(tmp_path, "video,caption,split\na.mp4,one,train\na.mkv,two,train\n")
    assert dataset.train is not None
    assert [clip.clip_id for clip in dataset.train.clips] == ["a.mp4", "a.mkv"]


def test_empty_captions_are_counted(tmp_path: Path) -> None:
    dataset = manifest(tmp_path, "video,caption,split\na.mp4,one,train\na.mp4, ,train\nb.mp4,,train\n")
    assert dataset.train is not None
    assert dataset.train.dropped == {"empty caption": 2, "clip without caption": 1}
    assert dataset.train.dropped_names == {"empty caption": ("line 3", "line 4"), "clip without caption": ("b",)}
    assert len(dataset.train.clips) == 1
    assert not verify(dataset, Located({"a": tmp_path}, ())).is_complete


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,text\na.mp4,one\n", "line 1: expected a header with video, caption; found video, text"),
        ("video,caption\n", "line 1: expected a row for each caption; found no rows"),
        ("video,caption\na.mp4, \n", "line 2: expected a caption for at least one clip of the split .*; found blank"),
        ("video,caption,split\na,one,train\nb, ,test\n", "line 3: expected a caption for at least one .* split test"),
        ("video,caption\n,one\n", "line 2: expected a path as `video`; found nothing"),
        (
            "video,caption,split\na,one,train\nb,two,tets\n",
            "line 3: expected one of train, .*; found 'tets'",
        ),
        ("video,caption,split\na,one,train\nb,two,\n", "line 3: expected a `split`, as other rows have one"),
        ("video,caption,split\na,one,train\na,two,test\n", "line 3: expected 'train' as `split`, as line 2 has it"),
        ("video,caption,clip_id\na,one,x\na,two,y\n", "line 3: expected 'x' as `clip_id`, as line 2 has it"),
        ("video,caption,clip_id\na,one,x\nb,two,x\n", "line 3: expected an id of its own .* that of line 2"),
        ("video,caption,start_s,end_s\na,one,5,2\n", "line 2: expected 0 ≤ `start_s` < `end_s`.*; found '5' and '2'"),
        ("video,caption,start_s,end_s\na,one,5,\n", "line 2: expected 0 ≤ `start_s` < `end_s`"),
        ("video,caption,start_s,end_s\na,one,,5\n", "line 2: expected 0 ≤ `start_s` < `end_s`, both or neither"),
        ("video,caption,caption\na,one,two\n", "line 1: expected a header that names each column once"),
        ("video,caption,start_s,end_s\na,one,0:05,9\n", "line 2: expected seconds .*; found '0:05' and '9'"),
    ],
)
def test_wrong_rows(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        manifest(tmp_path, text)


def test_wrong_lines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2: expected a text as `caption`; found null"):
        manifest(tmp_path, '\n{"video": "a.mp4"}\n', "manifest.jsonl")
    with pytest.raises(UsageError, match="line 1: expected a JSON object a line; found what is not JSON"):
        manifest(tmp_path, "video,caption\n", "manifest.jsonl")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"cut \\ud83d"', r"half of a character: \\ud83d"),
        (5000 * "9", "a number that is too long"),
        (99_999 * "[", "lists or objects nested too deep"),
    ],
)
def test_values_that_nothing_can_hold(value: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"line 2: expected a JSON object a line; found {found}"):
        manifest(tmp_path, f'\n{{"video": "a.mp4", "caption": {value}}}\n', "manifest.jsonl")
    whole = manifest(tmp_path, '{"video": "a.mp4", "caption": "a \\ud83d\\ude00", "split": "val"}', "manifest.jsonl")
    assert whole.val is not None
    assert whole.val.clips[0].captions[0].text == "a 😀"


def test_spans_of_many_digits_keep_them(tmp_path: Path) -> None:
    rows = "".join(f"a.mp4,one,{start},{end},test\n" for start, end in [(0, 1.2345678), (0, 1.2345679), (1, 1.2345679)])
    dataset = manifest(tmp_path, "video,caption,start_s,end_s,split\n" + rows)
    assert dataset.test is not None
    assert [clip.clip_id for clip in dataset.test.clips] == ["a#t=0.0,1.2345678", "a#t=0.0,1.2345679", "a#t=1,1.23457"]


def test_a_video_that_is_named_in_two_ways_is_one(tmp_path: Path) -> None:
    rows = f"films/a.mp4,one,0,1,test\n{tmp_path / 'films/a.mp4'},two,1,2,test\n{tmp_path / 'b.mp4'},three,,,test\n"
    dataset = manifest(tmp_path, "video,caption,start_s,end_s,split\n" + rows)
    assert dataset.test is not None
    assert [clip.media for clip in dataset.test.clips] == ["films/a.mp4", "films/a.mp4", str(tmp_path / "b.mp4")]

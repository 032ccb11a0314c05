"""MSR-VTT in its three protocols; two share the 1,000 sentences of JSFusion ("1k-A") as their test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.captions import CaptionFile, read_caption_file
from savecli.datasets.files import find_file, need_file, read_captioned_table, read_split_file
from savecli.datasets.splits import Listing, build_dataset, unknown_captions

_CAPTIONS = "MSRVTT_data.json"
_VIDEO_FOLDERS = ("MSRVTT_Videos", "MSRVTT_videos", "TrainValVideo", "TestVideo")
# The clips that the first 7,010 numbers name are those of the official train and validation splits.
_FIRST_7K = tuple(f"video{number}" for number in range(7010))


def read_msrvtt_9k(root: Path) -> Dataset:
    """9,000 clips with all captions to train on, 1k-A to test on, nothing to validate on."""
    path = find_file(root, "MSRVTT_train.9k.csv")
    ids = read_split_file(path).ids if path else None
    return _with_1ka(root, "msrvtt-9k", "train 9k", ids)


def read_msrvtt_7k_1ka(root: Path) -> Dataset:
    """The first 7,010 clips to train on, listed or not, 1k-A to test on, nothing to validate on."""
    path = find_file(root, "MSRVTT_train.7k.csv")
    ids = read_split_file(path).ids if path else _FIRST_7K if find_file(root, _CAPTIONS) else None
    return _with_1ka(root, "msrvtt-7k-1ka", "train 7k", ids)


def read_msrvtt_7k(root: Path) -> Dataset:
    """The official split with every caption: 6,513 clips, 497 and 2,990.

    The lists of val and test must be there; train is what its own list names, or else every clip in neither.
    """
    file = read_caption_file(need_file(root, _CAPTIONS))
    splits = {split: read_split_file(need_file(root, *_official_names(split))) for split in ("val", "test")}
    path = find_file(root, *_official_names("train"))
    others = {clip_id for split in splits.values() for clip_id in split.ids}
    train_ids = read_split_file(path).ids if path else [clip_id for clip_id in file.ids if clip_id not in others]
    listed = {
        split: Listing(f"{split} official", content.ids, content.captions or file.captions, is_grouped=True)
        for split, content in splits.items()
    }
    known = others.union(file.ids, train_ids)
    return build_dataset(
        "msrvtt-7k",
        root,
        train=Listing("train official", train_ids, file.captions, is_grouped=True),
        val=listed["val"],
        test=listed["test"],
        video_folders=_VIDEO_FOLDERS,
        unknown=unknown_captions(file.captions, known),
    )


def _official_names(split: str) -> tuple[str, ...]:
    return (f"MSRVTT_full_split_{split}.csv", f"{split}_list_full.txt")


def _with_1ka(root: Path, name: str, train_name: str, train_ids: Sequence[str] | None) -> Dataset:
    test = _read_1ka(root)
    file = CaptionFile({}, ())
    train = None
    if train_ids is not None:
        file = read_caption_file(need_file(root, _CAPTIONS))
        train = Listing(train_name, train_ids, file.captions)
    known = {*file.ids, *(train_ids or ()), *(test.ids if test else ())}
    return build_dataset(
        name,
        root,
        train=train,
        test=test,
        video_folders=_VIDEO_FOLDERS,
        unknown=unknown_captions(file.captions, known),
    )


def _read_1ka(root: Path) -> Listing | None:
    path = find_file(root, "MSRVTT_JSFUSION_test.csv")
    if path is None:
        return None
    columns = ["key", "vid_key", "video_id", "sentence"]
    file = read_captioned_table(path, columns=columns, id_column="video_id", text_column="sentence")
    return Listing("test 1k-A", file.ids, file.captions, has_one_caption=True)

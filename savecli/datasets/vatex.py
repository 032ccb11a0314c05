"""VATEX: about ten English captions a clip, in either of two layouts."""

from __future__ import annotations

from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.captions import read_caption_file
from savecli.datasets.files import find_file, need_file, read_split_file
from savecli.datasets.splits import Listing, build_dataset, unknown_captions

_CAPTIONS = ("ref_captions.json", "VATEX_data.json", "vatex_data.json")


def read_vatex(root: Path) -> Dataset:
    """Lists of ids with `ref_captions.json`, or `VATEX_*.csv` with `VATEX_data.json`.

    Sentences of a CSV go before those of the caption file, which need not be there if every CSV has them.
    """
    found = {split: find_file(root, f"{split}_list.txt", f"VATEX_{split}.csv") for split in ("train", "val", "test")}
    files = {split: read_split_file(path) for split, path in found.items() if path is not None}
    needs_captions = any(not file.captions for file in files.values())
    path = need_file(root, *_CAPTIONS) if needs_captions else find_file(root, *_CAPTIONS)
    captions = read_caption_file(path).captions if path else {}
    listings = {
        split: Listing(f"{split} VATEX", file.ids, file.captions or captions, is_grouped=True)
        for split, file in files.items()
    }
    known = {clip_id for file in files.values() for clip_id in file.ids}
    return build_dataset(
        "vatex",
        root,
        train=listings.get("train"),
        val=listings.get("val"),
        test=listings.get("test"),
        video_folders=("VATEX_videos", "vatex_videos", "clips"),
        unknown=unknown_captions(captions, known),
    )

"""Charades: the script that an actor was given is the caption of the clip."""

from __future__ import annotations

from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.files import find_file, read_captioned_table
from savecli.datasets.splits import Listing, build_dataset


def read_charades(root: Path) -> Dataset:
    """Train and test; of the eleven columns only `id` and `script` are read."""
    return build_dataset(
        "charades",
        root,
        train=_listing(root, "train"),
        test=_listing(root, "test"),
        video_folders=("Charades_v1_480", "Charades_v1"),
    )


def _listing(root: Path, split: str) -> Listing | None:
    path = find_file(root, f"Charades_v1_{split}.csv")
    if path is None:
        return None
    file = read_captioned_table(path, columns=["id", "script"], id_column="id", text_column="script")
    return Listing(f"{split} Charades", file.ids, file.captions, has_one_caption=split == "test")

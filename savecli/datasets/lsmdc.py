"""LSMDC: a sentence for each of 118,000 clips of films; the test is the public one of 1,000."""

from __future__ import annotations

from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.files import find_file, read_lines, wrong_content
from savecli.datasets.splits import Listing, build_dataset

# The missing letter of the third name is the publishers' own.
_FILES = {
    "train": ("LSMDC16_annos_training.csv", "LSMDC16_annos_train.csv"),
    "val": ("LSMDC16_annos_val.csv",),
    "test": ("LSMDC16_challenge_1000_publictect.csv", "LSMDC16_challenge_1000_publictest.csv"),
}
_COLUMNS = "six columns with tabs between: clip id, two aligned times, two extracted times, sentence"


def read_lsmdc(root: Path) -> Dataset:
    """The three splits; quotation marks of a sentence are part of it."""
    listings = {split: _listing(root, split) for split in _FILES}
    return build_dataset(
        "lsmdc",
        root,
        train=listings["train"],
        val=listings["val"],
        test=listings["test"],
        video_folders=("LSMDC_videos", "lsmdc_videos", "avi", "clips"),
    )


def _listing(root: Path, split: str) -> Listing | None:
    path = find_file(root, *_FILES[split])
    if path is None:
        return None
    ids: list[str] = []
    captions: dict[str, list[str]] = {}
    for line, text in read_lines(path):
        cells = text.split("\t")
        if len(cells) != 6:
            raise wrong_content(path, line=line, expected=_COLUMNS, found=f"{len(cells)} columns")
        clip_id = cells[0].strip()
        ids.append(clip_id)
        captions.setdefault(clip_id, []).append(cells[5])
    name = "test public 1000" if split == "test" else f"{split} LSMDC16"
    return Listing(name, ids, captions, has_one_caption=split != "train")

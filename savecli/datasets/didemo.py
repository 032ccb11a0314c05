"""DiDeMo: the sentences of a video are joined into one paragraph, in the order of the file."""

from __future__ import annotations

from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.endings import without_ending
from savecli.datasets.files import find_file, kind_of, need_file, read_json, read_split_file, wrong_content
from savecli.datasets.splits import Listing, build_dataset, dropped_sentences, paragraphs

_EXPECTED = "[{video, description}]"


def read_didemo(root: Path) -> Dataset:
    """The three splits; a clip's id is its video key without the ending, its file is found with or without."""
    listings = {split: _listing(root, split) for split in ("train", "val", "test")}
    return build_dataset(
        "didemo",
        root,
        train=listings["train"],
        val=listings["val"],
        test=listings["test"],
        video_folders=("didemo_videos", "DiDeMo_videos"),
    )


def _listing(root: Path, split: str) -> Listing | None:
    names = find_file(root, f"{split}_list.txt")
    if names is None and find_file(root, f"{split}_data.json") is None:
        return None
    path = need_file(root, f"{split}_data.json")
    entries = read_json(path, expected=_EXPECTED)
    if not isinstance(entries, list):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=kind_of(entries))
    sentences: dict[str, list[str]] = {}
    media: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        video, sentence = _entry(path, number, entry)
        clip_id = without_ending(video)
        media.setdefault(clip_id, video)
        sentences.setdefault(clip_id, []).append(sentence)
    ids = read_split_file(names).ids if names else tuple(sentences)
    dropped = dropped_sentences(sentences, ids)
    return Listing(f"{split} DiDeMo", ids, paragraphs(sentences), media=media, dropped=dropped)


def _entry(path: Path, number: int, entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=f"{kind_of(entry)} as entry {number}")
    video, sentence = entry.get("video"), entry.get("description")
    if not isinstance(video, str) or not isinstance(sentence, str):
        found = f"{kind_of(video)} and {kind_of(sentence)} in entry {number}"
        raise wrong_content(path, line=None, expected="texts as `video` and `description`", found=found)
    return video.strip(), sentence.strip()

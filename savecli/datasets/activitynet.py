"""ActivityNet Captions: the sentences of a video are joined into one paragraph, in their order of time."""

from __future__ import annotations

from pathlib import Path

from savecli.datasets.base import Dataset
from savecli.datasets.endings import without_ending
from savecli.datasets.files import find_file, kind_of, need_file, read_json, wrong_content
from savecli.datasets.splits import Listing, build_dataset, dropped_sentences, paragraphs

_IDS = "a list of ids: [v_…]"
_PARAGRAPHS = "{v_id: {duration, timestamps, sentences}}"


def read_activitynet(root: Path) -> Dataset:
    """Train, and as the test the first validation set, which every published table reports."""
    return build_dataset(
        "activitynet",
        root,
        train=_listing(root, "train ActivityNet", "train_ids.json", "train.json"),
        test=_listing(root, "test val1", "val_ids.json", "val_1.json"),
        video_folders=("Activity_Videos", "activitynet_videos", "v1-3"),
    )


def _listing(root: Path, name: str, ids_name: str, captions_name: str) -> Listing | None:
    ids_path = find_file(root, ids_name)
    if ids_path is None and find_file(root, captions_name) is None:
        return None
    path = need_file(root, captions_name)
    value = read_json(path, expected=_PARAGRAPHS)
    if not isinstance(value, dict):
        raise wrong_content(path, line=None, expected=_PARAGRAPHS, found=kind_of(value))
    sentences = {without_ending(key): _sentences(path, key, entry) for key, entry in value.items()}
    ids = _read_ids(ids_path) if ids_path else list(sentences)
    return Listing(name, ids, paragraphs(sentences), dropped=dropped_sentences(sentences, ids))


def _read_ids(path: Path) -> list[str]:
    value = read_json(path, expected=_IDS)
    if not isinstance(value, list) or not all(isinstance(clip_id, str) for clip_id in value):
        raise wrong_content(path, line=None, expected=_IDS, found=kind_of(value))
    return [without_ending(clip_id) for clip_id in value]


def _sentences(path: Path, key: str, entry: object) -> list[str]:
    sentences = entry.get("sentences") if isinstance(entry, dict) else None
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        found = f"{kind_of(sentences)} for {key!r}"
        raise wrong_content(path, line=None, expected="a list of texts as `sentences`", found=found)
    return [text.strip() for text in sentences]

"""Caption files that several datasets share: `{videos, sentences}`, or sentences by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from savecli.datasets.endings import without_ending
from savecli.datasets.files import kind_of, read_json, wrong_content

_EXPECTED = "{videos: [{video_id}], sentences: [{video_id, caption}]} or {id: [caption]}"


@dataclass(frozen=True)
class CaptionFile:
    """Sentences by id in the order of the file, and the ids it knows, in order, with or without sentences."""

    captions: Mapping[str, Sequence[str]]
    ids: tuple[str, ...]


def read_caption_file(path: Path) -> CaptionFile:
    """MSR-VTT's form, or a mapping whose values are lists, or objects with VATEX's `enCap`.

    Raises:
        UsageError: it holds something else; the first wrong entry is named.
    """
    value = read_json(path, expected=_EXPECTED)
    if not isinstance(value, dict):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=kind_of(value))
    if "sentences" in value and isinstance(value["sentences"], list):
        return _from_sentences(path, value)
    captions = {without_ending(str(key)): _texts(path, str(key), texts) for key, texts in value.items()}
    return CaptionFile(captions, tuple(captions))


def _from_sentences(path: Path, value: Mapping[str, object]) -> CaptionFile:
    captions: dict[str, list[str]] = {}
    for number, entry in enumerate(_entries(path, value, "sentences"), start=1):
        clip_id, caption = entry.get("video_id"), entry.get("caption")
        if not isinstance(clip_id, str) or not isinstance(caption, str):
            raise wrong_content(
                path,
                line=None,
                expected=f"texts as `video_id` and `caption` in entry {number} of `sentences`",
                found=f"{kind_of(clip_id)} and {kind_of(caption)}",
            )
        captions.setdefault(without_ending(clip_id), []).append(caption)
    listed = [str(entry.get("video_id", "")) for entry in _entries(path, value, "videos")]
    return CaptionFile(captions, tuple(dict.fromkeys(map(without_ending, listed or captions))))


def _entries(path: Path, value: Mapping[str, object], key: str) -> list[dict[str, object]]:
    entries = value.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise wrong_content(path, line=None, expected=f"a list of objects as `{key}`", found=kind_of(entries))
    return entries


def _texts(path: Path, key: str, value: object) -> list[str]:
    if isinstance(value, dict):
        value = value.get("enCap")
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise wrong_content(path, line=None, expected=f"a list of texts for {key!r}", found=kind_of(value))
    return value

"""Transcripts that come with a dataset, as the authors of SAVE write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from savecli.datasets.endings import without_ending
from savecli.datasets.files import kind_of, read_json, wrong_content

_EXPECTED = '[{"key": "video0.wav", "text": "…"}] or {"video0": "…"}'


def read_asr(path: Path) -> dict[str, str]:
    """What is said in each clip, by clip id: the keys without the ending of a media file.

    A clip in which nothing is said is there with "". Of two entries with one key the later counts only if they agree.

    Raises:
        UsageError: the file holds something else, or two entries of a key differ.
    """
    value = read_json(path, expected=_EXPECTED)
    if isinstance(value, dict):
        pairs = iter(value.items())
    elif isinstance(value, list):
        pairs = _pairs(path, value)
    else:
        raise wrong_content(path, line=None, expected=_EXPECTED, found=kind_of(value))
    texts: dict[str, str] = {}
    for key, text in pairs:
        if text is not None and not isinstance(text, str):
            raise wrong_content(path, line=None, expected=f"a text for {key!r}", found=kind_of(text))
        clip_id, spoken = without_ending(key), (text or "").strip()
        if texts.setdefault(clip_id, spoken) != spoken:
            raise wrong_content(path, line=None, expected=f"one text for {key!r}", found="two that differ")
    return texts


def _pairs(path: Path, entries: list[object]) -> Iterator[tuple[str, object]]:
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "text" not in entry:
            found = f"something else as entry {number}: {str(entry)[:60]}"
            raise wrong_content(path, line=None, expected="objects with `key` and `text`", found=found)
        yield entry["key"], entry["text"]

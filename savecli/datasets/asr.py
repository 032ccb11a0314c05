"""Transcripts that come with a dataset, as the authors of SAVE write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.datasets.base import Dataset
from savecli.datasets.endings import without_ending
from savecli.datasets.files import kind_of, read_json, wrong_content

_EXPECTED = '[{"key": "video0.wav", "text": "…"}] or {"video0": "…"}'


@dataclass(frozen=True)
class Transcripts:
    """What is said in the clips of a dataset.

    Args:
        texts: by clip id; a clip in which nothing is said is there with "".
        unknown: keys that name no clip of any split.
    """

    texts: Mapping[str, str]
    unknown: tuple[str, ...] = ()


def read_transcripts(dataset: Dataset, file: Path | None = None) -> Transcripts | None:
    """What the files beside a dataset, or `file` in their place, say of its clips; None where there is no file.

    A key names the clip whose id it is, else the one whose id it is without the ending of a media file, else the only
    one whose id without its own ending it is.

    Raises:
        UsageError: a file holds something else, or two texts of a clip differ, in one file or in two.
    """
    files = (file,) if file is not None else dataset.asr_files
    if not files:
        return None
    ids = {clip.clip_id: clip.clip_id for split in dataset.splits for clip in split.clips}
    stems = Counter(map(without_ending, ids))
    only = {stem: clip_id for clip_id in ids if stems[stem := without_ending(clip_id)] == 1}
    seen: dict[str, tuple[str, str, Path]] = {}
    unknown: list[str] = []
    for path in files:
        for key, text in read_asr(path).items():
            stem = without_ending(key)
            clip_id = ids.get(key) or ids.get(stem) or only.get(stem)
            if clip_id is None:
                unknown.append(key)
            elif (first := seen.setdefault(clip_id, (text, key, path)))[0] != text:
                raise UsageError(
                    "two transcripts of one clip differ",
                    why=f"that of {clip_id!r} as {first[1]!r} in {first[2]} and as {key!r} in {path}",
                    fix="keep the right one; `--asr FILE` names one file of several",
                )
    return Transcripts({clip_id: text for clip_id, (text, _, _) in seen.items()}, tuple(unknown))


def read_asr(path: Path) -> dict[str, str]:
    """What a file says, by its keys. Of two entries with one key the later counts only if they agree.

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
        spoken = (text or "").strip()
        if texts.setdefault(key, spoken) != spoken:
            raise wrong_content(path, line=None, expected=f"one text for {key!r}", found="two that differ")
    return texts


def _pairs(path: Path, entries: list[object]) -> Iterator[tuple[str, object]]:
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "text" not in entry:
            found = f"something else as entry {number}: {str(entry)[:60]}"
            raise wrong_content(path, line=None, expected="objects with `key` and `text`", found=found)
        yield entry["key"], entry["text"]

"""Where the clips' files are: one walk over the video folders, then look-ups."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.datasets.base import Dataset, DatasetClip
from savecli.datasets.endings import AUDIO_ENDINGS, split_ending, without_ending


@dataclass(frozen=True)
class Located:
    """The files of a dataset's clips.

    Args:
        paths: by clip id, those that are there.
        missing: ids of the others, in the order of the splits.
        folders: where it was looked.
        ambiguous: by clip id, all files that fit it equally well; the first of them is in `paths`.
    """

    paths: Mapping[str, Path]
    missing: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    ambiguous: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Index:
    """Files by path below their folder, and by name; each with its ending and without."""

    by_path: Mapping[str, Sequence[str]]
    by_name: Mapping[str, Sequence[str]]

    def find(self, media: str) -> Sequence[str]:
        """Files that fit a clip's `media`, whose folder, where it names one, must be right."""
        for name in dict.fromkeys((media, without_ending(media))):
            files = self.by_path.get(name) or ("/" not in name and self.by_name.get(name))
            if files:
                return files
        return ()

    def folded(self, *, taken: set[str]) -> _Index:
        """The same for names that differ in case or in the form of accents only, without the files in use."""
        return _Index(_fold(self.by_path, taken), _fold(self.by_name, taken))


def locate(dataset: Dataset, videos: Path | None = None) -> Located:
    """Finds the file of every clip anywhere below `videos`, or below the dataset's own video folders.

    Clips are matched by path or by name without ending, first exactly, then whatever the case where just one file
    fits. Pictures go before sound alone, earlier folders before later ones. Hidden files are not looked at.

    Raises:
        UsageError: `videos` is not a folder.
    """
    folders = (videos,) if videos is not None else dataset.video_folders
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                "the folder of the videos is not there",
                why=f"{folder} is not a folder",
                fix="give the folder that the videos are in with `--videos DIR`",
            )
    index = _build_index(folders)
    clips = [clip for split in dataset.splits for clip in split.clips]
    found = {clip.clip_id: _ranked(files) for clip in clips if (files := index.find(clip.media))}
    others = [clip for clip in clips if clip.clip_id not in found]
    if others:
        found |= _find_loosely(others, folders, index.folded(taken={files[0] for files in found.values()}))
    return Located(
        paths={clip.clip_id: Path(found[clip.clip_id][0]) for clip in clips if clip.clip_id in found},
        missing=tuple(clip.clip_id for clip in clips if clip.clip_id not in found),
        folders=tuple(folders),
        ambiguous={key: tuple(map(Path, files)) for key, files in found.items() if len(files) > 1},
    )


def _find_loosely(clips: Sequence[DatasetClip], folders: Sequence[Path], index: _Index) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for clip in clips:
        # A path to the file itself: absolute, outside the folders, or with an ending that no other video has.
        direct = next((path for folder in folders if (path := folder / clip.media).is_file()), None)
        if direct is not None:
            found[clip.clip_id] = [str(direct)]
            continue
        # ActivityNet's ids begin with `v_`, the files of some copies do not.
        for media in dict.fromkeys((clip.media, clip.media.removeprefix("v_"))):
            files = _ranked(index.find(_folded(media)))
            if len(files) == 1:
                found[clip.clip_id] = files
                break
    return found


def _build_index(folders: Sequence[Path]) -> _Index:
    by_path: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for folder in folders:
        for below, name in _walk(folder):
            stem, ending = split_ending(name)
            if ending:
                file = os.path.join(folder, below, name)  # noqa: PTH118  a tenth of the time of Path
                for key in (name, stem):
                    by_path.setdefault(f"{below}/{key}" if below else key, []).append(file)
                    by_name.setdefault(key, []).append(file)
    return _Index(by_path, by_name)


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """`(path of its folder below the start, name)` of every file; links are followed, each folder once."""
    seen: set[str] = set()
    top = os.fspath(folder)
    for root, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(root, top).replace(os.sep, "/")
        for name in sorted(names):
            if not name.startswith("."):
                yield ("" if below == "." else below), name


def _ranked(files: Sequence[str]) -> list[str]:
    """The files that fit best, in the order they were found: no sound where there are pictures, none twice."""
    if len(files) == 1:
        return list(files)
    seen = [file for file in files if split_ending(file)[1] not in AUDIO_ENDINGS]
    return list({os.path.realpath(file): file for file in reversed(seen or files)}.values())[::-1]


def _fold(files_by_key: Mapping[str, Sequence[str]], taken: set[str]) -> dict[str, list[str]]:
    folded: dict[str, list[str]] = {}
    for key, files in files_by_key.items():
        free = [file for file in files if file not in taken]
        if free:
            folded.setdefault(_folded(key), []).extend(free)
    return folded


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()

"""Where the clips' files are: one walk over the video folders, then look-ups."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.datasets.base import Dataset
from savecli.datasets.endings import AUDIO_ENDINGS, split_ending, without_ending


@dataclass(frozen=True)
class Located:
    """The files of a dataset's clips.

    Args:
        paths: by clip id, those that are there; clips of one file have one `media`.
        missing: ids of the others, in the order of the splits.
        folders: where it was looked.
        ambiguous: by clip id, all files that fit it equally well; the first of them is in `paths`.
        disputed: by id of a missing clip, the file that fits it, but another clip as well or better.
    """

    paths: Mapping[str, Path]
    missing: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    ambiguous: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    disputed: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Index:
    """Files by path below their folder, and by name; each with its ending and without."""

    by_path: Mapping[str, Sequence[str]]
    by_name: Mapping[str, Sequence[str]]

    def find(self, media: str) -> Sequence[str]:
        """Files that fit a clip's `media`, whose folder, where it names one, must be right; the surest way counts."""
        return next(filter(None, (find(media) for find in self.ways)), ())

    @property
    def ways(self) -> tuple[Callable[[str], Sequence[str]], ...]:
        """Look-ups by `media`, the surest first. No name holds a `/`, so only a path finds what names a folder."""
        return (
            lambda media: self.by_path.get(media, ()),
            lambda media: self.by_name.get(media, ()),
            lambda media: self.by_path.get(without_ending(media), ()),
            lambda media: self.by_name.get(without_ending(media), ()),
        )

    def folded(self, *, taken: set[str]) -> _Index:
        """The same for names that differ in case or in the form of accents only, without the files in use."""
        return _Index(_fold(self.by_path, taken), _fold(self.by_name, taken))


@dataclass
class _Matches:
    """Whose a file is: that of one video only, and of none where two claim it in the same way."""

    files: dict[str, list[str]] = field(default_factory=dict)
    disputed: dict[str, str] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)

    def add(self, media: Iterable[str], find: Callable[[str], Sequence[str]]) -> None:
        """Give those that have no file yet what `find` knows and nobody has claimed in a surer way."""
        fits = {name: _ranked(files) for name in media if name not in self.files and (files := find(name))}
        free = {name: [file for file in files if _place(file) not in self.claimed] for name, files in fits.items()}
        claims = Counter(_place(files[0]) for files in free.values() if files)
        for name, files in free.items():
            if files and claims[_place(files[0])] == 1:
                self.files[name] = files
            else:
                self.disputed[name] = (files or fits[name])[0]
        self.claimed.update(claims)


def locate(dataset: Dataset, videos: Path | None = None) -> Located:
    """Finds the file of every clip anywhere below `videos`, or below the dataset's own video folders.

    Clips are matched by path or, unless the dataset has paths, by name without ending, first exactly, then whatever
    the case where just one file fits. Pictures go before sound alone, earlier folders before later ones. Hidden files
    are not looked at. No file serves two clips of different `media`: it is that of the one it fits best.

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
    clips = [clip for split in dataset.splits for clip in split.clips]
    matches = _match(dict.fromkeys(clip.media for clip in clips), folders, has_paths=dataset.has_paths)
    found = {clip.clip_id: matches.files[clip.media] for clip in clips if clip.media in matches.files}
    missing = [clip for clip in clips if clip.clip_id not in found]
    return Located(
        paths={clip_id: Path(files[0]) for clip_id, files in found.items()},
        missing=tuple(clip.clip_id for clip in missing),
        folders=tuple(folders),
        ambiguous={key: tuple(map(Path, files)) for key, files in found.items() if len(files) > 1},
        disputed={
            clip.clip_id: Path(matches.disputed[clip.media]) for clip in missing if clip.media in matches.disputed
        },
    )


def _match(media: Collection[str], folders: Sequence[Path], *, has_paths: bool) -> _Matches:
    index = _build_index(folders, has_paths=has_paths)
    matches = _Matches()
    for find in (*index.ways, lambda name: _direct(name, folders)):
        matches.add(media, find)
    if any(name not in matches.files for name in media):
        folded = index.folded(taken={files[0] for files in matches.files.values()})
        matches.add(media, lambda name: _only(folded.find(_folded(name))))
        if not has_paths:
            # ActivityNet's ids begin with `v_`, the files of some copies do not.
            matches.add(media, lambda name: _only(folded.find(_folded(name.removeprefix("v_")))))
    return matches


def _direct(media: str, folders: Sequence[Path]) -> Sequence[str]:
    """A path to the file itself: absolute, outside the folders, or with an ending that no other video has.

    By `os.path`, for which a text that can be no path, as it is too long, is no file.
    """
    paths = (os.path.join(folder, media) for folder in folders)  # noqa: PTH118
    return next(((path,) for path in paths if os.path.isfile(path)), ())  # noqa: PTH113


def _only(files: Sequence[str]) -> Sequence[str]:
    ranked = _ranked(files) if files else ()
    return ranked if len(ranked) == 1 else ()


def _place(file: str) -> str:
    """The same for all ways to write a path; links stay files of their own."""
    return os.path.abspath(file)


def _build_index(folders: Sequence[Path], *, has_paths: bool) -> _Index:
    by_path: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for folder in folders:
        for below, name in _walk(folder):
            stem, ending = split_ending(name)
            if ending:
                file = os.path.join(folder, below, name)  # noqa: PTH118  a tenth of the time of Path
                for key in (name, stem):
                    by_path.setdefault(f"{below}/{key}" if below else key, []).append(file)
                    if not has_paths:
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

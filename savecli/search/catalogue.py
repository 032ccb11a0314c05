"""All files of an archive as columns, to be filtered in one go: a query must not make an object of each of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.archive.paths import same_form, stored_path
from savecli.archive.store import Archive

COLUMNS = ("path", "video_id", "root", "duration_s", "mtime_ns", "language", "is_missing", "num_clips")

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Columns of `videos`, `(N,)` each; paths in `same_form`, with `/` between their parts."""

    paths: list[str]
    below_roots: list[str]
    video_ids: npt.NDArray[np.object_]
    duration_s: npt.NDArray[np.float64]
    mtime_ns: npt.NDArray[np.int64]
    languages: npt.NDArray[np.object_]
    is_missing: Mask
    num_clips: npt.NDArray[np.int32]

    def inside(self, pattern: str) -> Mask:
        """`(N,)`: which files lie where a pattern says; see `path_matcher`."""
        fits = path_matcher(pattern)
        return np.fromiter(map(fits, self.paths, self.below_roots), np.bool_, len(self.paths))


def read_catalogue(archive: Archive) -> Catalogue:
    """The catalogue of all files."""
    return catalogue_of(archive.videos.search().select(list(COLUMNS)).to_arrow())


def catalogue_of(columns: Any) -> Catalogue:
    """The catalogue of some rows, an arrow table."""
    paths = [same_form(path) for path in columns.column("path").to_pylist()]
    roots = [same_form(root or "") for root in columns.column("root").to_pylist()]
    plain = [PurePath(path).as_posix() for path in paths] if os.sep == "\\" else paths
    return Catalogue(
        paths=plain,
        below_roots=[below_root(path, root) for path, root in zip(plain, roots, strict=True)],
        video_ids=columns.column("video_id").to_numpy(),
        duration_s=columns.column("duration_s").fill_null(0.0).to_numpy(),
        mtime_ns=columns.column("mtime_ns").fill_null(0).to_numpy(),
        languages=columns.column("language").to_numpy(),
        is_missing=columns.column("is_missing").fill_null(False).to_numpy(),
        num_clips=columns.column("num_clips").fill_null(0).to_numpy(),
    )


def below_root(path: str, root: str) -> str:
    """The path as seen from its root; the file's name where it is the root itself."""
    relative = path[len(root) :].lstrip("/\\") if path.startswith(root) else path
    return relative or path.rpartition("/")[2]


def path_matcher(pattern: str) -> Callable[[str, str], bool]:
    """Tells whether a file lies where `pattern` says, from its path and the path below its root.

    A pattern may name a folder or file as it is: `talks` matches `talks/a.mp4` and `x/talks/a.mp4`, and `a [x].mp4`
    itself. As a glob it must match the whole path below the root, the whole absolute path, or the file name.
    Paths are as a catalogue holds them, a pattern as it was typed.
    """
    pattern = same_form(stored_path(pattern))
    wanted = PurePath(pattern).as_posix()
    named = wanted if wanted.startswith("/") else f"/{wanted}"
    named = f"{named.rstrip('/')}/"
    is_absolute = wanted.startswith("/")
    glob = re.compile(translate(pattern)).fullmatch if _is_glob(pattern) else None

    def fits(path: str, below: str) -> bool:
        whole = f"{path}/" if path.startswith("/") else f"/{path}/"
        if whole.startswith(named) if is_absolute else named in whole:
            return True
        if glob is None:
            return False
        return any(glob(text) is not None for text in (below, path, path.rpartition("/")[2]))

    return fits


def _is_glob(pattern: str) -> bool:
    return any(letter in pattern for letter in "*?[")

"""Finding the video files under some folders, without opening them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from savecli.core.records import Scan, Skipped, VideoFile

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".evo", ".f4v", ".flv", ".h264",
    ".h265", ".hevc", ".insv", ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg",
    ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt",
    ".rm", ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro", ".webm", ".wmv", ".wtv", ".xvid", ".y4m",
})
# fmt: on

# Suffixes that TypeScript shares with transport streams: source code is told apart by its first bytes.
_SHARED_SUFFIXES = frozenset({".ts", ".mts"})

# Folders that systems keep beside a user's files: thumbnails of NAS boxes, trash, file system repairs.
_JUNK_FOLDERS = frozenset({"@eadir", "#recycle", "$recycle.bin", "recycler", "system volume information", "lost+found"})


def find_videos(roots: Sequence[Path], *, exclude: Sequence[str] = ()) -> Scan:
    """Every video file under the roots, told by its suffix; one `stat` a file, nothing is opened.

    Hidden files and folders (which covers `._*`, `.thumbnails` and `.Trash*`), thumbnails of NAS boxes and trash are
    left out. A root that names a file is taken whatever it is called; other files of unknown suffix are not probed.
    Symlinks are followed after everything else, each folder once, so that a file that can be reached twice is listed
    once and under its real path if that lies in a root. Paths are absolute but keep the links of their root.

    Args:
        roots: folders or files.
        exclude: globs that match a file's or folder's name, its path below the root, or its whole path.
    """
    walk = _Walk(_excluded(exclude))
    for root in roots:
        walk.add_root(Path(os.path.abspath(root)))
    walk.follow_links()
    return Scan(
        files=tuple(sorted(walk.files, key=lambda file: file.path)),
        skipped=tuple(sorted(walk.skipped, key=lambda skipped: skipped.path)),
        offline_roots=tuple(walk.offline_roots),
    )


def _excluded(globs: Sequence[str]) -> Callable[[str, str, str], bool]:
    """A test of `(name, path below the root, whole path)` against all globs at once."""
    # `**/name` and `name/` mean the same as `name` here, as names match at any depth.
    bare = [glob.removeprefix("**/").rstrip("/") for glob in globs if glob.strip("/")]
    # Each also as it is written: "Talk [id].mp4" is a name that yt-dlp gives, not a set of letters.
    patterns = [pattern for glob in bare for pattern in (translate(glob), re.escape(glob) + r"\Z")]
    if not patterns:
        return lambda name, below, whole: False
    match = re.compile("|".join(patterns)).match
    return lambda name, below, whole: bool(match(name) or match(below) or match(whole))


@dataclass
class _Walk:
    """What has been seen so far, over all roots."""

    is_excluded: Callable[[str, str, str], bool]
    files: list[VideoFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    offline_roots: list[Path] = field(default_factory=list)
    seen: set[tuple[int, int] | str] = field(default_factory=set)
    links: list[tuple[os.DirEntry[str], str]] = field(default_factory=list)

    def add_root(self, root: Path) -> None:
        """Walk one root, or note that it is not there."""
        try:
            status = root.stat()
            if not stat.S_ISDIR(status.st_mode):
                self._add_file(str(root), status)
                return
            with os.scandir(root) as entries:
                is_empty = next(entries, None) is None
        except OSError:
            self.offline_roots.append(root)
            return
        if is_empty:
            # An unmounted drive leaves its empty mount point behind.
            self.offline_roots.append(root)
            return
        self._add_tree(str(root), status, below="")

    def follow_links(self) -> None:
        """Walk the symlinks met so far, and those met on the way."""
        while self.links:
            entry, below = self.links.pop()
            try:
                status = entry.stat()
            except OSError as error:
                self._skip(entry.path, f"broken link ({_cause(error)})")
                continue
            if stat.S_ISDIR(status.st_mode):
                self._add_tree(entry.path, status, below=f"{below}/")
            elif _has_video_suffix(entry.name):
                self._add_file(entry.path, status)

    def _add_tree(self, folder: str, status: os.stat_result, *, below: str) -> None:
        if not self._is_new(folder, status):
            return
        # A stack, not recursion: nothing limits how deep a user's folders go.
        stack = [(folder, below)]
        while stack:
            path, prefix = stack.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        self._add_entry(entry, prefix, stack)
            except OSError as error:
                self._skip(path, f"folder cannot be read ({_cause(error)})")

    def _add_entry(self, entry: os.DirEntry[str], prefix: str, stack: list[tuple[str, str]]) -> None:
        name, below = entry.name, prefix + entry.name
        if name.startswith(".") or self.is_excluded(name, below, entry.path):
            return
        try:
            if entry.is_symlink():
                if name.casefold() not in _JUNK_FOLDERS:
                    self.links.append((entry, below))
            elif entry.is_dir(follow_symlinks=False):
                if name.casefold() not in _JUNK_FOLDERS and self._is_new(entry.path, entry.stat()):
                    stack.append((entry.path, f"{below}/"))
            elif _has_video_suffix(name):
                self._add_file(entry.path, entry.stat())
        except OSError as error:
            self._skip(entry.path, _cause(error))

    def _add_file(self, path: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            self._skip(path, "not a regular file")
        elif self._is_new(path, status) and not _is_source_code(path):
            self.files.append(VideoFile(Path(path), size_bytes=status.st_size, mtime_ns=status.st_mtime_ns))

    def _is_new(self, path: str, status: os.stat_result) -> bool:
        # Some systems number no files in a folder listing; there the resolved path has to do.
        identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
        if identity in self.seen:
            return False
        self.seen.add(identity)
        return True

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(Path(path), reason))


def _has_video_suffix(name: str) -> bool:
    return _suffix(name) in VIDEO_SUFFIXES


def _suffix(name: str) -> str:
    # Ten times faster than pathlib, and called for every file of a drive.
    return "." + name.rpartition(".")[2].lower()


def _is_source_code(path: str) -> bool:
    """Whether a `.ts` file is TypeScript: text, which no transport stream is."""
    if _suffix(path) not in _SHARED_SUFFIXES:
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(512)
    except OSError:
        return False
    return bool(head) and not any(byte < 9 or byte == 0xFF for byte in head)


def _cause(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()

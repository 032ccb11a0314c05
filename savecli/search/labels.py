"""Labelled queries from a file, and the videos of an archive that they name."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from savecli.archive.paths import real_path, same_form
from savecli.archive.schema import VideoRow
from savecli.core.errors import UsageError
from savecli.core.records import Span
from savecli.search.candidates import is_searchable


@dataclass(frozen=True)
class Label:
    """A line: the query, the video that is right for it as the user names it, and the span of it that is meant."""

    line: int
    query: str
    video: str
    span: Span | None = None


@dataclass(frozen=True)
class Problem:
    """A line that cannot be used, and why. Lines are counted from 1."""

    line: int
    text: str
    reason: str


def read_labels(path: Path) -> tuple[list[Label], list[Problem]]:
    """The lines of a tab-separated file: query, video, and optionally start and end as `83.5` or `1:23.5`.

    A first line `query`, `video` is a header.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
        raise UsageError(
            f"cannot read the queries in {path}", why=why, fix="a line each: query, tab, video, and start, tab, end"
        ) from error
    labels: list[Label] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.rstrip().split("\t")]
        is_header = number == 1 and tuple(cell.lower() for cell in cells[:2]) == ("query", "video")
        if is_header or not line.strip():
            continue
        try:
            labels.append(_label(number, cells))
        except ValueError as error:
            problems.append(Problem(number, line.strip(), str(error)))
    return labels, problems


class VideoNames:
    """Finds the videos of an archive by what people call them.

    Args:
        rows: of every file.
        folder: where relative paths begin, besides the indexed folders.
    """

    def __init__(self, rows: Iterable[VideoRow], folder: Path) -> None:
        self._folder = folder
        # By the last part of the path, with and without its ending.
        self._by_name: dict[str, list[tuple[PurePath, VideoRow]]] = defaultdict(list)
        for row in rows:
            path = PurePath(same_form(str(real_path(row.path))))
            for name in {path.name, path.stem}:
                self._by_name[name].append((path, row))

    def find(self, text: str) -> str:
        """The `video_id` of the file at a path, or of the only one whose path ends so.

        Raises:
            ValueError: none, several of different content, or only files that are gone; told for people.
        """
        found = self._matching(text)
        if not found:
            near = difflib.get_close_matches(PurePath(same_form(text)).name, self._by_name, n=1)
            raise ValueError(f"no video `{text}` in the archive" + (f"; did you mean `{near[0]}`?" if near else ""))
        if all(row.is_missing for row in found):
            raise ValueError(f"`{text}` is in the archive, but its file is gone or its drive is not connected")
        ids = {row.video_id for row in found if not row.is_missing}
        if len(ids) > 1:
            raise ValueError(f"{len(ids)} videos are called `{text}`; give more of the path")
        return ids.pop()

    def _matching(self, text: str) -> list[VideoRow]:
        wanted = PurePath(same_form(str(Path(text).expanduser()) if text.startswith("~/") else text))
        rows = self._by_name.get(wanted.name, [])
        whole = {PurePath(os.path.normpath(folder / wanted)) for folder in (Path.cwd(), self._folder)}
        if exact := [row for path, row in rows if path in whole]:
            return exact
        for forms in ("name", "stem"):
            if ended := [row for path, row in rows if _ends(path, wanted.parts, forms)]:
                return ended
        return []


def _ends(path: PurePath, wanted: Sequence[str], form: str) -> bool:
    parts = (*path.parts[:-1], path.name if form == "name" else path.stem)
    return parts[-len(wanted) :] == tuple(wanted)


def _label(number: int, cells: Sequence[str]) -> Label:
    if len(cells) not in (2, 4):
        raise ValueError(f"{len(cells)} columns; allowed: query and video, or query, video, start and end")
    query, video = cells[:2]
    if not is_searchable(query):
        raise ValueError("there is nothing to look for in the query")
    if not video:
        raise ValueError("no video is named")
    start, end = (*cells[2:], "", "")[:2]
    if not start and not end:
        return Label(number, query, video)
    span = Span(*(_seconds(text, name) for text, name in ((start, "start"), (end, "end"))))
    if span.end_s <= span.start_s:
        raise ValueError(f"it ends at {end}, which is not after its start at {start}")
    return Label(number, query, video, span)


def _seconds(text: str, name: str) -> float:
    parts = list(_numbers(text))
    if not 1 <= len(parts) <= 3 or any(math.isnan(part) for part in parts):
        raise ValueError(f"its {name} is `{text}`; write seconds, 1:23 or 1:02:03")
    total = 0.0
    for part in parts:
        total = total * 60 + part
    return total


def _numbers(text: str) -> Iterator[float]:
    for part in text.split(":"):
        yield float(part) if re.fullmatch(r"\d+(\.\d+)?", part) else math.nan

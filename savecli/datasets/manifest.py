"""The user's own videos and captions: a CSV or JSONL with a row for each caption."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from savecli.core.errors import UsageError
from savecli.core.records import Span
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.endings import without_ending
from savecli.datasets.files import (
    Row,
    find_transcript_files,
    kind_of,
    parse_json,
    read_lines,
    read_table,
    read_text,
    wrong_content,
)
from savecli.datasets.splits import EMPTY_CAPTION, NO_CAPTION, new_split

_NAMES = ("manifest.jsonl", "manifest.csv", "manifest.tsv")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}
# Of a hundred videos, the shares that go to train, to val and, the rest, to test.
_TRAIN_PERCENT, _VAL_PERCENT = 80, 10


@dataclass(frozen=True)
class _Entry:
    """A row that was checked; `split` is "" where the file names none, `clip_id` where it is to be made up."""

    row: Row
    video: str
    span: Span | None
    caption: Caption
    split: str
    clip_id: str


def read_manifest(root: Path) -> Dataset:
    """The dataset of a manifest file, or of the `manifest.jsonl` or `manifest.csv` in a folder.

    Rows of one video and span are one clip with several captions. Without a `split` column the videos are split by
    the hash of their path, so that a video's clips never straddle splits and never move when others are added; the
    names of the splits say so. A split that nothing falls into is None.

    Raises:
        UsageError: a row is wrong (it is named), the same clip is in two splits or has two ids, or a split has blank
            captions only.
    """
    path = _manifest_path(root)
    entries = [_entry(row) for row in (_jsonl_rows(path) if path.suffix.lower() == ".jsonl" else _csv_rows(path))]
    if not entries:
        raise wrong_content(path, line=1, expected="a row for each caption", found="no rows")
    entries = _with_one_path_each(entries, path.parent)
    is_hashed = _is_split_by_hash(entries)
    clips = _group(entries)
    splits = {name: _build_split(name, clips, is_hashed=is_hashed) for name in ("train", "val", "test")}
    return Dataset(
        name="manifest",
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        video_folders=(path.parent,),
        asr_files=find_transcript_files(path.parent),
        has_paths=True,
    )


def hash_split(video: str) -> str:
    """`train`, `val` or `test` for a video by its path, the same on every machine: 80, 10 and 10 of a hundred."""
    digest = hashlib.sha256(PurePosixPath(video.replace("\\", "/")).as_posix().encode()).digest()
    percent = int.from_bytes(digest[:8], "big") % 100
    if percent < _TRAIN_PERCENT:
        return "train"
    return "val" if percent < _TRAIN_PERCENT + _VAL_PERCENT else "test"


def _manifest_path(root: Path) -> Path:
    if root.is_file():
        return root
    path = next((root / name for name in _NAMES if (root / name).is_file()), None)
    if path is None:
        raise UsageError(
            "there is no manifest",
            why=f"{root} is not a file and holds none of {', '.join(_NAMES)}",
            fix="give the file with `--root FILE`; `docs/datasets.md` shows its columns",
        )
    return path


def _csv_rows(path: Path) -> Iterator[Row]:
    header = read_text(path).partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal point.
    delimiter = max(",\t;", key=header.count)
    return read_table(path, columns=["video", "caption"], delimiter=delimiter)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for line, text in read_lines(path):
        value = parse_json(path, text, expected="a JSON object a line", line=line)
        if not isinstance(value, dict):
            raise wrong_content(path, line=line, expected="a JSON object a line", found=kind_of(value))
        for key in ("video", "caption"):
            if not isinstance(value.get(key), str):
                raise wrong_content(path, line=line, expected=f"a text as `{key}`", found=kind_of(value.get(key)))
        yield Row(path, line, {key: "" if cell is None else str(cell) for key, cell in value.items()})


def _entry(row: Row) -> _Entry:
    video = row.cells["video"].strip().replace("\\", "/")
    if not video:
        raise wrong_content(row.path, line=row.line, expected="a path as `video`", found="nothing")
    split = row.cells.get("split", "").strip().lower()
    if split and split not in _SPLITS:
        allowed = ", ".join(_SPLITS)
        raise wrong_content(row.path, line=row.line, expected=f"one of {allowed} as `split`", found=repr(split))
    return _Entry(
        row=row,
        video=PurePosixPath(video).as_posix(),
        span=_span(row),
        caption=Caption(row.cells["caption"].strip(), row.cells.get("group", "").strip()),
        split=_SPLITS.get(split, ""),
        clip_id=row.cells.get("clip_id", "").strip(),
    )


def _span(row: Row) -> Span | None:
    start, end = (row.cells.get(name, "").strip() for name in ("start_s", "end_s"))
    if not start and not end:
        return None
    try:
        span = Span(float(start or "nan"), float(end or "nan"))
    except ValueError as error:
        found = f"{start!r} and {end!r}"
        raise wrong_content(
            row.path, line=row.line, expected="seconds as `start_s` and `end_s`", found=found
        ) from error
    if not (0 <= span.start_s < span.end_s < math.inf):
        expected = "0 ≤ `start_s` < `end_s`, both or neither"
        raise wrong_content(row.path, line=row.line, expected=expected, found=f"{start!r} and {end!r}")
    return span


def _with_one_path_each(entries: Sequence[_Entry], folder: Path) -> list[_Entry]:
    """The entries with the relative path for a video that one row names by it and another by the absolute one."""
    videos = {entry.video for entry in entries}
    place = PurePosixPath(folder.absolute().as_posix())

    def relative(video: str) -> str:
        path = PurePosixPath(video)
        below = path.relative_to(place).as_posix() if path.is_relative_to(place) else video
        return below if below in videos else video

    return [replace(entry, video=relative(entry.video)) for entry in entries]


def _is_split_by_hash(entries: Sequence[_Entry]) -> bool:
    without = [entry for entry in entries if not entry.split]
    if without and len(without) < len(entries):
        row = without[0].row
        raise wrong_content(row.path, line=row.line, expected="a `split`, as other rows have one", found="nothing")
    return bool(without)


def _group(entries: Sequence[_Entry]) -> Mapping[str, Sequence[_Entry]]:
    """Entries by clip id, in the order of the file."""
    by_place: dict[tuple[str, Span | None], list[_Entry]] = {}
    for entry in entries:
        by_place.setdefault((entry.video, entry.span), []).append(entry)
    # Without its ending a path reads better and is how transcripts name it, unless two files differ only in that.
    stems = Counter(without_ending(video) for video in {entry.video for entry in entries})
    marks = Counter((video, _span_mark(span)) for video, span in by_place)
    clips: dict[str, Sequence[_Entry]] = {}
    for (video, span), group in by_place.items():
        stem = without_ending(video)
        # Six digits read well; spans that differ only behind them have all of theirs.
        mark = _span_mark(span, digits="g" if marks[video, _span_mark(span)] == 1 else "")
        clip_id = _clip_id(group) or (stem if stems[stem] == 1 else video) + mark
        if clip_id in clips:
            row, other = group[0].row, clips[clip_id][0].row
            expected = f"an id of its own for each video and span, as {clip_id!r} is that of line {other.line}"
            raise wrong_content(row.path, line=row.line, expected=expected, found="it again")
        clips[clip_id] = group
    return clips


def _clip_id(group: Sequence[_Entry]) -> str:
    """The id that the rows of a clip agree on, "" where they have none; they must agree on the split, too."""
    for entry in group[1:]:
        for name in ("clip_id", "split"):
            seen, first = getattr(entry, name), getattr(group[0], name)
            if seen != first:
                expected = f"{first!r} as `{name}`, as line {group[0].row.line} has it for the same clip"
                raise wrong_content(entry.row.path, line=entry.row.line, expected=expected, found=repr(seen))
    return group[0].clip_id


def _span_mark(span: Span | None, *, digits: str = "g") -> str:
    return "" if span is None else f"#t={span.start_s:{digits}},{span.end_s:{digits}}"


def _build_split(name: str, clips: Mapping[str, Sequence[_Entry]], *, is_hashed: bool) -> Split | None:
    own = {clip_id: group for clip_id, group in clips.items() if (group[0].split or hash_split(group[0].video)) == name}
    if not own:
        return None
    dropped: dict[str, list[str]] = {EMPTY_CAPTION: [], NO_CAPTION: []}
    built: list[DatasetClip] = []
    for clip_id, group in own.items():
        captions = tuple(entry.caption for entry in group if entry.caption.text)
        dropped[EMPTY_CAPTION] += [f"line {entry.row.line}" for entry in group if not entry.caption.text]
        if captions:
            built.append(DatasetClip(clip_id, captions, media=group[0].video, span=group[0].span))
        else:
            dropped[NO_CAPTION].append(clip_id)
    if not built:
        row = next(iter(own.values()))[0].row
        expected = f"a caption for at least one clip of the split {name}"
        raise wrong_content(row.path, line=row.line, expected=expected, found="blank ones only")
    return new_split(f"{name} by hash 80/10/10" if is_hashed else name, built, dropped)

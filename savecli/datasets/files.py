"""Annotation files: finding them below a folder, reading them exactly, and errors that name the line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from savecli.core.errors import UsageError
from savecli.datasets.endings import without_ending

_ANNOTATION_FOLDER = re.compile(r"(.*[_-])?(annotations?|anns?|data|metadata|splits?|captions?)", re.IGNORECASE)
# Half of what JSON writes as two, such as an emoji: text can be cut between them.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TRANSCRIPTS = re.compile(r"(.*[_.-])?asr([_.-].*)?\.json", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A row of a table, with the line it begins in."""

    path: Path
    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class SplitFile:
    """What a list of a split holds: ids in order, repeated ones too, and the sentences that stand beside them."""

    ids: tuple[str, ...]
    captions: Mapping[str, Sequence[str]]


def wrong_content(path: Path, *, line: int | None, expected: str, found: str, fix: str = "") -> UsageError:
    """The error for an annotation file that holds something else than it should."""
    place = f"{path}, line {line}" if line is not None else str(path)
    return UsageError(
        f"{path.name} cannot be read",
        why=f"{place}: expected {expected}; found {found}",
        fix=fix or "mend the file; `save data` shows what it should hold and where people get it",
    )


def annotation_folders(root: Path) -> tuple[Path, ...]:
    """The folder itself, then those right below it that are named as if they held annotations."""
    if not root.is_dir():
        raise UsageError(
            "the dataset has no folder",
            why=f"{root} is {'a file' if root.exists() else 'not there'}",
            fix="give the folder of its annotation files with `--root DIR`",
        )
    below = (path for path in root.iterdir() if _ANNOTATION_FOLDER.fullmatch(path.name) and path.is_dir())
    return (root, *sorted(below))


def find_file(root: Path, *names: str) -> Path | None:
    """The first of these names that is there, in the folder or, else, right below it.

    Raises:
        UsageError: several folders below hold it, as where datasets lie side by side.
    """
    folders = annotation_folders(root)
    for name in names:
        found = [folder / name for folder in folders if (folder / name).is_file()]
        if len(found) > 1 and found[0].parent != root:
            raise UsageError(
                f"{name} is there more than once",
                why=f"it is in {' and in '.join(str(path.parent) for path in found)}",
                fix=f"give one of these folders, e.g. `--root '{found[0].parent}'`",
            )
        if found:
            return found[0]
    return None


def need_file(root: Path, *names: str) -> Path:
    """As `find_file`, but one of them must be there."""
    path = find_file(root, *names)
    if path is None:
        looked = ", ".join(str(folder) for folder in annotation_folders(root))
        raise UsageError(
            f"{names[0]} is not there",
            why=f"none of {', '.join(names)} is in {looked}",
            fix="give the folder that holds it with `--root DIR`; `save data` lists the files of each dataset",
        )
    return path


def find_transcript_files(root: Path) -> tuple[Path, ...]:
    """Files such as `asr.json` or `msrvtt_asr.json` beside the annotations or in a folder `asr`."""
    folders = (*annotation_folders(root), *(path for path in (root / "asr", root / "ASR") if path.is_dir()))
    found = {path for folder in folders for path in folder.glob("*.json") if _TRANSCRIPTS.fullmatch(path.name)}
    return tuple(sorted(found))


def read_text(path: Path) -> str:
    """The file's text with `\\n` at its line ends; a byte order mark is cut off.

    Raises:
        UsageError: it cannot be opened or is not UTF-8; the first wrong line is named.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read", why=f"{path}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise wrong_content(
            path,
            line=line,
            expected="UTF-8",
            found=f"the byte 0x{data[error.start]:02x}",
            fix=f"if it is Latin-1: iconv -f latin1 -t utf-8 '{path}' > new && mv new '{path}'",
        ) from error
    return text.replace("\r\n", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, numbered from 1. Only a line feed ends one: captions may hold rarer separators."""
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            yield line, text


def read_table(path: Path, *, columns: Sequence[str], delimiter: str = ",") -> Iterator[Row]:
    """Rows of a CSV file with a header that has at least these columns."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if not cells:
                pass
            elif header is None:
                header = [cell.strip() for cell in cells]
                _check_header(path, header, columns)
            elif len(cells) != len(header):
                raise wrong_content(path, line=line, expected=f"{len(header)} columns", found=str(len(cells)))
            else:
                yield Row(path, line, dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise wrong_content(path, line=line, expected="a row of CSV", found=f"one with an error: {error}") from error
    if header is None:
        raise wrong_content(path, line=1, expected=f"a header with {', '.join(columns)}", found="an empty file")


def read_json(path: Path, *, expected: str) -> Any:
    """What a JSON file holds; `expected` says in words what it should, for the error."""
    return parse_json(path, read_text(path), expected=expected)


def parse_json(path: Path, text: str, *, expected: str, line: int | None = None) -> Any:
    """What a JSON text holds that is the whole file, or one line of it.

    Raises:
        UsageError: it is not JSON, holds half a character, or is more than can be taken in.
    """
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        line, found = line or error.lineno, f"what is not JSON: {error.msg}"
    except UnicodeEncodeError as error:
        found = f"half of a character: \\u{ord(error.object[error.start]):04x}"
    except RecursionError:
        found = "lists or objects nested too deep"
    except ValueError:  # Python's own limit of digits
        found = "a number that is too long"
    else:
        return value
    raise wrong_content(path, line=line, expected=expected, found=found)


def read_split_file(path: Path) -> SplitFile:
    """A split as it is listed: a text file of an id a line, or a CSV with `video_id` and perhaps `sentence`.

    With sentences a clip has as many rows as captions, so that its id is listed once here.
    """
    if path.suffix.lower() != ".csv":
        return SplitFile(tuple(_listed_id(path, line, text) for line, text in read_lines(path)), {})
    rows = list(read_table(path, columns=["video_id"]))
    if rows and "sentence" in rows[0].cells:
        captions = _captions(rows, "video_id", "sentence")
        return SplitFile(tuple(captions), captions)
    return SplitFile(tuple(_clip_id(row, "video_id") for row in rows), {})


def read_captioned_table(path: Path, *, columns: Sequence[str], id_column: str, text_column: str) -> SplitFile:
    """A CSV with an id and a sentence in each row; an id that comes twice is listed twice."""
    rows = list(read_table(path, columns=columns))
    ids = tuple(_clip_id(row, id_column) for row in rows)
    return SplitFile(ids, _captions(rows, id_column, text_column))


def kind_of(value: object) -> str:
    """What a JSON value is, in words for an error."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _clip_id(row: Row, column: str) -> str:
    return without_ending(row.cells[column].strip())


def _captions(rows: Sequence[Row], id_column: str, text_column: str) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in rows:
        captions.setdefault(_clip_id(row, id_column), []).append(row.cells[text_column])
    return captions


def _listed_id(path: Path, line: int, text: str) -> str:
    clip_id = text.strip()
    if len(clip_id.split()) != 1:
        raise wrong_content(path, line=line, expected="one id a line", found=repr(clip_id[:60]))
    return without_ending(clip_id)


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    found = ", ".join(header)[:120]
    if any(column not in header for column in columns):
        raise wrong_content(path, line=1, expected=f"a header with {', '.join(columns)}", found=found)
    if len(set(filter(None, header))) < len(list(filter(None, header))):
        raise wrong_content(path, line=1, expected="a header that names each column once", found=found)

"""An archive as a folder of Parquet files, and back. Nothing is lost on the way, and nothing is there by halves.

export.json        version of this format; rows of each table, bytes of each other file
archive.json       as in the archive: encoder, language, folders
NAME.parquet       one for each table, with its columns (`savecli.archive.schema`)
background_…, text_…   calibration and text side, as in the archive
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from savecli.archive.create import create_archive, create_text_indexes
from savecli.archive.draft import appearing, writing_told
from savecli.archive.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from savecli.archive.paths import real_path, stored_path
from savecli.archive.plan import is_below
from savecli.archive.schema import SCHEMA_VERSION
from savecli.archive.store import Archive
from savecli.archive.upkeep import finish
from savecli.core.errors import SaveError, UsageError

EXPORT_FILE = "export.json"
FORMAT = 1
# A clip takes up to some 10 kB.
ROWS_AT_A_TIME = 1024
BYTES_PER_ROW_GROUP = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Export:
    """What `export.json` says.

    Args:
        rows: of every table, by its name.
        files: bytes of every file beside the tables, by its path in the folder.
    """

    format: int = FORMAT
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


def export_archive(archive: Archive, folder: Path) -> Export:
    """Write everything the archive holds to `folder`, a batch of rows at a time.

    Needs `savecli.archive.lock.keeping_still`, for one state. Raises what `appearing` does.
    """
    with appearing(folder) as draft:
        rows = {name: _write_table(table, draft / f"{name}.parquet") for name, table in _tables(archive).items()}
        write_manifest(draft, archive.manifest)
        for path in _companions(archive.folder):
            (draft / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(archive.folder / path, draft / path)
        files = {path.as_posix(): (draft / path).stat().st_size for path in _companions(draft)}
        export = Export(rows=rows, files=files)
        (draft / EXPORT_FILE).write_text(json.dumps(asdict(export), indent=2) + "\n", encoding="utf-8")
    return export


def import_archive(folder: Path, target: Path, *, moved_roots: Mapping[Path, Path] | None = None) -> Export:
    """Make the archive `target` from what `export_archive` wrote to `folder`.

    Args:
        moved_roots: folders of videos that lie elsewhere now: the new place by the old one.

    Raises:
        UsageError: `target` is there and not empty, or a moved root is none of the archive's.
        SaveError: the export is incomplete, damaged, or of another version of save.
    """
    export = _checked_export(folder)
    manifest = _checked_manifest(folder)
    renamed = _renaming(moved_roots or {})
    roots = tuple(replace(root, path=renamed(root.path)) for root in manifest.roots)
    _check_moved(manifest, moved_roots or {})
    with appearing(target) as draft:
        archive = create_archive(draft)
        for record in (manifest.encoder, manifest.next_encoder):
            if record is not None:
                archive.make_vector_table(record)
        for name in export.rows:
            _read_table(archive, name, folder / f"{name}.parquet", renamed)
        for name in export.files:
            (draft / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, draft / name)
        archive.set_manifest(replace(manifest, roots=roots))
        create_text_indexes(archive.videos, archive.clips, language=manifest.language)
        finish(archive)
    return export


def _tables(archive: Archive) -> dict[str, Any]:
    """The tables that belong to the archive, by name; a killed run may have left others."""
    tables = {"videos": archive.videos, "clips": archive.clips, "failures": archive.failures}
    for record in (archive.manifest.encoder, archive.manifest.next_encoder):
        vectors = archive.vector_table(record)
        if vectors is not None:
            tables[vectors.name] = vectors
    return tables


def _companions(folder: Path) -> list[Path]:
    """Calibrations and text sides, relative to the folder."""
    found = [*folder.glob("background_*.npz"), *folder.glob("text_*/*")]
    return sorted(path.relative_to(folder) for path in found if path.is_file() and path.parent.suffix != ".tmp")


def _write_table(table: Any, path: Path) -> int:
    """The rows of a table as one file, its pages with checksums; returns how many."""
    num_rows = 0
    pending: list[pa.Table] = []
    with pq.ParquetWriter(path, table.schema, compression="zstd", write_page_checksum=True) as writer:
        for page in _pages(table):
            num_rows += page.num_rows
            pending.append(page)
            if sum(held.nbytes for held in pending) >= BYTES_PER_ROW_GROUP:
                _write_group(writer, pending)
        _write_group(writer, pending)
    assert num_rows == table.count_rows()
    return num_rows


def _pages(table: Any) -> Iterator[pa.Table]:
    """All rows in order. One scan would do, but LanceDB lets it read 2 GB ahead."""
    start = 0
    while (page := table.search().offset(start).limit(ROWS_AT_A_TIME).to_arrow()).num_rows:
        start += page.num_rows
        yield page.select(table.schema.names)


def _write_group(writer: pq.ParquetWriter, pending: list[pa.Table]) -> None:
    if pending:
        group = pa.concat_tables(pending)
        writer.write_table(group, row_group_size=group.num_rows)
        pending.clear()


def _checked_export(folder: Path) -> Export:
    """What an export says of itself, after a look at whether all of it is there."""
    try:
        export = Export(**json.loads((folder / EXPORT_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} is not an exported archive", why=f"it has no {EXPORT_FILE}", fix="save archive export FOLDER"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder / EXPORT_FILE, str(error)) from error
    if export.format > FORMAT:
        raise SaveError(
            f"{folder} was exported by a newer version of save",
            why=f"its format is {export.format}; this version reads up to {FORMAT}",
            fix="upgrade: `pip install --upgrade savecli`",
        )
    for name, size_bytes in export.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise _damaged(folder / EXPORT_FILE, f"it names {name!r}")
        if not path.is_file() or path.stat().st_size != size_bytes:
            raise _damaged(path, "it is missing or of another size than when it was written")
    for name, num_rows in export.rows.items():
        path = folder / f"{name}.parquet"
        with _damage_told(path), pq.ParquetFile(path) as file:
            if file.metadata.num_rows != num_rows:
                raise _damaged(path, f"it has {file.metadata.num_rows} rows instead of {num_rows}")
    return export


def _checked_manifest(folder: Path) -> Manifest:
    """What the exported archive knew of itself; an older one would have to be migrated with its tables."""
    with _damage_told(folder / FILE_NAME):
        version = int(json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["schema_version"])
    if version < SCHEMA_VERSION:
        raise SaveError(
            f"{folder} was exported by an older version of save",
            why=f"its schema is {version}; this version writes {SCHEMA_VERSION}",
            fix="import it with the version that exported it; this version then opens the archive",
        )
    return read_manifest(folder)


def _read_table(archive: Archive, name: str, path: Path, renamed: Callable[[str], str]) -> None:
    """Fill a table from its file, a batch at a time and in one commit."""
    if name not in archive.table_names():
        raise _damaged(path, "the archive has no such table")
    table = archive.open_table(name)
    with _damage_told(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        found, wanted = file.schema_arrow, table.schema
        if [(column.name, column.type) for column in found] != [(column.name, column.type) for column in wanted]:
            raise SaveError(
                f"{path} does not fit this version of save",
                why=f"its columns are {', '.join(found.names)}",
                fix="import it with the version that exported it, or index the videos again",
            )
        if file.metadata.num_rows == 0:
            return
        damage: list[SaveError] = []
        batches = _noting((_moved(batch, renamed).cast(wanted) for batch in _batches(file)), path, damage)
        try:
            with writing_told(archive.folder.parent):
                table.add(pa.RecordBatchReader.from_batches(wanted, batches), on_bad_vectors="null")
        except SaveError:
            if damage:
                raise damage[0] from None
            raise


def _noting(batches: Iterator[pa.RecordBatch], path: Path, damage: list[SaveError]) -> Iterator[pa.RecordBatch]:
    """The batches; why one cannot be read is put down in `damage`, as LanceDB tells it as a failure to write."""
    try:
        with _damage_told(path):
            yield from batches
    except SaveError as error:
        damage.append(error)
        raise


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """All rows in order, a row group in memory at a time; `iter_batches` reads further ahead."""
    for group in range(file.num_row_groups):
        yield from file.read_row_group(group).to_batches(ROWS_AT_A_TIME)


def _moved(batch: pa.RecordBatch, renamed: Callable[[str], str]) -> pa.RecordBatch:
    """The batch with its paths as they are now."""
    for name in ("path", "root"):
        if name in batch.schema.names:
            column = batch.schema.get_field_index(name)
            values = [text and renamed(text) for text in batch.column(column).to_pylist()]
            batch = batch.set_column(column, batch.schema.field(column), pa.array(values, pa.string()))
    return batch


def _renaming(moved_roots: Mapping[Path, Path]) -> Callable[[str], str]:
    """What a stored path reads once its root has moved; the innermost root decides."""
    by_length = sorted(moved_roots.items(), key=lambda pair: -len(pair[0].parts))

    def renamed(path: str) -> str:
        for old, new in by_length:
            if is_below(path, [old]):
                return stored_path(new / real_path(path).relative_to(old))
        return path

    return renamed


def _check_moved(manifest: Manifest, moved_roots: Mapping[Path, Path]) -> None:
    """A part of a root cannot move: no run would look for its videos in the new place, as that is no root."""
    known = [root.path for root in manifest.roots]
    for old in moved_roots:
        if not any(is_below(path, [old]) for path in known):
            raise UsageError(
                f"{old} is no folder of this archive",
                why=f"its folders are {', '.join(known) or 'none'}",
                fix="write `--root OLD=NEW` with one of these as OLD",
            )


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing") from error
    except (pa.ArrowException, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error


def _damaged(path: Path, why: str) -> SaveError:
    return SaveError(f"{path} is damaged", why=why, fix="copy the export again, or export again: `save archive export`")

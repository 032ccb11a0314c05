"""What an archive holds and what it takes, table by table; reads no media and loads no model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from savecli.archive.calibration import read_calibration
from savecli.archive.contents import ArchiveContents, archive_contents
from savecli.archive.disk import size_on_disk
from savecli.archive.manifest import EncoderRecord
from savecli.archive.reencoding import Reencoding, unfinished_reencoding
from savecli.archive.store import Archive
from savecli.archive.text_side import read_text_files

TextSide = Literal["onnxruntime", "torch", "missing", "none"]


@dataclass(frozen=True)
class IndexFacts:
    """An index of a table.

    Args:
        kind: as LanceDB names it: `FTS`, `BTree`, `IvfRq`.
        num_unindexed: rows it does not know yet, which a query searches one by one.
    """

    column: str
    kind: str
    num_unindexed: int


@dataclass(frozen=True)
class TableFacts:
    """A table on disk.

    Args:
        num_fragments: files of rows; every commit adds one until they are compacted.
        num_versions: states that can still be read; all but the newest are dropped by a compaction an hour later.
    """

    name: str
    num_rows: int
    size_bytes: int
    num_fragments: int
    num_versions: int
    indexes: tuple[IndexFacts, ...]


@dataclass(frozen=True, kw_only=True)
class ArchiveFacts:
    """What an archive holds, and how.

    Args:
        reencoding: how far it has come; None when the archive has one encoder.
        text_side: what answers a query: files of the archive, torch, nothing yet, or no vectors at all.
        is_calibrated: whether a hit of the vectors can be believed.
    """

    contents: ArchiveContents
    schema_version: int
    reencoding: Reencoding | None
    text_side: TextSide
    is_calibrated: bool
    tables: tuple[TableFacts, ...]


def archive_facts(archive: Archive) -> ArchiveFacts:
    """What the archive holds at this moment, table by table."""
    record = archive.manifest.encoder
    return ArchiveFacts(
        contents=archive_contents(archive),
        schema_version=archive.manifest.schema_version,
        reencoding=unfinished_reencoding(archive),
        text_side=_text_side(archive, record),
        is_calibrated=record is not None and record.dimension > 0 and read_calibration(archive, record) is not None,
        tables=tuple(_table_facts(archive.open_table(name), name) for name in archive.table_names()),
    )


def _table_facts(table: Any, name: str) -> TableFacts:
    stats = table.stats()
    folder = Path(table.uri)
    indexes = [
        IndexFacts(index.columns[0], index.index_type, table.index_stats(index.name).num_unindexed_rows)
        for index in table.list_indices()
    ]
    return TableFacts(
        name=name,
        num_rows=stats["num_rows"],
        size_bytes=size_on_disk(folder),
        num_fragments=stats["fragment_stats"]["num_fragments"],
        num_versions=len(list((folder / "_versions").glob("*.manifest"))),
        indexes=tuple(sorted(indexes, key=lambda index: index.column)),
    )


def _text_side(archive: Archive, record: EncoderRecord | None) -> TextSide:
    if record is None or record.dimension == 0:
        return "none"
    files = read_text_files(archive.folder, record)
    if files is None:
        return "missing"
    return "torch" if files.obstacle else "onnxruntime"

"""What an archive holds and what it takes, table by table; reads no media and loads no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from savecli.archive.calibration import read_calibration
from savecli.archive.disk import size_on_disk
from savecli.archive.manifest import EncoderRecord
from savecli.archive.paths import real_path
from savecli.archive.plan import is_gone
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


@dataclass(frozen=True)
class RootFacts:
    """A folder or file that was given to `save index`, and whether it is there now."""

    path: Path
    is_offline: bool


@dataclass(frozen=True, kw_only=True)
class ArchiveContents:
    """What an archive holds, as far as it can be told without looking into its tables.

    Args:
        num_videos: files; copies count each.
        hours: of different contents.
        next_encoder: whose vectors an unfinished re-encoding is filling in.
        speech_sources: how many different contents have their words from each kind of source.
    """

    folder: Path
    num_videos: int
    num_missing: int
    num_failed: int
    num_clips: int
    hours: float
    language: str
    encoder: EncoderRecord | None
    next_encoder: EncoderRecord | None
    speech_sources: dict[str, int]
    size_bytes: int
    roots: tuple[RootFacts, ...]

    @property
    def bytes_per_clip(self) -> int:
        """Of everything the archive has on disk; 0 without clips."""
        return round(self.size_bytes / self.num_clips) if self.num_clips else 0


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


def archive_contents(archive: Archive) -> ArchiveContents:
    """What the archive holds at this moment."""
    rows = archive.video_rows(columns=["path", "video_id", "duration_s", "is_missing", "speech_source"])
    contents = {row.video_id: row for row in rows}.values()
    manifest = archive.manifest
    roots = [(real_path(root.path), root.is_offline) for root in manifest.roots]
    return ArchiveContents(
        folder=archive.folder,
        num_videos=len(rows),
        num_missing=sum(row.is_missing for row in rows),
        num_failed=archive.failures.count_rows(),
        num_clips=archive.clips.count_rows(),
        hours=sum(row.duration_s for row in contents) / 3600,
        language=manifest.language,
        encoder=manifest.encoder,
        next_encoder=manifest.next_encoder,
        speech_sources=dict(sorted(Counter(row.speech_source.partition(":")[0] for row in contents).items())),
        size_bytes=size_on_disk(archive.folder),
        roots=tuple(RootFacts(path, is_offline or is_gone(path)) for path, is_offline in roots),
    )


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

"""Keeping an archive fast: compaction, text indexes in the right language, a vector index when it is large."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from lancedb.index import Bitmap, BTree, IvfRq

from savecli.archive.analyzer import STEMMED_LANGUAGES, index_language
from savecli.archive.create import create_text_indexes
from savecli.archive.disk import size_on_disk
from savecli.archive.store import KEEP_VERSIONS, Archive

log = logging.getLogger(__name__)

# Below this a flat scan is exact and takes a few milliseconds.
MIN_ROWS_FOR_VECTOR_INDEX = 50_000
# With one bit of each number 0.94 of the best were among 200 candidates of a million clips, however much of the index
# was looked through; with four, 0.99, without reading a vector to make sure (benchmarks/RESULTS.md).
_BITS_PER_NUMBER = 4
MIN_ROWS_FOR_KEY_INDEX = 10_000
# When a table is compacted; see `is_due`. Merges (a row of `videos`) slow down with every small fragment: 17 ms at 100
# of them, 326 ms at 2,000.
MAX_SMALL_FRAGMENTS = 40
ROWS_PER_FRAGMENT = 2_000
REWRITES = 8
# A search goes through rows that no index knows one by one: about 12 us each for words, 0.5 us for vectors.
MAX_UNINDEXED_TEXTS = 2_000
MAX_UNINDEXED_ROWS = 20_000
MIN_HISTORY_BYTES = 1 << 20
# Not zero, of which LanceDB warns: nobody else writes, and the command says what it does to readers.
DROP_AT_ONCE = timedelta(milliseconds=1)


def optimise(archive: Archive) -> None:
    """Compact the tables that need it in the middle of a run. A kill while this runs leaves the tables as they were."""
    _compact_due(archive, is_end=False)


def finish(archive: Archive) -> None:
    """What a completed index run ends with."""
    _follow_language(archive)
    _compact_due(archive, is_end=True)
    _index_keys(archive)
    vectors = archive.vector_table(archive.manifest.encoder)
    if vectors is not None:
        index_vectors(vectors)


def optimise_all(archive: Archive) -> None:
    """Write every table as few whole fragments, make its indexes anew, and drop all older versions.

    Takes as long as writing the archive once, and needs its size once more while it runs. A query that runs in
    another process at this moment may fail; the next one will not.
    """
    create_text_indexes(archive.videos, archive.clips, language=archive.manifest.language)
    _index_keys(archive)
    for name in archive.table_names():
        table = archive.open_table(name)
        for column in ("seen", "said"):
            _renew_vector_index(table, column)
        # Rows that the indexes did not know are first compacted apart from the others, then with them.
        for _ in range(3):
            _compact(table, keep=DROP_AT_ONCE, delete_unverified=True)
    _sync()


def index_vectors(table: Any) -> None:
    """Build the vector indexes of an encoder, where there is enough for one."""
    for column in ("seen", "said"):
        _index_vectors(table, column)


def is_due(table: Any, *, is_end: bool) -> bool:
    """Whether compacting a table is worth what it costs.

    LanceDB compacts, indexes and cleans up only together, and mostly rewrites every fragment below a million rows. So
    a table is left alone until much of it is new: then what is rewritten stays within eight times the rows that were
    added or deleted, or within `ROWS_PER_FRAGMENT` for each commit.

    Args:
        is_end: a run ends here, and queries follow: also what would slow them down is due, once a run.
    """
    stats = table.stats()
    num_rows, fragments = stats["num_rows"], stats["fragment_stats"]
    share = num_rows // REWRITES
    num_deleted = fragments["lengths"]["mean"] * fragments["num_fragments"] - num_rows
    if fragments["num_small_fragments"] > MAX_SMALL_FRAGMENTS + num_rows // ROWS_PER_FRAGMENT or num_deleted > share:
        return True
    for index in table.list_indices():
        unindexed = table.index_stats(index.name).num_unindexed_rows
        slow = MAX_UNINDEXED_TEXTS if index.index_type == "FTS" else MAX_UNINDEXED_ROWS
        is_of_keys = index.index_type in ("BTree", "Bitmap")
        if unindexed > (min(slow, share) if is_end and not is_of_keys else max(slow, share)):
            return True
    return is_end and _is_mostly_history(table, stats["total_bytes"])


def _is_mostly_history(table: Any, live_bytes: int) -> bool:
    """Whether versions nobody reads any more take over twice the room of the present one."""
    folder = Path(table.uri)
    versions = [path.stat().st_mtime for path in (folder / "_versions").glob("*.manifest")]
    is_old = bool(versions) and time.time() - min(versions) > KEEP_VERSIONS.total_seconds()
    return is_old and size_on_disk(folder) > max(3 * live_bytes, MIN_HISTORY_BYTES)


def _compact_due(archive: Archive, *, is_end: bool) -> None:
    due = [table for table in map(archive.open_table, archive.table_names()) if is_due(table, is_end=is_end)]
    for table in due:
        _compact(table, keep=KEEP_VERSIONS)
    _sync()


def _compact(table: Any, *, keep: timedelta, delete_unverified: bool = False) -> None:
    table.checkout_latest()
    _retried(partial(table.optimize, cleanup_older_than=keep, delete_unverified=delete_unverified))


def _sync() -> None:
    if hasattr(os, "sync"):
        os.sync()  # LanceDB never syncs: without this a power cut could lose what was reported as done


def _follow_language(archive: Archive) -> None:
    """Stem in the language most transcripts have."""
    rows = archive.video_rows(columns=["path", "video_id", "language"])
    if not any(row.language in STEMMED_LANGUAGES for row in rows):
        return
    language = index_language(row.language for row in rows)
    if language != archive.manifest.language:
        create_text_indexes(archive.videos, archive.clips, language=language)
        archive.set_manifest(replace(archive.manifest, language=language))


def _index_keys(archive: Archive) -> None:
    for name in archive.table_names():
        table = archive.open_table(name)
        if table.count_rows() < MIN_ROWS_FOR_KEY_INDEX:
            continue
        if name == "videos":
            _index_key(table, "video_id", BTree())
        elif name.startswith(("clips", "vectors_")):
            _index_key(table, "clip_id", BTree())
            # A filter is a list of videos, each with many clips: a bitmap finds them in a tenth of a tree's time.
            _index_key(table, "video_id", Bitmap())


def _index_key(table: Any, column: str, config: BTree | Bitmap) -> None:
    if not _index_names(table, column):
        table.create_index(column, config=config)


def _index_vectors(table: Any, column: str) -> None:
    """Build the vector index, and build it anew when the rows have doubled: it keeps its few partitions.

    The index carries the rows it was built on in its name, as LanceDB does not remember them.
    """
    built_at = [int(name.rpartition("_")[2]) for name in _index_names(table, column)]
    enough = max([MIN_ROWS_FOR_VECTOR_INDEX, *(2 * rows for rows in built_at)])
    if table.count_rows() < enough:  # known without reading anything, as most often suffices
        return
    num_rows = table.count_rows(f"{column} IS NOT NULL")
    if num_rows >= enough:
        _build_vector_index(table, column, num_rows)


def _renew_vector_index(table: Any, column: str) -> None:
    """Build the vector index anew where there is one, or drop it where few rows are left."""
    names = _index_names(table, column)
    num_rows = table.count_rows(f"{column} IS NOT NULL") if names else 0
    if num_rows >= MIN_ROWS_FOR_VECTOR_INDEX:
        _build_vector_index(table, column, num_rows)
        return
    for name in names:
        table.drop_index(name)


def _build_vector_index(table: Any, column: str, num_rows: int) -> None:
    """Build it in one step beside the old one, which answers until then."""
    old = _index_names(table, column)
    partitions = max(16, round(num_rows**0.5))
    config = IvfRq(distance_type="cosine", num_partitions=partitions, num_bits=_BITS_PER_NUMBER)
    name = f"{column}_built_at_{num_rows}"
    table.create_index(column, config=config, name=name, replace=name in old)
    for other in old:
        if other != name:
            table.drop_index(other)
    log.info("built the vector index of %s: %d rows, %d partitions", column, num_rows, partitions)


def _index_names(table: Any, column: str) -> list[str]:
    return [index.name for index in table.list_indices() if index.columns == [column]]


def _retried(action: Callable[[], object], *, attempts: int = 4) -> None:
    """Compaction loses against a commit made at the same moment; it is only put off, so try again."""
    for attempt in range(attempts):
        try:
            action()
            return
        except RuntimeError as error:
            if "conflict" not in str(error).lower() or attempt == attempts - 1:
                raise
            time.sleep(0.1 * 2**attempt)

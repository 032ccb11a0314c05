"""Keeping an archive fast: compaction, text indexes in the right language, a vector index when it is large."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from lancedb.index import BTree, IvfRq

from savecli.archive.analyzer import STEMMED_LANGUAGES, index_language
from savecli.archive.create import create_text_indexes
from savecli.archive.store import KEEP_VERSIONS, Archive

log = logging.getLogger(__name__)

# Below this a flat scan is exact and takes a few milliseconds; above it IVF_RQ is built in seconds and found
# 0.99 of the true neighbours with the probes that `search` uses.
MIN_ROWS_FOR_VECTOR_INDEX = 50_000
MIN_ROWS_FOR_KEY_INDEX = 20_000


def optimise(archive: Archive) -> None:
    """Merge small files, bring indexes up to date, drop versions nobody reads, and ask the disk to keep it all.

    A kill while this runs leaves the tables as they were.
    """
    for name in archive.table_names():
        table = archive.open_table(name)
        table.checkout_latest()
        _retried(partial(table.optimize, cleanup_older_than=KEEP_VERSIONS))
    if hasattr(os, "sync"):
        os.sync()  # LanceDB never syncs: without this a power cut could lose what was reported as done


def finish(archive: Archive) -> None:
    """What a completed index run ends with."""
    _follow_language(archive)
    optimise(archive)
    _index_keys(archive)
    tables = archive.vector_tables(archive.manifest.encoder)
    if tables is not None:
        for column in ("seen", "said"):
            _index_vectors(tables.vectors, column)


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
        if name.startswith(("clips", "vectors_", "frames_")):
            table = archive.open_table(name)
            if table.count_rows() >= MIN_ROWS_FOR_KEY_INDEX and not _has_index(table, "video_id"):
                table.create_index("video_id", config=BTree())


def _index_vectors(table: Any, column: str) -> None:
    """Build the vector index, and build it anew when the rows have doubled: it keeps its few partitions.

    The index carries the rows it was built on in its name, as LanceDB does not remember them.
    """
    num_rows = table.count_rows(f"{column} IS NOT NULL")
    if num_rows < MIN_ROWS_FOR_VECTOR_INDEX:
        return
    old = [index.name for index in table.list_indices() if index.columns == [column]]
    if any(num_rows < 2 * int(name.rpartition("_")[2]) for name in old):
        return
    partitions = max(16, round(num_rows**0.5 / 2))
    config = IvfRq(distance_type="cosine", num_partitions=partitions)
    table.create_index(column, config=config, name=f"{column}_built_at_{num_rows}", replace=False)
    for name in old:
        table.drop_index(name)
    log.info("built the vector index of %s: %d rows, %d partitions", column, num_rows, partitions)


def _has_index(table: Any, column: str) -> bool:
    return any(index.columns == [column] for index in table.list_indices())


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

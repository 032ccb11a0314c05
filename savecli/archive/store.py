"""The archive on disk: opening it, reading it, and committing a video whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import pyarrow as pa

from savecli.archive.manifest import FILE_NAME, EncoderRecord, Manifest, read_manifest, write_manifest
from savecli.archive.schema import (
    CLIPS,
    FAILURES,
    VIDEOS,
    ClipRow,
    FailureRow,
    VideoRow,
    clip_from_dict,
    clip_to_dict,
    vectors_schema,
    video_from_dict,
)
from savecli.archive.tables import distinct, sql_in
from savecli.archive.text_side import drop_text_sides_of_others
from savecli.archive.vector_rows import vector_rows
from savecli.core.errors import SaveError
from savecli.core.records import ClipEmbedding

Made = TypeVar("Made")

# LanceDB scans one thread per batch: 8,192 rows keep a flat search five times faster than one huge batch.
ROWS_PER_BATCH = 8192
_READERS = 4
# Versions younger than this stay, so that a query in another process keeps the files it has open.
KEEP_VERSIONS = timedelta(hours=1)


class NoArchive(SaveError):
    """There is no archive where one was looked for."""


class Archive:
    """An open archive. Reading is safe beside a writer; writing needs `savecli.archive.lock.writing`."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._open_vectors: dict[str, Any] = {}
        self._of_videos: dict[Callable[..., Any], tuple[tuple[Hashable, ...], Any]] = {}
        self._db = lancedb.connect(str(folder), read_consistency_interval=timedelta(0))
        try:
            self.videos = self._db.open_table("videos")
            self.clips = self._db.open_table("clips")
            self.failures = self._db.open_table("failures")
        except Exception as error:  # LanceDB raises several unrelated types for a damaged table
            raise SaveError(
                f"a table of the archive {folder} cannot be opened",
                why=str(error).splitlines()[0],
                fix=f"save archive repair --archive {folder}",
            ) from error

    def set_manifest(self, manifest: Manifest) -> None:
        """Write a new manifest; the archive uses it from now on."""
        write_manifest(self.folder, manifest)
        self.manifest = manifest

    # Reading

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for reading several tables at a time; to make new ones for every query takes longer than it saves."""
        return ThreadPoolExecutor(_READERS, thread_name_prefix="archive")

    def of_videos(self, make: Callable[..., Made], *about: Hashable) -> Made:
        """What `make(archive, *about)` reads from the table `videos`, kept until the table or the question changes."""
        asked = (self.videos.version, *about)
        held = self._of_videos.get(make)
        if held is None or held[0] != asked:
            held = (asked, make(self, *about))
            self._of_videos[make] = held
        made: Made = held[1]
        return made

    def vector_table(self, encoder: EncoderRecord | None) -> Any | None:
        """The table `encoder` has filled; None for an encoder without vectors, or before its first run."""
        if encoder is None or encoder.dimension == 0:
            return None
        name = _vector_table_name(encoder)
        if name not in self._open_vectors:
            if name not in self.table_names():
                return None
            table = self._db.open_table(name)
            if table.schema.names != vectors_schema(encoder.dimension).names:  # an older form
                return None
            self._open_vectors[name] = table
        return self._open_vectors[name]

    def video_rows(self, where: str | None = None, *, columns: Sequence[str] | None = None) -> list[VideoRow]:
        """Rows of `videos`, all of them unless an SQL condition narrows it; without the transcript text by default."""
        columns = columns or [name for name in VIDEOS.names if name != "transcript"]
        query = self.videos.search().select(list(columns))
        if where:
            query = query.where(where)
        return [video_from_dict(row) for row in query.to_list()]

    def clip_rows(self, where: str) -> list[ClipRow]:
        """Clips an SQL condition selects, by video and time."""
        rows = self.clips.search().where(where).to_list()
        return sorted(map(clip_from_dict, rows), key=lambda clip: (clip.video_id, clip.clip_idx))

    def failure_rows(self) -> list[FailureRow]:
        """What could not be indexed, by path."""
        rows = self.failures.search().to_list()
        return sorted((FailureRow(**row) for row in rows), key=lambda failure: failure.path)

    # Writing

    def make_vector_table(self, encoder: EncoderRecord) -> Any | None:
        """The table for `encoder` to fill, made where there is none; None for an encoder without vectors."""
        if encoder.dimension == 0:
            return None
        if self.vector_table(encoder) is None:
            schema = vectors_schema(encoder.dimension)
            self._db.create_table(_vector_table_name(encoder), schema=schema, mode="overwrite")
        return self.vector_table(encoder)

    def commit_video(
        self,
        video: VideoRow,
        clips: Sequence[ClipRow],
        embeddings: Sequence[ClipEmbedding],
        vectors: Any | None,
    ) -> None:
        """Write a video's vectors, then its clips, then the row that makes it part of the archive.

        A kill in between leaves rows without a video row, which no search shows and `drop_orphans` removes.
        """
        if vectors is not None:
            self.add_vectors(clips, embeddings, vectors)
        _add(self.clips, map(clip_to_dict, clips), CLIPS)
        self.put_videos([video])

    def add_vectors(self, clips: Sequence[ClipRow], embeddings: Sequence[ClipEmbedding], vectors: Any) -> None:
        """Write the embeddings of a whole video in one commit to the table of their encoder."""
        _add(vectors, vector_rows(clips, embeddings), vectors.schema)

    def put_videos(self, rows: Sequence[VideoRow], *, gone: Sequence[str] = ()) -> None:
        """Insert or replace rows of `videos` by path and drop the rows of paths `gone`, all in one commit."""
        if not rows and not gone:
            return
        batch = pa.Table.from_pylist([asdict(row) for row in rows], schema=VIDEOS)
        merge = self.videos.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
        if gone:
            merge = merge.when_not_matched_by_source_delete(sql_in("path", gone))
        merge.execute(batch)

    def drop_videos(self, paths: Sequence[str]) -> None:
        """Delete rows of `videos`, and whatever belongs to contents that no other file has."""
        if paths:
            gone = {row.video_id for row in self.video_rows(sql_in("path", paths), columns=["path", "video_id"])}
            self.videos.delete(sql_in("path", paths))
            self.drop_unused_contents(gone)

    def drop_unused_contents(self, video_ids: Iterable[str]) -> None:
        """Delete clips and vectors of those contents that no file has any more."""
        ids = set(video_ids)
        used = {row.video_id for row in self.video_rows(sql_in("video_id", ids), columns=["path", "video_id"])}
        if not ids - used:
            return
        for name in self._content_tables():
            self._db.open_table(name).delete(sql_in("video_id", ids - used))

    def drop_orphans(self) -> None:
        """Remove what a killed run left without a video row.

        Vectors of a re-encoding that was killed belong to videos that have a row: they stay and are not made again.
        """
        found = {
            video_id for name in self._content_tables() for video_id in distinct(self.open_table(name), "video_id")
        }
        self.drop_unused_contents(found)

    def put_failure(self, failure: FailureRow) -> None:
        """Insert or replace a failure by path."""
        batch = pa.RecordBatch.from_pylist([asdict(failure)], schema=FAILURES)
        self.failures.merge_insert("path").when_matched_update_all().when_not_matched_insert_all().execute(batch)

    def drop_failures(self, paths: Sequence[str]) -> None:
        """Forget failures."""
        if paths:
            self.failures.delete(sql_in("path", paths))

    def drop_vectors_of_others(self, record: EncoderRecord) -> None:
        """Delete the vectors, calibrations and text sides of every encoder but this one."""
        self._open_vectors.clear()
        own = {self.videos.name, self.clips.name, self.failures.name, _vector_table_name(record)}
        for name in set(self.table_names()) - own:  # tables of older versions are among them
            self._db.drop_table(name)
        for path in self.folder.glob("background_*.npz"):
            if not path.stem.endswith(record.fingerprint[:12]):
                path.unlink()
        drop_text_sides_of_others(self.folder, record)

    def table_names(self) -> list[str]:
        """Names of the tables on disk; a folder that a kill left before its first commit is not one yet."""
        manifests = self.folder.glob("*.lance/_versions/*.manifest")
        return sorted({path.parent.parent.name.removesuffix(".lance") for path in manifests})

    def open_table(self, name: str) -> Any:
        """A LanceDB table by name."""
        return self._db.open_table(name)

    def _content_tables(self) -> list[str]:
        return [name for name in self.table_names() if name == "clips" or name.startswith("vectors_")]


def open_archive(folder: Path) -> Archive:
    """The archive in `folder`.

    Raises:
        NoArchive: there is none.
        SaveError: it is damaged, or newer than this version of save.
    """
    if not (folder / FILE_NAME).exists():
        raise NoArchive(
            f"there is no archive at {folder}",
            why="nothing has been indexed there yet",
            fix=f"save index VIDEOS --archive {folder}",
        )
    return Archive(folder, read_manifest(folder))


def _vector_table_name(encoder: EncoderRecord) -> str:
    return f"vectors_{encoder.fingerprint[:12]}"


def _add(table: Any, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Append rows in one commit."""
    rows = list(rows)
    if rows:
        table.add(pa.Table.from_batches(_batches(rows, schema)), on_bad_vectors="null")


def _batches(rows: list[dict[str, Any]], schema: pa.Schema) -> list[pa.RecordBatch]:
    starts = range(0, len(rows), ROWS_PER_BATCH)
    return [pa.RecordBatch.from_pylist(rows[start : start + ROWS_PER_BATCH], schema=schema) for start in starts]

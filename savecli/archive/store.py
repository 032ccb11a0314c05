"""The archive on disk: opening it, reading it, and committing a video whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from savecli.archive.manifest import FILE_NAME, EncoderRecord, Manifest, read_manifest, write_manifest
from savecli.archive.packing import PackedClip, pack_vectors
from savecli.archive.schema import (
    CLIPS,
    FAILURES,
    FRAMES,
    VIDEOS,
    ClipRow,
    FailureRow,
    VideoRow,
    clip_from_dict,
    clip_to_dict,
    vectors_schema,
    video_from_dict,
)
from savecli.archive.text_side import drop_text_sides_of_others
from savecli.core.errors import SaveError
from savecli.core.records import ClipEmbedding, SensePart

Made = TypeVar("Made")

# LanceDB scans one thread per batch: 8,192 rows keep a flat search five times faster than one huge batch.
ROWS_PER_BATCH = 8192
# Versions younger than this stay, so that a query in another process keeps the files it has open.
KEEP_VERSIONS = timedelta(hours=1)


class NoArchive(SaveError):
    """There is no archive where one was looked for."""


@dataclass(frozen=True)
class VectorTables:
    """The tables that one encoder fills; both are absent for an encoder without vectors."""

    vectors: Any
    frames: Any


class Archive:
    """An open archive. Reading is safe beside a writer; writing needs `savecli.archive.lock.writing`."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._open_vectors: dict[tuple[str, str], VectorTables] = {}
        self._of_videos: dict[Callable[[Any], Any], tuple[int, Any]] = {}
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

    def of_videos(self, make: Callable[[Any], Made]) -> Made:
        """What `make`, a function, reads from the table `videos`, kept until the table changes."""
        version = self.videos.version
        held = self._of_videos.get(make)
        if held is None or held[0] != version:
            held = (version, make(self.videos))
            self._of_videos[make] = held
        made: Made = held[1]
        return made

    def vector_tables(self, encoder: EncoderRecord | None) -> VectorTables | None:
        """The tables `encoder` has filled; None for an encoder without vectors, or before its first run."""
        if encoder is None or encoder.dimension == 0:
            return None
        names = _vector_table_names(encoder)
        if names not in self._open_vectors:
            if not set(names) <= set(self.table_names()):
                return None
            tables = VectorTables(*map(self._db.open_table, names))
            if tables.frames.schema.names != FRAMES.names:
                return None
            self._open_vectors[names] = tables
        return self._open_vectors[names]

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

    def make_vector_tables(self, encoder: EncoderRecord) -> VectorTables | None:
        """The tables for `encoder` to fill, made where they do not exist; None for an encoder without vectors."""
        if encoder.dimension == 0:
            return None
        if self.vector_tables(encoder) is None:  # or one of them, left by a kill, or both in an older form
            for name, schema in zip(
                _vector_table_names(encoder), (vectors_schema(encoder.dimension), FRAMES), strict=True
            ):
                self._db.create_table(name, schema=schema, mode="overwrite")
        return self.vector_tables(encoder)

    def commit_video(
        self,
        video: VideoRow,
        clips: Sequence[ClipRow],
        embeddings: Sequence[ClipEmbedding],
        tables: VectorTables | None,
    ) -> None:
        """Write a video's vectors, then its clips, then the row that makes it part of the archive.

        A kill in between leaves rows without a video row, which no search shows and `drop_orphans` removes.
        """
        if tables is not None:
            self.add_vectors(clips, embeddings, tables)
        _add(self.clips, map(clip_to_dict, clips), CLIPS)
        self.put_videos([video])

    def add_vectors(self, clips: Sequence[ClipRow], embeddings: Sequence[ClipEmbedding], tables: VectorTables) -> None:
        """Write the embeddings of a whole video; the last commit, to `vectors`, is what counts."""
        dimension = tables.vectors.schema.field("seen").type.list_size
        _add(tables.frames, _frame_rows(clips, embeddings), FRAMES)
        _add(tables.vectors, _vector_rows(clips, embeddings), vectors_schema(dimension))

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

        Vectors of a re-encoding that was killed belong to videos that have a row: they stay and are not made again,
        but per-frame vectors whose `vectors` commit never came go.
        """
        for frames in (name for name in self._content_tables() if name.startswith("frames_")):
            vectors = frames.replace("frames_", "vectors_")
            torn = set(distinct(self.open_table(frames), "video_id")) - set(
                distinct(self.open_table(vectors), "video_id") if vectors in self.table_names() else ()
            )
            if torn:
                self.open_table(frames).delete(sql_in("video_id", torn))
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
        for name in self._content_tables():
            if name != "clips" and not name.endswith(record.fingerprint[:12]):
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
        return [name for name in self.table_names() if name.startswith(("clips", "vectors_", "frames_"))]


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


def sql_in(column: str, values: Iterable[str]) -> str:
    """An SQL condition `column IN (…)` with the values quoted; false for no values."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"{column} IN ({quoted})" if quoted else "false"


def rows_of_clips(table: Any, clip_ids: Iterable[str], columns: Sequence[str], *, where: str | None = None) -> pa.Table:
    """Columns of those of the clips that `table` has and that meet an SQL condition, in no order."""
    condition = sql_in("clip_id", clip_ids)
    return table.search().where(f"{condition} AND {where}" if where else condition).select(list(columns)).to_arrow()


def vectors_in(rows: pa.Table, column: str) -> npt.NDArray[np.float32]:
    """`(N, D)` of a column of vectors that has no nulls."""
    values = rows.column(column).combine_chunks()
    return np.asarray(values.flatten(), dtype=np.float32).reshape(len(values), values.type.list_size)


def distinct(table: Any, column: str) -> list[str]:
    """Distinct values of a string column."""
    values = table.search().select([column]).to_arrow().column(column)
    return [str(value) for value in values.unique().to_pylist()]


def _vector_table_names(encoder: EncoderRecord) -> tuple[str, str]:
    tag = encoder.fingerprint[:12]
    return f"vectors_{tag}", f"frames_{tag}"


def _add(table: Any, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Append rows in one commit."""
    rows = list(rows)
    if rows:
        table.add(pa.Table.from_batches(_batches(rows, schema)), on_bad_vectors="null")


def _batches(rows: list[dict[str, Any]], schema: pa.Schema) -> list[pa.RecordBatch]:
    starts = range(0, len(rows), ROWS_PER_BATCH)
    return [pa.RecordBatch.from_pylist(rows[start : start + ROWS_PER_BATCH], schema=schema) for start in starts]


def _vector_rows(clips: Sequence[ClipRow], embeddings: Sequence[ClipEmbedding]) -> Iterator[dict[str, Any]]:
    for clip, embedding in zip(clips, embeddings, strict=True):
        seen, said = _halved(embedding.pooled), _halved(embedding.speech)
        yield {"clip_id": clip.clip_id, "video_id": clip.video_id, "seen": seen, "said": said}


def _frame_rows(clips: Sequence[ClipRow], embeddings: Sequence[ClipEmbedding]) -> Iterator[dict[str, Any]]:
    for clip, embedding in zip(clips, embeddings, strict=True):
        if embedding.frames is not None and embedding.pooled is not None:
            base = embedding.pooled.astype(np.float16).astype(np.float32)  # as it will be read
            yield {
                "clip_id": clip.clip_id,
                "video_id": clip.video_id,
                "frame_s": embedding.frame_s,
                "packed": _packed(embedding.frames, embedding, base).joined(),
                "audio_gates": embedding.audio_part.gates.flatten() if embedding.audio_part else None,
                "speech_gates": embedding.speech_part.gates.flatten() if embedding.speech_part else None,
            }


def _packed(frames: npt.NDArray[np.float32], embedding: ClipEmbedding, base: npt.NDArray[np.float32]) -> PackedClip:
    def part(sense: SensePart | None) -> bytes:
        return b"" if sense is None else pack_vectors(sense.vector[None], base)

    return PackedClip(pack_vectors(frames, base), part(embedding.audio_part), part(embedding.speech_part))


def _halved(vector: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float16] | None:
    return None if vector is None else vector.astype(np.float16)

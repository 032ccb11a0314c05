"""Carrying out an index plan: decode ahead in threads, encode in batches across videos, commit each video whole."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from savecli.archive.copies import copies_last
from savecli.archive.disk import writing_errors
from savecli.archive.executors import Executor
from savecli.archive.paths import real_path, stored_path
from savecli.archive.plan import IndexPlan, Todo
from savecli.archive.prepare import (
    ClipReady,
    ContentKnown,
    Event,
    Transcriber,
    VideoFailed,
    VideoReady,
    prepare_again,
    prepare_video,
)
from savecli.archive.renewals import apply_renewals, full_rows
from savecli.archive.schema import ClipRow, FailureRow, VideoRow
from savecli.archive.store import Archive
from savecli.archive.tables import distinct, sql_in
from savecli.archive.upkeep import optimise
from savecli.core.encoder import Encoder
from savecli.core.progress import Progress
from savecli.core.records import ClipEmbedding, Skipped, VideoFile

# Merges slow down with every commit that was not compacted: 17 ms at 100 commits, 326 ms at 2,000.
COMMITS_BETWEEN_COMPACTIONS = 50


@dataclass(frozen=True)
class IndexReport:
    """What a run did.

    Args:
        num_videos: files indexed or re-encoded.
        num_clips: clips written for them.
        skipped: files that could not be indexed, with their reasons.
        notes: things worth telling once, e.g. that a weaker speech recogniser was used.
    """

    num_videos: int = 0
    num_clips: int = 0
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def joined(self, other: IndexReport) -> IndexReport:
        """Both reports as one."""
        return IndexReport(
            self.num_videos + other.num_videos,
            self.num_clips + other.num_clips,
            self.skipped + other.skipped,
            tuple(dict.fromkeys(self.notes + other.notes)),
        )


@dataclass
class _Tally:
    num_videos: int = 0
    num_clips: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # a set that keeps its order


@dataclass
class _OpenVideo:
    """A video whose clips are on their way through the encoder."""

    clips: list[ClipRow] = field(default_factory=list)
    embeddings: list[ClipEmbedding] = field(default_factory=list)
    ready: VideoReady | None = None

    @property
    def is_complete(self) -> bool:
        return self.ready is not None and len(self.embeddings) == len(self.clips)


def run_index(
    archive: Archive,
    plan: IndexPlan,
    *,
    encoder: Encoder,
    vectors: Any | None,
    transcriber: Transcriber,
    executor: Executor,
    progress: Progress,
) -> IndexReport:
    """Bring the archive up to date with the plan. Every video that finished stays, whatever happens later.

    Raises:
        SaveError: the archive cannot be written, e.g. because the disk is full.
    """
    apply_renewals(archive, plan)
    work = partial(
        prepare_video,
        needs=encoder.needs,
        transcriber=transcriber,
        find_content=partial(_find_content, archive),
    )
    pipeline = _Pipeline(archive, encoder, vectors, progress, todo={todo.file.path: todo for todo in plan.todo})
    return pipeline.drain(*(executor.run(turn, work) for turn in copies_last(plan.todo)))


def run_reencode(
    archive: Archive,
    rows: Sequence[VideoRow],
    *,
    encoder: Encoder,
    vectors: Any,
    executor: Executor,
    progress: Progress,
) -> IndexReport:
    """Add the vectors of `encoder` to videos that lack them; clips and transcripts stay as they are."""

    def work(row: VideoRow) -> Iterator[Event]:
        clips = archive.clip_rows(sql_in("video_id", [row.video_id]))
        return prepare_again(row, real_path(row.path), clips, needs=encoder.needs)

    todo = {
        real_path(row.path): Todo(VideoFile(real_path(row.path), row.size_bytes, row.mtime_ns), real_path(row.root))
        for row in rows
    }
    pipeline = _Pipeline(archive, encoder, vectors, progress, todo=todo, only_vectors=True)
    return pipeline.drain(executor.run(rows, work))


def rows_without_vectors(rows: Sequence[VideoRow], vectors: Any | None) -> list[VideoRow]:
    """One row per content that the table's encoder has not seen, of files that are there; no table, all of them."""
    have = set(distinct(vectors, "video_id")) if vectors is not None else set()
    lacking = {row.video_id: row for row in rows if not row.is_missing and row.video_id not in have}
    return sorted(lacking.values(), key=lambda row: (row.duration_s, row.path))


def _find_content(archive: Archive, video_id: str) -> VideoRow | None:
    rows = archive.video_rows(sql_in("video_id", [video_id]), columns=archive.videos.schema.names)
    return rows[0] if rows else None


class _Pipeline:
    """Takes the events of many videos, fills batches across them, and commits each video when its last clip is done."""

    def __init__(
        self,
        archive: Archive,
        encoder: Encoder,
        vectors: Any | None,
        progress: Progress,
        *,
        todo: dict[Path, Todo],
        only_vectors: bool = False,
    ) -> None:
        self._archive = archive
        self._encoder = encoder
        self._vectors = vectors
        self._progress = progress
        self._todo = todo
        self._only_vectors = only_vectors
        self._open: dict[Path, _OpenVideo] = {}
        self._batch: deque[ClipReady] = deque()
        self._tally = _Tally()
        self._replaced: set[str] = set()
        self._num_commits = 0

    def drain(self, *turns: Iterator[Event]) -> IndexReport:
        """Take all events; what one turn brought is in the archive before the next begins."""
        for events in turns:
            for event in events:
                self._take(event)
            self._encode_batch()
        # Only now: in files that swapped names, what one path lost is what another is about to take over.
        with writing_errors(self._archive.folder):
            self._archive.drop_unused_contents(self._replaced)
        tally = self._tally
        return IndexReport(tally.num_videos, tally.num_clips, tuple(tally.skipped), tuple(tally.notes))

    def _take(self, event: Event) -> None:
        if isinstance(event, ClipReady):
            self._open.setdefault(event.path, _OpenVideo()).clips.append(event.clip)
            self._batch.append(event)
            if len(self._batch) >= self._encoder.batch_size or self._encoder.dimension == 0:
                self._encode_batch()
        elif isinstance(event, VideoReady):
            self._open.setdefault(event.path, _OpenVideo()).ready = event
            self._commit_if_complete(event.path)
        elif isinstance(event, ContentKnown):
            self._commit(event.path, event.row, _OpenVideo())
        else:
            self._fail(event)

    def _encode_batch(self) -> None:
        batch = list(self._batch)
        self._batch.clear()
        if not batch:
            return
        if self._encoder.dimension:
            embeddings = self._encoder.encode_clips([event.clip_input for event in batch])
        else:
            embeddings = [ClipEmbedding(pooled=None)] * len(batch)
        for event, embedding in zip(batch, embeddings, strict=True):
            video = self._open.get(event.path)
            if video is None:
                continue  # it failed after this clip was handed over
            video.embeddings.append(embedding)
            self._progress.advance(event.clip.end_s - event.clip.start_s)
        for path in dict.fromkeys(event.path for event in batch):
            self._commit_if_complete(path)

    def _commit_if_complete(self, path: Path) -> None:
        video = self._open.get(path)
        if video is None or video.ready is None or not video.is_complete:
            return
        del self._open[path]
        if video.ready.note:
            self._tally.notes[video.ready.note] = None
        self._commit(path, video.ready.row, video)

    def _commit(self, path: Path, row: VideoRow, video: _OpenVideo) -> None:
        with writing_errors(self._archive.folder):
            if self._only_vectors:
                assert self._vectors is not None
                self._archive.add_vectors(video.clips, video.embeddings, self._vectors)
                self._archive.drop_failures([row.path])
            else:
                self._commit_row(path, row, video)
            self._num_commits += 1
            if self._num_commits % COMMITS_BETWEEN_COMPACTIONS == 0:
                optimise(self._archive)
        self._tally.num_videos += 1
        self._tally.num_clips += len(video.clips)

    def _commit_row(self, path: Path, row: VideoRow, video: _OpenVideo) -> None:
        todo = self._todo[path]
        is_twin = bool(video.clips) and _find_content(self._archive, row.video_id) is not None
        if video.clips and not is_twin:
            self._archive.commit_video(row, video.clips, video.embeddings, self._vectors)
        else:
            self._archive.put_videos([row])
        if todo.replaces is not None and todo.replaces.video_id != row.video_id:
            self._replaced.add(todo.replaces.video_id)
        self._archive.drop_failures([row.path])

    def _fail(self, event: VideoFailed) -> None:
        self._open.pop(event.path, None)
        self._progress.skip(event.path, event.reason)
        self._tally.skipped.append(Skipped(event.path, event.reason))
        todo = self._todo[event.path]
        failure = FailureRow(
            stored_path(event.path), todo.file.size_bytes, todo.file.mtime_ns, event.reason, int(time.time())
        )
        with writing_errors(self._archive.folder):
            self._archive.put_failure(failure)
            if todo.replaces is not None:  # its old content is kept, unseen, in case it comes back
                full = full_rows(self._archive, [todo.replaces.path])
                self._archive.put_videos([replace(row, is_missing=True) for row in full.values()])

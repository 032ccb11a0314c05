"""What an index run would do, decided from the disk, the archive and what the user asked; loads no model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from savecli.archive.encoder import EncoderChoice, encoder_record, reopen_encoder, resolve_encoder
from savecli.archive.manifest import EncoderRecord
from savecli.archive.paths import real_path
from savecli.archive.plan import IndexPlan, Todo, is_gone, plan_index
from savecli.archive.prepare import moved_row
from savecli.archive.reencoding import unfinished_reencoding
from savecli.archive.run import rows_without_vectors
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.core.errors import SaveError, UsageError
from savecli.core.records import Scan
from savecli.media.probe import probe_video
from savecli.media.scan import find_videos
from savecli.model.hub import Hub


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """What the user asked of a run.

    Args:
        roots: absolute folders and files; empty takes all roots the archive knows.
        encoder: an encoder's name, or None for the archive's own (`auto` for a new archive).
        rebuild: permission to replace the archive's vectors by those of an encoder that is not better.
        switch_now: search with a new encoder although videos lack its vectors, e.g. those of an unplugged drive.
        jobs: files decoded and transcribed at a time.
        imported: folder of imported models, whose names are encoders too.
    """

    roots: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    encoder: str | None = None
    rebuild: bool = False
    switch_now: bool = False
    retry_failed: bool = False
    jobs: int = 2
    device: str = "auto"
    batch_size: int | None = None
    imported: Path | None = None


@dataclass(frozen=True)
class Survey:
    """What a run would do.

    Args:
        scan: what lies below `roots` now.
        label: the encoder, as it is shown.
        better: how to get a better encoder; "" when there is nothing to say.
        choice: the encoder to load; None when the archive's own is not needed.
        record: the same as the archive remembers it; None when its weights must be downloaded first.
        todo_s: seconds of video to decode, as far as the headers can be read.
        to_reencode: videos that stay as they are but lack vectors of this encoder.
        replaced: the encoder that answers queries until the vectors of this one are complete; None when it is this one.
        resumed: `(done, all)` videos of a re-encoding that an earlier run began; None when there is none.
    """

    roots: tuple[Path, ...]
    scan: Scan
    plan: IndexPlan
    label: str
    better: str
    choice: EncoderChoice | None
    record: EncoderRecord | None
    todo_s: float
    to_reencode: tuple[VideoRow, ...]
    replaced: EncoderRecord | None = None
    resumed: tuple[int, int] | None = None

    @property
    def has_work(self) -> bool:
        """Whether there is something to decode."""
        return bool(self.plan.todo or self.to_reencode)

    @property
    def total_s(self) -> float:
        """Seconds of video to go through."""
        return self.todo_s + sum(row.duration_s for row in self.to_reencode)


def check_settings(settings: IndexSettings, *, hub: Hub) -> None:
    """Whether a new archive can be made with these settings: a mistyped folder must not leave an empty one behind.

    Raises:
        UsageError: no roots, or one that does not exist; no such encoder.
        WeightsError: the encoder's weights cannot be had.
    """
    _roots(None, settings)
    _asked_for(None, settings, hub)


def survey_index(archive: Archive | None, settings: IndexSettings, *, hub: Hub) -> Survey:
    """Look at the disk and decide; loads no model and writes nothing.

    Args:
        archive: None stands for one that does not exist yet.

    Raises:
        UsageError: no roots, or one that neither exists nor was ever indexed.
        SaveError: the encoder asked for is no better than the archive's, and `rebuild` was not given.
    """
    roots = _roots(archive, settings)
    scan = find_videos(roots, exclude=settings.exclude)
    rows = archive.video_rows() if archive else []
    failures = archive.failure_rows() if archive else []
    plan = plan_index(scan, roots, rows, failures, retry_failed=settings.retry_failed)
    own = _own(archive)
    choice = _asked_for(archive, settings, hub)
    record = own if choice is None else encoder_record(choice) if choice.is_here else None
    to_reencode = _lacking_vectors(archive, plan, choice, record) if archive else ()
    if choice is None and own is not None and (plan.todo or to_reencode):
        choice = reopen_encoder(own, hub=hub)
    return Survey(
        roots=roots,
        scan=scan,
        plan=plan,
        label=choice.label if choice else own.label if own else "",
        better=choice.better if choice else "",
        choice=choice,
        record=record,
        todo_s=_seconds_of(plan.todo),
        to_reencode=to_reencode,
        replaced=_replaced(archive, record) if rows else None,
        resumed=_resumed(archive, record),
    )


def _roots(archive: Archive | None, settings: IndexSettings) -> tuple[Path, ...]:
    known = {real_path(root.path) for root in archive.manifest.roots} if archive else set()
    roots = settings.roots or tuple(sorted(known))
    if not roots:
        raise UsageError("there is nothing to index", why="no folder was given", fix="save index ~/videos")
    for root in roots:
        if root not in known and is_gone(root):
            raise UsageError(f"there is no {root}", why="and it was never indexed", fix="check how the path is written")
    return roots


def _own(archive: Archive | None) -> EncoderRecord | None:
    """The encoder whose vectors a run fills in unless told otherwise."""
    return (archive.manifest.next_encoder or archive.manifest.encoder) if archive else None


def _asked_for(archive: Archive | None, settings: IndexSettings, hub: Hub) -> EncoderChoice | None:
    """The encoder the settings ask for; None stands for the archive's own."""
    own = _own(archive)
    if archive is None or own is None or settings.rebuild:
        # Without a name the encoder that made the vectors makes them anew: `auto` might choose `words` and lose them.
        again = own.name if own is not None and own.dimension else "auto"
        return resolve_encoder(settings.encoder or again, hub=hub, imported=settings.imported)
    if settings.encoder in (None, "auto", own.name):
        return None
    choice = resolve_encoder(settings.encoder or "auto", hub=hub, imported=settings.imported)
    if choice.name == own.name:
        return None
    if _grade(choice.name) > _grade(own.name) or _has_vectors_of(choice, own):
        return choice
    command = f"save index --encoder {shlex.quote(choice.name)} --rebuild --archive {shlex.quote(str(archive.folder))}"
    is_unfinished = archive.manifest.next_encoder is not None
    raise SaveError(
        f"this archive {'is being re-encoded' if is_unfinished else 'was indexed'} with `{own.name}`, "
        f"not with `{choice.name}`",
        why="vectors of different encoders cannot be compared, and this one is not of a better kind",
        fix=f"leave out `--encoder`, or re-encode (transcripts are kept): `{command}`",
    )


def _grade(name: str) -> int:
    """How much of a clip an encoder takes in: only words, pictures too, or all senses. More is better."""
    return 0 if name == "words" else 1 if name.partition(":")[0] == "clip" else 2


def _has_vectors_of(choice: EncoderChoice, own: EncoderRecord) -> bool:
    """Whether it is the same model in another place."""
    return choice.is_here and encoder_record(choice).fingerprint == own.fingerprint


def _lacking_vectors(
    archive: Archive, plan: IndexPlan, choice: EncoderChoice | None, record: EncoderRecord | None
) -> tuple[VideoRow, ...]:
    """Videos that are there and whose content has no vectors of this encoder."""
    moving = {renewal.row.path: renewal for renewal in (*plan.moved, *plan.touched)}
    present = [*plan.unchanged, *(replace(row, is_missing=False) for row in plan.returned)]
    present += [moved_row(row.row, Todo(row.file, row.root)) for row in moving.values()]
    if record is None:
        return tuple(present) if choice is not None else ()
    if record.dimension == 0:
        return ()
    failed = {failure.path for failure in plan.failed_before}
    lacking = rows_without_vectors(present, archive.vector_table(record))
    return tuple(row for row in lacking if row.path not in failed)


def _replaced(archive: Archive | None, record: EncoderRecord | None) -> EncoderRecord | None:
    old = archive.manifest.encoder if archive else None
    is_other = old is not None and (record is None or record.fingerprint != old.fingerprint)
    return old if is_other else None


def _resumed(archive: Archive | None, record: EncoderRecord | None) -> tuple[int, int] | None:
    begun = unfinished_reencoding(archive) if archive else None
    if begun is None or record is None or begun.record.fingerprint != record.fingerprint:
        return None
    return begun.num_done, begun.num_videos


def _seconds_of(todo: Sequence[Todo]) -> float:
    """Seconds of video; a file that cannot be read counts nothing and is reported when its turn comes."""

    def seconds(item: Todo) -> float:
        try:
            return probe_video(item.file.path).duration_s
        except (SaveError, OSError):
            return 0.0

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return sum(pool.map(seconds, todo))

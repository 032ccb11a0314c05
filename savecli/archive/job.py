"""One index run from end to end: look, plan, encode, commit, tidy up. `save index` is a thin face over this."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from savecli.archive.calibration import calibrate, read_calibration
from savecli.archive.encoder import (
    EncoderChoice,
    encoder_record,
    fetch_encoder,
    load_encoder,
    load_text_encoder,
    reopen_encoder,
    resolve_encoder,
)
from savecli.archive.executors import ThreadExecutor
from savecli.archive.manifest import EncoderRecord
from savecli.archive.paths import real_path
from savecli.archive.plan import IndexPlan, Todo, is_gone, plan_index
from savecli.archive.prepare import Transcriber, moved_row
from savecli.archive.run import IndexReport, apply_renewals, rows_without_vectors, run_index, run_reencode
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.archive.text_side import keep_text_side
from savecli.archive.upkeep import finish
from savecli.core.errors import SaveError, UsageError, WeightsError
from savecli.core.progress import Progress
from savecli.core.records import Scan
from savecli.media.probe import probe_video
from savecli.media.scan import find_videos
from savecli.model.hub import Hub

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """What the user asked of a run.

    Args:
        roots: absolute folders and files; empty takes all roots the archive knows.
        encoder: an encoder's name, or None for the archive's own (`auto` for a new archive).
        rebuild: permission to replace the archive's vectors by those of another encoder.
        jobs: files decoded and transcribed at a time.
        imported: folder of imported models, whose names are encoders too.
    """

    roots: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    encoder: str | None = None
    rebuild: bool = False
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
        SaveError: the encoder asked for is not the archive's, and `rebuild` was not given.
    """
    roots = _roots(archive, settings)
    scan = find_videos(roots, exclude=settings.exclude)
    rows = archive.video_rows() if archive else []
    failures = archive.failure_rows() if archive else []
    plan = plan_index(scan, roots, rows, failures, retry_failed=settings.retry_failed)
    own = (archive.manifest.next_encoder or archive.manifest.encoder) if archive else None
    choice = _asked_for(own, settings, hub)
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
    )


def carry_out(
    archive: Archive,
    survey: Survey,
    settings: IndexSettings,
    *,
    build_transcriber: Callable[[], Transcriber],
    hub: Hub,
    progress: Progress,
    was_torn: bool = False,
) -> IndexReport:
    """Do what the survey found. Needs the archive's write lock.

    Args:
        was_torn: the writer before died half way, so what it may not have come to is done again.

    Raises:
        SaveError: weights that cannot be had, or an archive that cannot be written; what was committed stays.
    """
    for root in survey.roots:
        is_offline = root in survey.scan.offline_roots
        archive.set_manifest(archive.manifest.with_root(root, is_offline=is_offline))
    if survey.has_work:
        return _encode(archive, survey, settings, build_transcriber=build_transcriber, hub=hub, progress=progress)
    has_news = apply_renewals(archive, survey.plan) or was_torn
    if survey.record is not None:
        _note_encoder(archive, survey.record)
        has_news |= _swap_if_complete(archive)
    if has_news:
        finish(archive)
    _complete_vectors(archive, settings, hub=hub)
    return IndexReport()


def _complete_vectors(archive: Archive, settings: IndexSettings, *, hub: Hub) -> None:
    """Make good what a run that was killed at its very end left out, or a version of save that knew no text sides."""
    record = archive.manifest.encoder
    tables = archive.vector_tables(record)
    if record is None or tables is None:
        return
    try:
        keep_text_side(archive.folder, record, lambda: load_text_encoder(record, hub=hub).branch)
        if read_calibration(archive, record) is None:
            encoder = load_encoder(reopen_encoder(record, hub=hub), hub=hub, device=settings.device)
            calibrate(archive, encoder, record, tables)
    except WeightsError as error:
        log.warning("neither calibrated nor exported: %s", error)


def _encode(
    archive: Archive,
    survey: Survey,
    settings: IndexSettings,
    *,
    build_transcriber: Callable[[], Transcriber],
    hub: Hub,
    progress: Progress,
) -> IndexReport:
    assert survey.choice is not None
    choice = fetch_encoder(survey.choice, hub=hub, progress=progress)
    record = encoder_record(choice)
    _note_encoder(archive, record)
    tables = archive.make_vector_tables(record)
    encoder = load_encoder(choice, hub=hub, device=settings.device, batch_size=settings.batch_size, progress=progress)
    # Far enough ahead to fill the next batch while one is encoded, near enough to stay within a few hundred MB.
    executor = ThreadExecutor(settings.jobs, max_ahead=settings.jobs + 2 * encoder.batch_size)
    progress.start(survey.total_s, unit="seconds", title="Indexing")
    report = run_index(
        archive,
        survey.plan,
        encoder=encoder,
        tables=tables,
        transcriber=build_transcriber(),
        executor=executor,
        progress=progress,
    )
    if survey.to_reencode and tables is not None:
        again = run_reencode(
            archive, survey.to_reencode, encoder=encoder, tables=tables, executor=executor, progress=progress
        )
        report = report.joined(again)
    keep_text_side(archive.folder, record, lambda: load_text_encoder(record, hub=hub).branch)
    _swap_if_complete(archive)
    finish(archive)
    if tables is not None:
        calibrate(archive, encoder, record, tables)
    return report


def _roots(archive: Archive | None, settings: IndexSettings) -> tuple[Path, ...]:
    known = {real_path(root.path) for root in archive.manifest.roots} if archive else set()
    roots = settings.roots or tuple(sorted(known))
    if not roots:
        raise UsageError("there is nothing to index", why="no folder was given", fix="save index ~/videos")
    for root in roots:
        if root not in known and is_gone(root):
            raise UsageError(f"there is no {root}", why="and it was never indexed", fix="check how the path is written")
    return roots


def _asked_for(own: EncoderRecord | None, settings: IndexSettings, hub: Hub) -> EncoderChoice | None:
    """The encoder the settings ask for; None stands for the archive's own."""
    if own is None or settings.rebuild:
        # Without a name the encoder that made the vectors makes them anew: `auto` might choose `words` and lose them.
        again = own.name if own is not None and own.dimension else "auto"
        return resolve_encoder(settings.encoder or again, hub=hub, imported=settings.imported)
    if settings.encoder in (None, "auto", own.name):
        return None
    choice = resolve_encoder(settings.encoder or "auto", hub=hub, imported=settings.imported)
    if choice.name == own.name:
        return None
    raise SaveError(
        f"this archive was indexed with `{own.name}`, not with `{choice.name}`",
        why="vectors of different encoders cannot be compared",
        fix=f"leave out `--encoder`, or re-encode (transcripts are kept): add `--encoder {choice.name} --rebuild`",
    )


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
    lacking = rows_without_vectors(present, archive.vector_tables(record))
    return tuple(row for row in lacking if row.path not in failed)


def _note_encoder(archive: Archive, record: EncoderRecord) -> None:
    """Remember whose vectors are coming, before the first is written."""
    own = archive.manifest.encoder
    if own is None or archive.videos.count_rows() == 0:
        archive.set_manifest(replace(archive.manifest, encoder=record, next_encoder=None))
    elif own.fingerprint != record.fingerprint:
        archive.set_manifest(replace(archive.manifest, next_encoder=record))
    else:
        archive.set_manifest(replace(archive.manifest, encoder=record, next_encoder=None))


def _swap_if_complete(archive: Archive) -> bool:
    """Search with the next encoder from now on, once every video that can be seen has its vectors."""
    record = archive.manifest.next_encoder
    if record is None:
        return False
    if record.dimension:
        failed = {failure.path for failure in archive.failure_rows()}
        lacking = rows_without_vectors(archive.video_rows(), archive.vector_tables(record))
        if any(row.path not in failed for row in lacking):
            return False
    archive.set_manifest(replace(archive.manifest, encoder=record, next_encoder=None))
    archive.drop_vectors_of_others(record)
    return True


def _seconds_of(todo: Sequence[Todo]) -> float:
    """Seconds of video; a file that cannot be read counts nothing and is reported when its turn comes."""

    def seconds(item: Todo) -> float:
        try:
            return probe_video(item.file.path).duration_s
        except (SaveError, OSError):
            return 0.0

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return sum(pool.map(seconds, todo))

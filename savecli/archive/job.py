"""One index run from end to end: what the survey found is encoded, committed and tidied up.

`save index` is a thin face over this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from savecli.archive.calibration import calibrate, read_calibration
from savecli.archive.encoder import encoder_record, fetch_encoder, load_encoder, load_text_encoder, reopen_encoder
from savecli.archive.executors import ThreadExecutor
from savecli.archive.manifest import EncoderRecord
from savecli.archive.prepare import Transcriber
from savecli.archive.reencoding import note_encoder, switch_encoder, unfinished_reencoding
from savecli.archive.renewals import apply_renewals
from savecli.archive.run import IndexReport, run_index, run_reencode
from savecli.archive.store import Archive
from savecli.archive.survey import IndexSettings, Survey
from savecli.archive.text_side import keep_text_side
from savecli.archive.upkeep import finish, index_vectors
from savecli.core.errors import WeightsError
from savecli.core.progress import Progress
from savecli.model.hub import Hub

log = logging.getLogger(__name__)


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
        note_encoder(archive, survey.record)
        has_news |= _switch_if_complete(archive, settings, hub=hub)
    if has_news:
        finish(archive)
    try:
        _complete_vectors(archive, archive.manifest.encoder, settings, hub=hub)
    except WeightsError as error:
        log.warning("neither calibrated nor exported: %s", error)
    return IndexReport()


def _complete_vectors(archive: Archive, record: EncoderRecord | None, settings: IndexSettings, *, hub: Hub) -> None:
    """Make good what a run that was killed at its very end left out, or a version of save that knew no text sides.

    Raises:
        WeightsError: it takes weights that are gone.
    """
    vectors = archive.vector_table(record)
    if record is None or vectors is None:
        return
    keep_text_side(archive.folder, record, lambda: load_text_encoder(record, hub=hub).branch)
    if read_calibration(archive, record) is None:
        encoder = load_encoder(reopen_encoder(record, hub=hub), hub=hub, device=settings.device)
        calibrate(archive, encoder, record, vectors)


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
    note_encoder(archive, record)
    vectors = archive.make_vector_table(record)
    encoder = load_encoder(choice, hub=hub, device=settings.device, batch_size=settings.batch_size, progress=progress)
    # Far enough ahead to fill the next batch while one is encoded, near enough to stay within a few hundred MB.
    executor = ThreadExecutor(settings.jobs, max_ahead=settings.jobs + 2 * encoder.batch_size)
    progress.start(survey.total_s, unit="seconds", title="Indexing")
    report = run_index(
        archive,
        survey.plan,
        encoder=encoder,
        vectors=vectors,
        transcriber=build_transcriber(),
        executor=executor,
        progress=progress,
    )
    if survey.to_reencode and vectors is not None:
        again = run_reencode(
            archive, survey.to_reencode, encoder=encoder, vectors=vectors, executor=executor, progress=progress
        )
        report = report.joined(again)
    keep_text_side(archive.folder, record, lambda: load_text_encoder(record, hub=hub).branch)
    if vectors is not None:
        calibrate(archive, encoder, record, vectors)
    _switch_if_complete(archive, settings, hub=hub)
    finish(archive)
    return report


def _switch_if_complete(archive: Archive, settings: IndexSettings, *, hub: Hub) -> bool:
    """Search with the next encoder from now on, once every video that can be seen has its vectors.

    Nothing that a query of the new vectors needs is left for later: a kill in between leaves the old encoder.

    Raises:
        WeightsError: all vectors are there, but it takes weights that are gone.
    """
    begun = unfinished_reencoding(archive)
    if begun is None or (begun.lacking and not settings.switch_now):
        return False
    vectors = archive.vector_table(begun.record)
    if begun.record.dimension:
        if vectors is None:
            return False
        try:
            _complete_vectors(archive, begun.record, settings, hub=hub)
        except WeightsError as error:
            raise WeightsError(
                f"`{begun.record.name}` cannot take over, so the encoder before it goes on answering",
                why=f"its vectors are made, but what else a query needs takes its weights: {error}",
                fix=error.fix,
            ) from error
        index_vectors(vectors)
    switch_encoder(archive, begun.record)
    return True

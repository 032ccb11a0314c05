"""One archive between two encoders: the old one answers until the vectors of the new one are complete."""

from __future__ import annotations

from dataclasses import dataclass, replace

from savecli.archive.manifest import EncoderRecord
from savecli.archive.run import rows_without_vectors
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive


@dataclass(frozen=True)
class Reencoding:
    """How far a re-encoding has come.

    Args:
        record: the encoder whose vectors are being filled in.
        num_videos: contents that are to have them; neither missing files nor those that failed are waited for.
        lacking: one row for each content that has none yet.
    """

    record: EncoderRecord
    num_videos: int
    lacking: tuple[VideoRow, ...]

    @property
    def num_done(self) -> int:
        """Contents that have their vectors."""
        return self.num_videos - len(self.lacking)


def unfinished_reencoding(archive: Archive) -> Reencoding | None:
    """The re-encoding that an index run began and none has ended; None when the archive has one encoder."""
    record = archive.manifest.next_encoder
    if record is None:
        return None
    failed = {failure.path for failure in archive.failure_rows()}
    rows = [row for row in archive.video_rows() if not row.is_missing and row.path not in failed]
    lacking = rows_without_vectors(rows, archive.vector_table(record)) if record.dimension else []
    return Reencoding(record, len({row.video_id for row in rows}), tuple(lacking))


def note_encoder(archive: Archive, record: EncoderRecord) -> None:
    """Remember whose vectors are coming, before the first is written."""
    own = archive.manifest.encoder
    if own is not None and own.fingerprint != record.fingerprint and archive.videos.count_rows():
        archive.set_manifest(replace(archive.manifest, next_encoder=record))
        return
    was_between = archive.manifest.next_encoder is not None
    archive.set_manifest(replace(archive.manifest, encoder=record, next_encoder=None))
    if was_between:
        archive.drop_vectors_of_others(record)


def switch_encoder(archive: Archive, record: EncoderRecord) -> None:
    """Search with `record` from now on; the vectors of the encoder before it go."""
    archive.set_manifest(replace(archive.manifest, encoder=record, next_encoder=None))
    archive.drop_vectors_of_others(record)


def recover(archive: Archive) -> None:
    """Remove what a writer that died left: rows of no video, and vectors of an encoder that had been switched from."""
    archive.drop_orphans()
    manifest = archive.manifest
    if manifest.encoder is not None and manifest.next_encoder is None:
        archive.drop_vectors_of_others(manifest.encoder)

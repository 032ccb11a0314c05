"""What an archive holds, counted from its rows; loads no decoder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from savecli.archive.disk import size_on_disk
from savecli.archive.manifest import EncoderRecord
from savecli.archive.paths import real_path
from savecli.archive.plan import is_gone
from savecli.archive.store import Archive


@dataclass(frozen=True)
class RootFacts:
    """A folder or file that was given to `save index`, and whether it is there now."""

    path: Path
    is_offline: bool


@dataclass(frozen=True, kw_only=True)
class ArchiveContents:
    """What an archive holds.

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

"""Bringing an archive back that a power cut or a full disk has torn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb

from savecli.archive.create import create_text_indexes
from savecli.archive.manifest import FILE_NAME, read_manifest
from savecli.archive.reencoding import recover
from savecli.archive.schema import CLIPS, FAILURES, VIDEOS
from savecli.archive.store import Archive, NoArchive, open_archive
from savecli.core.errors import SaveError

# A power cut tears the version that was being written; further back something else is wrong.
MAX_VERSIONS_BACK = 3


@dataclass(frozen=True)
class Repair:
    """What was wrong and what was done about it, in words for the user."""

    steps: tuple[str, ...]


def repair_archive(folder: Path) -> Repair:
    """Make every table readable again, losing as little as possible. Needs the write lock.

    A manifest that a power cut left torn is set aside, which brings back the version before it. Rows that belong to
    no video are dropped; damaged text indexes are made anew. What was lost is found by the next `save index`.

    Raises:
        NoArchive: there is none.
        SaveError: a table cannot be brought back; then nothing was changed.
    """
    if not (folder / FILE_NAME).exists():
        raise NoArchive(f"there is no archive at {folder}", why=f"it has no {FILE_NAME}", fix="check `--archive`")
    language = read_manifest(folder).language
    db = lancedb.connect(str(folder))
    steps: list[str] = []
    for path in sorted(folder.glob("*.lance")):
        steps += _repair_table(db, path)
    for name, schema in (("videos", VIDEOS), ("clips", CLIPS), ("failures", FAILURES)):
        if not (folder / f"{name}.lance").exists():
            db.create_table(name, schema=schema)
            steps.append(f"{name}: the table was gone; made an empty one")
    archive = open_archive(folder)
    steps += _repair_indexes(archive, language)
    if archive.videos.count_rows():  # without a single video row, everything would pass for an orphan
        recover(archive)
    steps += _drop_hollow_videos(archive)
    return Repair(tuple(steps))


def _repair_table(db: Any, path: Path) -> list[str]:
    """Set torn manifests aside until the table opens. Data that cannot be read is no reason to go back."""
    name = path.name.removesuffix(".lance")
    aside: list[Path] = []
    problem = _problem(lambda: db.open_table(name))
    while problem is not None and len(aside) < MAX_VERSIONS_BACK and (newest := _newest_manifest(path)) is not None:
        aside.append(newest.rename(newest.with_name(newest.name + ".torn")))
        problem = _problem(lambda: db.open_table(name))
    problem = problem or _problem(lambda: _read_all(db.open_table(name)))
    if problem is None:
        return [f"{name}: went back one version, as the newest could not be read" for _ in aside]
    for manifest in aside:
        manifest.rename(manifest.with_name(manifest.name.removesuffix(".torn")))
    raise SaveError(
        f"the table {name} cannot be repaired",
        why=problem,
        fix=f"bring {path} back from a backup, or move {path.parent} away and index again; the videos are untouched",
    )


def _read_all(table: Any) -> None:
    for _ in table.search().to_batches():
        pass


def _newest_manifest(path: Path) -> Path | None:
    """The manifest LanceDB would open: its names count down, or up in older tables."""
    manifests = list((path / "_versions").glob("*.manifest"))
    if len(manifests) <= 1:
        return None
    counts_down = any(len(manifest.stem) == 20 for manifest in manifests)
    key = (lambda m: -int(m.stem)) if counts_down else (lambda m: int(m.stem))
    return max(manifests, key=key)


def _repair_indexes(archive: Archive, language: str) -> list[str]:
    """Make the text indexes anew when one of them cannot answer."""
    from lancedb.query import MatchQuery

    for table, column in ((archive.clips, "text"), (archive.videos, "transcript"), (archive.videos, "title")):
        query = table.search(MatchQuery("a", column), query_type="fts").limit(1)
        problem = _problem(query.to_list)
        if problem is not None:
            create_text_indexes(archive.videos, archive.clips, language=language)
            return [f"text indexes: made anew ({problem})"]
    return []


def _drop_hollow_videos(archive: Archive) -> list[str]:
    """Forget videos whose clips were lost, so that the next run indexes them again."""
    counted: dict[str, int] = {}
    for clip_id in archive.clips.search().select(["video_id"]).to_arrow().column("video_id").to_pylist():
        counted[clip_id] = counted.get(clip_id, 0) + 1
    rows = archive.video_rows(columns=["path", "video_id", "num_clips"])
    hollow = [row.path for row in rows if counted.get(row.video_id, 0) != row.num_clips]
    archive.drop_videos(hollow)
    return [f"videos: {len(hollow)} lost their clips and will be indexed again"] if hollow else []


def _problem(action: Callable[[], object]) -> str | None:
    """What goes wrong in `action`, in one line; LanceDB raises several unrelated types for damaged files."""
    try:
        action()
    except Exception as error:
        return f"{error}".splitlines()[0][:120]
    return None

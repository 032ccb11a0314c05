"""Making an archive where there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lancedb
from lancedb.index import FTS

from savecli.archive.analyzer import analyzer_options
from savecli.archive.manifest import FILE_NAME, Manifest, write_manifest
from savecli.archive.schema import CLIPS, FAILURES, VIDEOS
from savecli.archive.store import Archive
from savecli.core.errors import SaveError


def create_archive(folder: Path) -> Archive:
    """A new, empty archive in `folder`. Needs the write lock where two may do it at once.

    Raises:
        SaveError: see `make_place`.
    """
    make_place(folder)
    manifest = Manifest()
    db = lancedb.connect(str(folder))
    _check_empty(db, folder)
    for name, schema in (("videos", VIDEOS), ("clips", CLIPS), ("failures", FAILURES)):
        db.create_table(name, schema=schema, mode="overwrite")
    create_text_indexes(db.open_table("videos"), db.open_table("clips"), language=manifest.language)
    write_manifest(folder, manifest)  # last: its presence makes the folder an archive
    return Archive(folder, manifest)


def make_place(folder: Path) -> None:
    """Make sure that `folder` exists, is free for an archive, and that an archive can live there.

    Raises:
        SaveError: it holds other things, cannot be written, or its disk lacks hard links.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
    except OSError as error:
        raise SaveError(
            f"the archive {folder} cannot be created",
            why=error.strerror or str(error),
            fix="choose a folder you can write to with `--archive`",
        ) from error
    if strangers:
        raise SaveError(
            f"{folder} is not an archive",
            why=f"it holds other files, e.g. {sorted(strangers)[0]!r}",
            fix="give an empty or a new folder with `--archive`",
        )
    _check_hard_links(folder)


def create_text_indexes(videos: Any, clips: Any, *, language: str) -> None:
    """Full-text indexes over what is said in clips and whole videos, and over file names."""
    for table, column in ((clips, "text"), (videos, "transcript"), (videos, "title")):
        config = FTS(with_position=True, **analyzer_options(language))
        table.create_index(column, config=config, replace=True)


def _check_empty(db: Any, folder: Path) -> None:
    """An archive that lost its `archive.json` must not be taken for an empty place."""
    if any((folder / "videos.lance/_versions").glob("*.manifest")) and db.open_table("videos").count_rows():
        raise SaveError(
            f"{folder} holds an archive without its {FILE_NAME}",
            why="the file was lost, and a new archive would overwrite the videos that are there",
            fix=f"put {FILE_NAME} back from a backup, or choose another folder with `--archive`",
        )


def _is_ours(name: str) -> bool:
    return (
        name.endswith((".lance", ".tmp", ".npz"))
        or name.startswith("text_")
        or name in {"write.lock", "writing", FILE_NAME}
    )


def _check_hard_links(folder: Path) -> None:
    """LanceDB commits by hard link: without them every write would fail half way."""
    probe, link = folder / f"probe-{os.getpid()}.tmp", folder / f"link-{os.getpid()}.tmp"
    try:
        probe.write_bytes(b"")
        os.link(probe, link)
    except OSError as error:
        raise SaveError(
            f"the archive cannot live in {folder}",
            why=f"its disk has no hard links, as exFAT, FAT and some network drives ({error.strerror})",
            fix="keep the archive on another disk with `--archive`; the videos may stay where they are",
        ) from error
    finally:
        probe.unlink(missing_ok=True)
        link.unlink(missing_ok=True)

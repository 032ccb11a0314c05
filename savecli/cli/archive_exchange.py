"""`save archive export` and `save archive import`: an archive as Parquet files, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.options import archive_option

if TYPE_CHECKING:
    from savecli.archive.store import Archive


class MovedRoot(click.ParamType[tuple[Path, Path]]):
    """`OLD=NEW`: where a folder of videos was, and where it is now."""

    name = "old=new"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Path, Path]:
        if isinstance(value, tuple):
            return value
        old, equals, new = str(value).partition("=")
        if not (old and equals and new):
            return self.fail(f"{value!r} is not OLD=NEW, two folders", param, ctx)
        return _absolute(Path(old)), _absolute(Path(new))


@click.command("export", epilog="Example: save archive export ~/backup/home-parquet")
@click.argument("folder", type=click.Path(path_type=Path))
@archive_option
def export_command(folder: Path, archive_folder: Path) -> int:
    """Write everything the archive holds to FOLDER as Parquet files, which any Parquet reader opens.

    The videos are not copied. FOLDER is there when all of it is written, or not at all.
    """
    from savecli.archive.disk import size_on_disk
    from savecli.archive.exchange import export_archive
    from savecli.archive.lock import keeping_still
    from savecli.archive.reencoding import recover
    from savecli.archive.store import open_archive
    from savecli.cli.render import count
    from savecli.core.sizes import size

    open_archive(archive_folder)  # before the lock, which would make the folder
    with keeping_still(archive_folder) as was_torn:
        archive = open_archive(archive_folder)
        if was_torn:
            recover(archive)
        done = export_archive(archive, _absolute(folder))
        _tell_left_out(archive)
    held = f"{count(done.rows['videos'], 'video')}, {count(done.rows['clips'], 'clip')}"
    click.echo(f"Exported {held} to {folder} ({size(size_on_disk(folder))}).", err=True)
    return 0


@click.command("import", epilog="Example: save archive import ~/backup/home-parquet --archive new.save")
@click.argument("folder", type=click.Path(path_type=Path))
@archive_option
@click.option(
    "--root",
    "moved_roots",
    multiple=True,
    type=MovedRoot(),
    metavar="OLD=NEW",
    help="A folder of videos that lies elsewhere now (repeatable).",
)
def import_command(folder: Path, archive_folder: Path, moved_roots: tuple[tuple[Path, Path], ...]) -> int:
    """Make a new archive from what `save archive export` wrote to FOLDER.

    The archive must not be there yet, and is there when all of it is written, or not at all.
    """
    from savecli.archive.exchange import import_archive
    from savecli.cli.render import count

    done = import_archive(_absolute(folder), archive_folder, moved_roots=dict(moved_roots))
    held = f"{count(done.rows['videos'], 'video')}, {count(done.rows['clips'], 'clip')}"
    click.echo(f"Imported {held} into {archive_folder}.", err=True)
    return 0


def _tell_left_out(archive: Archive) -> None:
    """Vectors in the form of an older version count as missing: an export is without them."""
    for record in (archive.manifest.encoder, archive.manifest.next_encoder):
        if record is not None and record.dimension and archive.vector_table(record) is None:
            click.echo(
                f"Left out the vectors of `{record.name}`: there are none that this version of save can read. "
                "`save index` makes them anew.",
                err=True,
            )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))

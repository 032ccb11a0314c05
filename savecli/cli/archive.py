"""`save archive`: care of the archive itself."""

from __future__ import annotations

from pathlib import Path

import click

from savecli.cli.archive_exchange import export_command, import_command
from savecli.cli.archive_info import info
from savecli.cli.options import archive_option


@click.group(epilog="Example: save archive info")
def archive() -> None:
    """Look after the archive itself."""


@archive.command(epilog="Example: save archive repair --archive home.save")
@archive_option
def repair(archive_folder: Path) -> int:
    """Recover an archive that a power cut or a full disk has damaged.

    What could not be saved is found again by the next `save index`.
    """
    from savecli.archive.lock import writing
    from savecli.archive.repair import repair_archive
    from savecli.archive.store import NoArchive

    if not archive_folder.exists():
        raise NoArchive(
            f"there is no archive at {archive_folder}", why="the folder does not exist", fix="check `--archive`"
        )
    with writing(archive_folder):
        done = repair_archive(archive_folder)
    for step in done.steps:
        click.echo(step, err=True)
    click.echo("Repaired. Run `save index` to fetch what is missing." if done.steps else "Nothing is broken.", err=True)
    return 0


@archive.command(epilog="Example: save archive optimize --archive home.save")
@archive_option
def optimize(archive_folder: Path) -> int:
    """Compact the whole archive and make its indexes anew.

    `save index` does what is worth its time by itself; this also frees the room of deleted videos and of versions from
    the last hour. A query that runs at this very moment may fail.
    """
    from savecli.archive.disk import full_disk_told, size_on_disk
    from savecli.archive.lock import writing
    from savecli.archive.reencoding import recover
    from savecli.archive.store import open_archive
    from savecli.archive.upkeep import optimise_all
    from savecli.core.sizes import size

    open_archive(archive_folder)  # before the lock, which would make the folder
    with full_disk_told(archive_folder), writing(archive_folder):
        before = size_on_disk(archive_folder)
        archive = open_archive(archive_folder)
        recover(archive)
        optimise_all(archive)
    click.echo(f"Compacted: {size(before)} before, {size(size_on_disk(archive_folder))} now.", err=True)
    return 0


for command in (info, export_command, import_command):
    archive.add_command(command)

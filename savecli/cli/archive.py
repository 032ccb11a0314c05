"""`save archive`: care of the archive itself."""

from __future__ import annotations

from pathlib import Path

import click

from savecli.cli.options import archive_option


@click.group(epilog="Example: save archive repair --archive home.save")
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

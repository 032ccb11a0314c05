"""`save remove`: the only command that deletes from an archive. Video files are never touched."""

from __future__ import annotations

import os
from pathlib import Path

import click

from savecli.cli.options import archive_option


@click.command(epilog="Example: save remove ~/videos/old")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@archive_option
@click.option("--missing", is_flag=True, help="Remove every video whose file is gone while its folder is there.")
def remove(paths: tuple[Path, ...], archive_folder: Path, missing: bool) -> int:
    """Remove videos at or below PATHS from the archive. The files themselves stay where they are."""
    from savecli.archive.lock import writing
    from savecli.archive.reencoding import recover
    from savecli.archive.removal import remove_videos
    from savecli.archive.store import open_archive
    from savecli.cli.render import count

    open_archive(archive_folder)  # before the lock, which would make the folder
    below = [Path(os.path.abspath(path.expanduser())) for path in paths]
    with writing(archive_folder) as was_torn:
        archive = open_archive(archive_folder)
        if was_torn:
            recover(archive)
        removed = remove_videos(archive, below, missing=missing)
    click.echo(f"Removed {count(removed, 'video')} from the archive.", err=True)
    return 0

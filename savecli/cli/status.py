"""`save status`: what the archive holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.options import archive_option, json_option

if TYPE_CHECKING:
    from savecli.archive.contents import ArchiveContents
    from savecli.archive.store import Archive


@click.command(epilog="Example: save status --failed")
@archive_option
@click.option("--failed", is_flag=True, help="List the files that could not be indexed, with the reason.")
@json_option
def status(archive_folder: Path, failed: bool, as_json: bool) -> int:
    """Show what the archive holds: videos, hours, clips, encoder, sizes, folders."""
    from savecli.archive.contents import archive_contents
    from savecli.archive.store import open_archive

    archive = open_archive(archive_folder)
    if failed:
        _show_failures(archive, as_json=as_json)
        return 0
    contents = archive_contents(archive)
    if as_json:
        click.echo(json.dumps(_document(contents), indent=2))
    else:
        for line in _lines(contents):
            click.echo(line)
    return 0


def _lines(contents: ArchiveContents) -> list[str]:
    from savecli.cli.render import count, length, one_line
    from savecli.core.sizes import size

    videos = count(contents.num_videos, "video")
    if contents.num_missing:
        videos += f", {contents.num_missing} of them missing (save remove --missing)"
    encoder = contents.encoder.name if contents.encoder else "none yet"
    if contents.next_encoder:
        encoder += f" (re-encoding to {contents.next_encoder.name} is unfinished: save index goes on)"
    sources = contents.speech_sources
    table = [
        ("archive", str(contents.folder)),
        ("holds", f"{videos} · {length(contents.hours * 3600)} · {count(contents.num_clips, 'clip')}"),
        ("encoder", encoder),
        ("speech", ", ".join(f"{number} {kind}" for kind, number in sources.items()) or "–"),
        ("on disk", size(contents.size_bytes)),
        ("failed", f"{contents.num_failed} (save status --failed)" if contents.num_failed else "0"),
    ]
    for root in contents.roots:
        table.append(("folder", one_line(str(root.path)) + (" (offline)" if root.is_offline else "")))
    width = max(len(name) for name, _ in table)
    return [f"{name:<{width}}  {value}" for name, value in table]


def _document(contents: ArchiveContents) -> dict[str, Any]:
    return {
        "schema": 1,
        "archive": str(contents.folder),
        "videos": contents.num_videos,
        "missing": contents.num_missing,
        "hours": round(contents.hours, 3),
        "clips": contents.num_clips,
        "failed": contents.num_failed,
        "encoder": contents.encoder and contents.encoder.name,
        "next_encoder": contents.next_encoder and contents.next_encoder.name,
        "language": contents.language,
        "speech": contents.speech_sources,
        "size_bytes": contents.size_bytes,
        "roots": [{"path": str(root.path), "offline": root.is_offline} for root in contents.roots],
    }


def _show_failures(archive: Archive, *, as_json: bool) -> None:
    from savecli.archive.paths import real_path
    from savecli.cli.render import one_line

    failures = archive.failure_rows()
    if as_json:
        found = [{"path": str(real_path(failure.path)), "reason": failure.reason} for failure in failures]
        click.echo(json.dumps({"schema": 1, "failed": found}, indent=2))
        return
    for failure in failures:
        click.echo(f"{one_line(failure.path)}: {failure.reason}")
    text = "`save index --retry-failed` tries them again." if failures else "Nothing has failed."
    click.echo(text, err=True)

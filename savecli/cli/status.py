"""`save status`: what the archive holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.options import archive_option, json_option

if TYPE_CHECKING:
    from savecli.archive.store import Archive


@click.command(epilog="Example: save status --failed")
@archive_option
@click.option("--failed", is_flag=True, help="List the files that could not be indexed, with the reason.")
@json_option
def status(archive_folder: Path, failed: bool, as_json: bool) -> int:
    """Show what the archive holds: videos, hours, clips, encoder, sizes, folders."""
    from savecli.archive.store import open_archive

    archive = open_archive(archive_folder)
    if failed:
        _show_failures(archive, as_json=as_json)
        return 0
    facts = _facts(archive)
    if as_json:
        click.echo(json.dumps({"schema": 1, **facts}, indent=2))
    else:
        for line in _lines(facts):
            click.echo(line)
    return 0


def _facts(archive: Archive) -> dict[str, Any]:
    from savecli.archive.disk import size_on_disk
    from savecli.archive.plan import is_gone

    rows = archive.video_rows()
    contents = {row.video_id: row for row in rows}.values()
    sources: dict[str, int] = {}
    for row in contents:
        kind = row.speech_source.partition(":")[0]
        sources[kind] = sources.get(kind, 0) + 1
    manifest = archive.manifest
    return {
        "archive": str(archive.folder),
        "videos": len(rows),
        "missing": sum(row.is_missing for row in rows),
        "hours": round(sum(row.duration_s for row in contents) / 3600, 3),
        "clips": archive.clips.count_rows(),
        "failed": archive.failures.count_rows(),
        "encoder": manifest.encoder and manifest.encoder.name,
        "next_encoder": manifest.next_encoder and manifest.next_encoder.name,
        "language": manifest.language,
        "speech": dict(sorted(sources.items())),
        "size_bytes": size_on_disk(archive.folder),
        "roots": [
            {"path": root.path, "offline": root.is_offline or is_gone(Path(root.path))} for root in manifest.roots
        ],
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    from savecli.cli.render import count, length, one_line, size

    videos = count(facts["videos"], "video")
    if facts["missing"]:
        videos += f", {facts['missing']} of them missing (save remove --missing)"
    encoder = facts["encoder"] or "none yet"
    if facts["next_encoder"]:
        encoder += f" (re-encoding to {facts['next_encoder']} is unfinished: save index goes on)"
    table = [
        ("archive", facts["archive"]),
        ("holds", f"{videos} · {length(facts['hours'] * 3600)} · {count(facts['clips'], 'clip')}"),
        ("encoder", encoder),
        ("speech", ", ".join(f"{number} {kind}" for kind, number in facts["speech"].items()) or "–"),
        ("on disk", size(facts["size_bytes"])),
        ("failed", f"{facts['failed']} (save status --failed)" if facts["failed"] else "0"),
    ]
    table += [("folder", one_line(root["path"]) + (" (offline)" if root["offline"] else "")) for root in facts["roots"]]
    width = max(len(name) for name, _ in table)
    return [f"{name:<{width}}  {value}" for name, value in table]


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

"""`save archive info`: what the archive holds and takes, table by table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from savecli.cli.options import archive_option, json_option
from savecli.cli.tables import show_table

if TYPE_CHECKING:
    from savecli.archive.info import ArchiveFacts, TableFacts

_TEXT_SIDES = {
    "onnxruntime": "in the archive",
    "torch": "through torch, as it cannot be exported",
    "missing": "through torch until the next `save index`",
    "none": "words alone",
}


@click.command(epilog="Example: save archive info --json")
@archive_option
@json_option
def info(archive_folder: Path, as_json: bool) -> int:
    """Show what the archive holds and what it takes on disk, table by table."""
    from savecli.archive.info import archive_facts
    from savecli.archive.store import open_archive

    facts = archive_facts(open_archive(archive_folder))
    if as_json:
        click.echo(json.dumps(_document(facts), indent=2))
        return 0
    lines = list(_lines(facts))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        click.echo(f"{name:<{width}}  {text}")
    click.echo()
    show_table("", [("table", "rows", "on disk", "files", "versions"), *map(_row, facts.tables)])
    click.echo()
    show_table("", [("index", "kind", "rows behind"), *_index_rows(facts.tables)])
    return 0


def _lines(facts: ArchiveFacts) -> Iterator[tuple[str, str]]:
    from savecli.cli.render import count, length, one_line
    from savecli.core.sizes import size

    contents = facts.contents
    yield "archive", f"{one_line(str(contents.folder))} (schema {facts.schema_version})"
    videos = count(contents.num_videos, "video") + (f", {contents.num_missing} missing" if contents.num_missing else "")
    yield "holds", f"{videos} · {length(contents.hours * 3600)} · {count(contents.num_clips, 'clip')}"
    encoder = contents.encoder
    if encoder is None:
        yield "encoder", "none yet"
    elif encoder.dimension == 0:
        yield "encoder", f"{encoder.label} (said)"
    else:
        yield "encoder", f"{encoder.label} ({', '.join(encoder.senses)}; {encoder.dimension} numbers)"
    if facts.reencoding is not None:
        done = f"{facts.reencoding.num_done} of {count(facts.reencoding.num_videos, 'video')}"
        yield "next", f"{facts.reencoding.record.label}: {done}; `save index` goes on"
    yield "queries", _TEXT_SIDES[facts.text_side]
    if facts.text_side != "none":
        yield "calibrated", "yes" if facts.is_calibrated else "no, what is only seen is of low confidence"
    yield "words", f"stemmed as {contents.language}"
    yield "on disk", f"{size(contents.size_bytes)}, {size(contents.bytes_per_clip)} a clip"


def _row(table: TableFacts) -> tuple[str, ...]:
    from savecli.core.sizes import size

    return table.name, str(table.num_rows), size(table.size_bytes), str(table.num_fragments), str(table.num_versions)


def _index_rows(tables: Sequence[TableFacts]) -> Iterator[tuple[str, ...]]:
    for table in tables:
        for index in table.indexes:
            yield f"{table.name}.{index.column}", index.kind, str(index.num_unindexed)


def _document(facts: ArchiveFacts) -> dict[str, Any]:
    from dataclasses import asdict

    contents, reencoding = facts.contents, facts.reencoding
    return {
        "schema": 1,
        "archive": str(contents.folder),
        "archive_schema": facts.schema_version,
        "videos": contents.num_videos,
        "missing": contents.num_missing,
        "failed": contents.num_failed,
        "clips": contents.num_clips,
        "hours": round(contents.hours, 3),
        "language": contents.language,
        "encoder": contents.encoder and asdict(contents.encoder),
        "next_encoder": reencoding
        and {
            "name": reencoding.record.name,
            "videos_done": reencoding.num_done,
            "videos": reencoding.num_videos,
        },
        "text_side": facts.text_side,
        "is_calibrated": facts.is_calibrated,
        "size_bytes": contents.size_bytes,
        "bytes_per_clip": contents.bytes_per_clip,
        "tables": [asdict(table) for table in facts.tables],
    }

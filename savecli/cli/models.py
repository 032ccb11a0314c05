"""`save models`: which model weights there are, which of them are here, and fetching the others."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from savecli.cli.options import json_option
from savecli.cli.progress_bar import shown_progress
from savecli.cli.render import JSON_SCHEMA, is_terminal, one_line
from savecli.core.errors import UsageError, WeightsError
from savecli.core.progress import Progress
from savecli.core.sizes import size

if TYPE_CHECKING:
    from savecli.model.hub import Hub


@dataclass(frozen=True)
class ModelRow:
    """One line of the list.

    Args:
        name: what `save models pull` takes.
        path: where it lies on this machine, or None.
        is_default: taken when nothing is asked for.
    """

    name: str
    kind: Literal["clip", "whisper", "sphinx", "imported", "save"]
    purpose: str
    size_bytes: int
    path: Path | None
    is_default: bool = False


@click.group(invoke_without_command=True, epilog="Example: save models && save models pull clip")
@json_option
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List model weights: what each is for, its size, and whether it is here. Asks no network."""
    if context.invoked_subcommand is None:
        _show(list(model_rows()), as_json=as_json)


@models.command("list", epilog="Example: save models list --json")
@json_option
def list_models(as_json: bool) -> None:
    """List model weights, as `save models` alone does."""
    _show(list(model_rows()), as_json=as_json)


@models.command(epilog="Example: save models pull clip --dir /media/stick/clip")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    show_default="the hub's cache",
    help="Put the files into this folder, to be copied to a machine without a connection.",
)
@click.option("--offline", is_flag=True, help="Never use the network: succeed only if the weights are here already.")
def pull(name: str, folder: Path | None, offline: bool) -> None:
    """Download the weights NAME (see `save models`) and print where they are."""
    from savecli.model.hub import Hub

    hub, folder = Hub(offline=offline), folder and folder.expanduser().absolute()
    with shown_progress() as progress:
        if name.partition(":")[0] == "clip":
            path = _pull_clip(name, folder, hub, progress)
            usage = f"save index VIDEOS --encoder clip:{path}"
        elif name.startswith("whisper-"):
            path = _pull_whisper(name, folder, hub, progress)
            usage = f"save index VIDEOS --whisper {path}"
        else:
            raise UsageError(
                f"there is nothing to pull for `{name}`",
                why="`words` and PocketSphinx need no download; other names begin with `clip` or `whisper-`",
                fix="name one that `save models` lists, or any `clip:MODEL/PRETRAINED` that open_clip knows",
            )
    click.echo(path)
    if folder is not None:
        click.echo(f"Copy this folder to the other machine. If it lies at the same place there: {usage}", err=True)


@models.command("import", epilog="Example: save models import pytorch_model.bin.4 --as save-msrvtt")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as", "name", required=True, metavar="NAME", help="What to call it here.")
def import_model(file: Path, name: str) -> None:
    """Convert the weights in FILE to a model of ours and print where it is.

    FILE is a checkpoint of SAVE or AVIGATE by their authors, OpenAI's CLIP, an AST or a Whisper. Code in it is not run.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(
            f"cannot call a model `{name}`", why="allowed: letters, digits, `.`, `-`, `_`", fix="rename it"
        )
    from savecli.model.importing import import_file

    folder = imported_models() / name
    imported = import_file(file.expanduser().absolute(), folder)
    click.echo(folder)
    click.echo(f"Imported {imported.name}.", err=True)


def imported_models() -> Path:
    """Folder of what was imported, one folder a model, in the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("save", appauthor=False) / "models"


def model_rows() -> Iterator[ModelRow]:
    """Every model worth naming and its place on this machine; loads none of them and asks no network."""
    from savecli.model.clip_spec import DEFAULT_CLIP, KNOWN_CLIPS, ClipSpec
    from savecli.model.clip_weights import WEIGHTS_FILE
    from savecli.model.hub import Hub
    from savecli.transcript.choose import SpeechConfig
    from savecli.transcript.whisper_weights import WHISPER_MODELS, find_whisper

    hub = Hub(offline=True)
    for clip in KNOWN_CLIPS:
        spec = ClipSpec(clip.architecture, clip.pretrained)
        path = hub.cached(clip.repo, WEIGHTS_FILE)
        yield ModelRow(spec.name, "clip", clip.purpose, clip.size_bytes, path, spec == DEFAULT_CLIP)
    for name, whisper in WHISPER_MODELS.items():
        is_default = name == SpeechConfig().whisper_model
        path = find_whisper(name)
        yield ModelRow(f"whisper-{name}", "whisper", whisper.purpose, whisper.size_bytes, path, is_default)
    yield _sphinx_row()
    yield _tiny_row()
    for path in sorted(imported_models().glob("[!.]*/")):
        size_bytes = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        yield ModelRow(path.name, "imported", "imported", size_bytes, path)


def _sphinx_row() -> ModelRow:
    package = importlib.util.find_spec("pocketsphinx")
    path = Path(package.origin).parent / "model" / "en-us" if package and package.origin else None
    size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path else 0
    purpose = "speech, English: many errors; comes with save"
    return ModelRow("pocketsphinx en-us", "sphinx", purpose, size_bytes, path)


def _tiny_row() -> ModelRow:
    path = Path(str(resources.files("savecli.model") / "tiny_world"))
    size_bytes = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return ModelRow("tiny-world", "save", "the drawn world only; comes with save", size_bytes, path)


def _pull_clip(name: str, folder: Path | None, hub: Hub, progress: Progress) -> Path:
    """Folder or file with the weights."""
    from savecli.model.clip_spec import parse_clip_spec
    from savecli.model.clip_weights import export_clip, fetch_clip, find_clip

    source = find_clip(parse_clip_spec(name), hub)
    if folder is None:
        path = fetch_clip(source, hub, progress).weights
        assert path is not None
        return path
    export_clip(source, folder, hub, progress)
    return folder


def _pull_whisper(name: str, folder: Path | None, hub: Hub, progress: Progress) -> Path:
    """Folder with the weights."""
    from savecli.transcript.whisper_weights import download_whisper, find_whisper, whisper_size

    whisper_size(name)  # refuses paths, which `find_whisper` takes
    here = find_whisper(name)
    if here is None:
        if not hub.reachable:
            fix = f"`save models pull {name} --dir FOLDER` where there is a connection, then copy the folder here"
            raise WeightsError(f"cannot download {name}", why=hub.obstacle, fix=fix)
        return download_whisper(name, directory=folder, progress=progress)
    # Copying follows the cache's links, so the folder stands by itself.
    return here if folder is None else Path(shutil.copytree(here, folder, dirs_exist_ok=True))


def _show(rows: Sequence[ModelRow], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"schema": JSON_SCHEMA, "models": [_row_json(row) for row in rows]}, indent=2))
    elif is_terminal():
        click.echo("\n".join(_table_lines(rows)))
    else:
        for row in rows:
            click.echo("\t".join((row.name, row.purpose, size(row.size_bytes), _place(row))))


def _table_lines(rows: Sequence[ModelRow]) -> Iterator[str]:
    """A line a model, aligned; where it lies follows on a line of its own, since paths are longer than a terminal."""
    name_width = max(len(_marked_name(row)) for row in rows)
    for row in rows:
        state = "here" if row.path else "not here"
        yield f"{_marked_name(row):<{name_width}}  {size(row.size_bytes):>8}  {state:<8}  {row.purpose}"
        if row.path:
            yield f"    {one_line(str(row.path))}"


def _marked_name(row: ModelRow) -> str:
    return f"{row.name} (default)" if row.is_default else row.name


def _place(row: ModelRow) -> str:
    return str(row.path) if row.path else "not here"


def _row_json(row: ModelRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "purpose": row.purpose,
        "size_bytes": row.size_bytes,
        "is_default": row.is_default,
        "is_here": row.path is not None,
        "path": str(row.path) if row.path else None,
    }

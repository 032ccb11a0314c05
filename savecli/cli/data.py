"""`save data`: which datasets there are, whether a copy of one is whole, and filling the cache for training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from savecli.cli.options import json_option
from savecli.cli.prepare_lines import num_missing, plan_line, summary
from savecli.cli.progress_bar import shown_progress
from savecli.cli.render import JSON_SCHEMA, count, one_line, some_names
from savecli.cli.world import DEFAULT_SIZE
from savecli.core.errors import UsageError

if TYPE_CHECKING:
    from savecli.datasets.verify import SplitVerification, Verification
    from savecli.training.cache_plan import CacheRequest
    from savecli.training.session import OpenData

Command = TypeVar("Command", bound=Callable[..., Any])
DONE, SKIPPED_SOME = 0, 3
_FOLDER = click.Path(path_type=Path, file_okay=False)
_PATH = click.Path(path_type=Path)
# The user's own, of which no protocol says what splits there are, nor anybody where more can be had.
OWN = "manifest"


def _folder_options(command: Command) -> Command:
    """Where a dataset lies."""
    for option in (
        click.option("--asr", type=_PATH, help="File of transcripts; else those in the root."),
        click.option("--videos", type=_FOLDER, help="Folder of the video files, however deep; else the root's."),
        click.option("--root", type=_PATH, required=True, help="Folder of the annotation files, or a manifest."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True, epilog="Example: save data && save data verify lsmdc --root /data/lsmdc")
@json_option
@click.pass_context
def data(context: click.Context, as_json: bool) -> None:
    """List datasets: the files each is made of, and where people get them."""
    if context.invoked_subcommand is None:
        _show_list(as_json=as_json)


@data.command("list", epilog="Example: save data list --json")
@json_option
def list_datasets(as_json: bool) -> None:
    """List datasets, as `save data` alone does."""
    _show_list(as_json=as_json)


@data.command(epilog="Example: save data verify msrvtt-9k --root /data/msrvtt --decode")
@click.argument("name")
@_folder_options
@click.option("--decode", is_flag=True, help="Also decode pictures and sound of every clip.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Files at a time.")
@json_option
def verify(name: str, root: Path, videos: Path | None, asr: Path | None, decode: bool, jobs: int, as_json: bool) -> int:
    """Check a copy of the dataset NAME: files, captions, transcripts.

    Exits with 3 when something is missing, or differs from the published splits.
    """
    from savecli.cli.clip_check import why_unusable
    from savecli.datasets.asr import read_transcripts
    from savecli.datasets.locate import locate
    from savecli.datasets.registry import find_dataset
    from savecli.datasets.verify import verify as verified

    kind = find_dataset(name)
    dataset = kind.read(root)
    located = locate(dataset, videos)
    words = read_transcripts(dataset, asr)
    check = why_unusable if decode else None
    with shown_progress() as progress:
        found = verified(dataset, located, check, transcripts=words, num_threads=jobs, progress=progress)
    if as_json:
        document = {"schema": JSON_SCHEMA, "is_complete": found.is_complete, "source": kind.source, **asdict(found)}
        click.echo(json.dumps(document, indent=2, default=str))
    else:
        click.echo("\n".join(_verification_lines(found, kind.source)))
    return DONE if found.is_complete else SKIPPED_SOME


@data.command(epilog="Example: save data prepare msrvtt-9k --root /data/msrvtt --preset save --audio ast.safetensors")
@click.argument("name")
@_folder_options
@click.option("--cache", type=_FOLDER, show_default="`cache` in the root", help="Folder of the cache.")
@click.option("--preset", help="The model it is for.  [default: save, for synthetic save-drawn]")
@click.option("--checkpoint", metavar="MODEL", help="The model it is for instead, as `save eval` names it.")
@click.option("--audio", type=_PATH, help="Weights of the preset's frozen audio encoder: keep what it makes of sound.")
@click.option(
    "--teacher", metavar="NAME", help="Keep vectors: `pe-av`, `pe-av:DIR`, `imagebind:FILE`, or files in DIR."
)
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, `mps`, or what is fastest.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Clips at a time.")
@click.option("--verify", "check_sums", is_flag=True, help="Compare all checksums, and make anew what is damaged.")
@click.option("--retry-failed", is_flag=True, help="Also try clips again that could not be read before.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done and how large it is, then stop.")
def prepare(
    name: str,
    root: Path,
    videos: Path | None,
    asr: Path | None,
    cache: Path | None,
    jobs: int,
    check_sums: bool,
    retry_failed: bool,
    only_plan: bool,
    **model: Any,
) -> int:
    """Decode the clips of the dataset NAME once, for fast training, and print where the cache is.

    Run it again to go on after a stop, or to take in files that have changed or come since. Exits with 3 when clips
    were left out.
    """
    from savecli.training.cache_plan import plan_cache
    from savecli.training.prepare import prepare_request
    from savecli.training.session import open_data

    opened = open_data(name, root, videos=videos, asr=asr)
    folder = (cache or (root if root.is_dir() else root.parent) / "cache").absolute()
    with shown_progress() as progress:
        request = _request(opened, progress, is_drawn=name == "synthetic", **model)
        plan = plan_cache(opened.dataset, opened.located, request, folder, retry_failed=retry_failed)
        click.echo(plan_line(plan, opened, request, folder), err=True)
        if only_plan:
            return DONE
        report = prepare_request(
            opened.dataset,
            opened.located,
            request,
            folder,
            retry_failed=retry_failed,
            verify=check_sums,
            progress=progress,
            num_workers=jobs,
        )
    click.echo(summary(report, opened), err=True)
    click.echo(folder)
    return SKIPPED_SOME if report.failures or num_missing(opened) else DONE


@data.command(epilog="Example: save data make synthetic --out world --train 200 --val 40 --test 40")
@click.argument("name", type=click.Choice(["synthetic"]))
@click.option("--out", type=_FOLDER, required=True, help="Folder to draw it into; new or empty.")
@click.option("--seed", default=DEFAULT_SIZE.seed, show_default=True, help="Decides every clip.")
@click.option("--train", default=DEFAULT_SIZE.num_train, show_default=True, metavar="N", help="Clips to train on.")
@click.option("--val", default=DEFAULT_SIZE.num_val, show_default=True, metavar="N", help="Clips to choose by.")
@click.option("--test", default=DEFAULT_SIZE.num_test, show_default=True, metavar="N", help="Clips to report on.")
def make(name: str, out: Path, seed: int, train: int, val: int, test: int) -> None:
    """Draw the world NAME: short clips with sounds and speech, their captions, and a teacher that knows the truth."""
    from savecli.cli.world import WorldSize, make_drawn_world

    with shown_progress() as progress:
        make_drawn_world(out, progress, size=WorldSize(seed, train, val, test))
    click.echo(out.absolute())


def _request(
    opened: OpenData,
    progress: Any,
    *,
    is_drawn: bool,
    preset: str | None,
    checkpoint: str | None,
    audio: Path | None,
    teacher: str | None,
    device: str,
) -> CacheRequest:
    """What the cache is to hold, with the models that make it loaded."""
    from savecli.cli.models import imported_models
    from savecli.model.hub import Hub
    from savecli.model.open_checkpoint import open_checkpoint
    from savecli.model.precision import choose_device
    from savecli.model.presets import find_preset
    from savecli.training.cache_plan import CacheRequest, open_teacher
    from savecli.training.cache_tokens import frozen_encoder
    from savecli.training.launch import DEFAULT_PRESET, drawn_preset
    from savecli.transcript.choose import SpeechConfig, build_transcriber

    if checkpoint is not None and audio is not None:
        raise UsageError("--audio beside --checkpoint", why="a checkpoint has its own encoder", fix="leave one out")
    hub, place = Hub(), choose_device(device)
    if checkpoint is not None:
        folder = imported_models()
        model, config, _ = open_checkpoint(checkpoint, hub=hub, device=place, imported=folder, progress=progress)
        branch = model.audio
    else:
        config = find_preset(drawn_preset(preset) if is_drawn else preset or DEFAULT_PRESET)
        branch = frozen_encoder(config, audio).to(place) if audio is not None else None
    taught = open_teacher(teacher, hub=hub, device=place) if teacher is not None else None
    transcriber = build_transcriber(SpeechConfig(), hub_reachable=lambda: hub.reachable, progress=progress)
    request = CacheRequest(config, branch, opened.speech, transcriber=transcriber)
    if taught is None:
        return request
    return replace(request, teacher=taught.teacher, teacher_name=taught.name, teacher_fingerprint=taught.fingerprint)


def _show_list(*, as_json: bool) -> None:
    from savecli.datasets.registry import DATASETS

    if as_json:
        rows = [{"name": kind.name, "layout": kind.layout, "source": kind.source} for kind in DATASETS.values()]
        click.echo(json.dumps({"schema": JSON_SCHEMA, "datasets": rows}, indent=2))
        return
    for kind in DATASETS.values():
        click.echo(f"{kind.name}\n    from: {kind.source}")
        for line in kind.layout.splitlines():
            click.echo(f"    {line}")


def _verification_lines(found: Verification, source: str) -> Iterator[str]:
    for split in found.splits:
        yield from _split_lines(split, is_decoded=found.is_decoded)
    for name in found.absent:
        yield f"{name}: the published protocol has this split, this copy does not"
    there = {split.split for split in found.splits}
    if found.dataset == OWN and (lacking := [f"`{name}`" for name in ("train", "val", "test") if name not in there]):
        yield f"no row falls into {' or '.join(lacking)}; a column `split` decides it"
    if found.ambiguous:
        yield f"several files fit: {_some(list(found.ambiguous))}; the first of each is used"
    if found.disputed:
        pairs = [f"{name} ({path})" for name, path in found.disputed.items()]
        yield f"missing, as the file that fits fits another clip, too: {_some(pairs)}"
    if found.num_unknown_transcripts:
        yield f"transcripts of clips in no split: {found.num_unknown_transcripts}"
    yield f"searched: {', '.join(one_line(str(folder)) for folder in found.folders) or 'no folder'}"
    if found.is_complete:
        yield "complete" if found.is_decoded else "complete, by the names of files (--decode opens them)"
    elif found.dataset != OWN and (any(split.missing or split.undecodable for split in found.splits) or found.absent):
        yield f"what is missing comes from: {source}"


def _split_lines(split: SplitVerification, *, is_decoded: bool) -> Iterator[str]:
    facts = [count(split.num_clips, "clip"), count(split.num_captions, "caption"), f"{split.num_found} found"]
    facts += [f"{split.num_usable} can be decoded"] if is_decoded else []
    facts += [f"{split.num_with_transcript} with speech"] if split.num_with_transcript is not None else []
    yield f"{split.name}: {', '.join(facts)}"
    if split.missing:
        yield f"    missing: {_some(split.missing)}"
    reasons: dict[str, list[str]] = {}
    for name, reason in split.undecodable.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield f"    cannot be decoded: {_some(names)}: {reason}"
    for reason, number in split.dropped.items():
        yield f"    left out: {number} × {reason}: {_some(tuple(dict.fromkeys(split.dropped_names[reason])))}"
    if split.duplicate_captions:
        yield f"    captions that tell of several clips: {len(split.duplicate_captions)}; their ranks tie"
    for text in split.mismatches:
        yield f"    {text}"


def _some(names: Sequence[str]) -> str:
    return some_names(names, rest=" (--json has all)")

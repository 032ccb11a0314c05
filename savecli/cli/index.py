"""`save index`: bring the archive up to date with folders of videos."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savecli.cli.options import archive_option

if TYPE_CHECKING:
    from savecli.archive.run import IndexReport
    from savecli.archive.store import Archive
    from savecli.archive.survey import IndexSettings, Survey
    from savecli.transcript.choose import Choice, SpeechConfig

DONE, SKIPPED_SOME = 0, 3
# More threads than this wait for the disk and the encoder instead of helping.
_MAX_DEFAULT_JOBS = 8


def _default_jobs() -> int:
    return min(_MAX_DEFAULT_JOBS, os.cpu_count() or 1)


@click.command(epilog='Example: save index ~/videos --exclude "raw/*"')
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@archive_option
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out matching files or folders (repeatable).")
@click.option(
    "--encoder",
    metavar="NAME|FOLDER",
    show_default="the archive's own; for a new archive the best that can be had",
    help="auto, words, clip, clip:MODEL/PRETRAINED, tiny-world, or a trained or imported model; see `save models`.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Re-encode also with an encoder that is no better; transcripts are kept, the old vectors too until done.",
)
@click.option(
    "--switch-now",
    is_flag=True,
    help="Search with a new encoder although some videos (of a drive that is away) lack its vectors.",
)
@click.option(
    "--speech",
    type=click.Choice(["auto", "subtitles", "whisper", "sphinx", "none"]),
    default="auto",
    show_default=True,
    help="Where words come from: subtitles that exist, else speech recognition.",
)
@click.option("--whisper", "whisper_model", metavar="SIZE|FOLDER", help="Whisper model for speech recognition.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda or mps.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="fits the device",
    help="Clips encoded at a time.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=_default_jobs,
    show_default="one a processor, 8 at most",
    metavar="N",
    help="Files decoded at a time.",
)
@click.option("--offline", is_flag=True, help="Never use the network, not even to look for model weights.")
@click.option("--retry-failed", is_flag=True, help="Also try files again that failed before and have not changed.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, then stop. Writes nothing.")
def index(
    folders: tuple[Path, ...],
    archive_folder: Path,
    exclude: tuple[str, ...],
    encoder: str | None,
    rebuild: bool,
    switch_now: bool,
    speech: Choice,
    whisper_model: str | None,
    device: str,
    batch_size: int | None,
    jobs: int,
    offline: bool,
    retry_failed: bool,
    only_plan: bool,
) -> int:
    """Add the videos below FOLDERS to the archive, or bring them up to date.

    Without FOLDERS every folder indexed before is looked at again. Nothing is ever deleted because a drive is not
    connected; `save remove` deletes.
    """
    from savecli.archive.survey import IndexSettings
    from savecli.cli.models import imported_models
    from savecli.transcript.choose import SpeechConfig

    settings = IndexSettings(
        roots=tuple(Path(os.path.abspath(folder.expanduser())) for folder in folders),
        exclude=exclude,
        encoder=encoder,
        rebuild=rebuild,
        switch_now=switch_now,
        retry_failed=retry_failed,
        jobs=jobs,
        device=device,
        batch_size=batch_size,
        imported=imported_models(),
    )
    config = SpeechConfig(source=speech, allow_download=not offline)
    if whisper_model is not None:
        config = replace(config, whisper_model=whisper_model)
    if only_plan:
        return _show_plan(archive_folder, settings, offline=offline)
    return _index(archive_folder, settings, config, offline=offline)


def _show_plan(folder: Path, settings: IndexSettings, *, offline: bool) -> int:
    from savecli.archive.manifest import FILE_NAME
    from savecli.archive.store import open_archive
    from savecli.archive.survey import survey_index
    from savecli.model.hub import Hub

    archive = open_archive(folder) if (folder / FILE_NAME).exists() else None
    survey = survey_index(archive, settings, hub=Hub(offline=offline))
    click.echo(plan_line(survey))
    _explain(survey)
    return _exit_code(survey, None)


def _index(folder: Path, settings: IndexSettings, config: SpeechConfig, *, offline: bool) -> int:
    from savecli.archive.create import create_archive, make_place
    from savecli.archive.disk import full_disk_told
    from savecli.archive.job import carry_out
    from savecli.archive.lock import writing
    from savecli.archive.manifest import FILE_NAME
    from savecli.archive.reencoding import recover
    from savecli.archive.store import open_archive
    from savecli.archive.survey import check_settings, survey_index
    from savecli.cli.memory import return_freed_memory
    from savecli.cli.progress_bar import shown_progress
    from savecli.model.hub import Hub
    from savecli.transcript.choose import build_transcriber

    return_freed_memory()
    hub = Hub(offline=offline)
    if not (folder / FILE_NAME).exists():
        check_settings(settings, hub=hub)
        make_place(folder)
    try:
        with full_disk_told(folder), writing(folder) as was_torn:
            archive = open_archive(folder) if (folder / FILE_NAME).exists() else create_archive(folder)
            if was_torn:
                recover(archive)
            survey = survey_index(archive, settings, hub=hub)
            click.echo(plan_line(survey), err=True)
            _explain(survey)
            with shown_progress() as progress:
                report = carry_out(
                    archive,
                    survey,
                    settings,
                    build_transcriber=lambda: build_transcriber(config, hub_reachable=lambda: hub.reachable),
                    hub=hub,
                    progress=progress,
                    was_torn=was_torn,
                )
    except KeyboardInterrupt:
        click.echo("\nStopped. What was finished is in the archive; run the same command to go on.", err=True)
        return 130
    _summarise(survey, report)
    _tell_unfinished(archive)
    return _exit_code(survey, report)


def plan_line(survey: Survey) -> str:
    """`Plan: 3 new, 1 changed, 1 moved, 212 unchanged, 1 missing · 1 h 42 min to index · encoder: …`"""
    from savecli.cli.render import length

    plan = survey.plan
    kinds = (
        (len(plan.new), "new"),
        (len(plan.changed), "changed"),
        (len(plan.moved), "moved"),
        (len(plan.copied), "copied"),
        (len(survey.to_reencode), "to re-encode"),
        (len(plan.unchanged) + len(plan.touched) + len(plan.returned), "unchanged"),
        (len(plan.missing), "missing"),
        (len(plan.offline), "offline"),
        (len(plan.failed_before), "failed before"),
    )
    counts = ", ".join(f"{number} {kind}" for number, kind in kinds if number) or "nothing found"
    work = f"{length(survey.total_s)} to index" if survey.has_work else "nothing to index"
    return f"Plan: {counts} · {work} · encoder: {_encoder_part(survey)}"


def _encoder_part(survey: Survey) -> str:
    """`clip ViT-B-32 (openai)`, or `words → clip ViT-B-32 (openai), goes on after 2 of 5 videos`."""
    label = f"{survey.replaced.label} → {survey.label}" if survey.replaced else survey.label
    if survey.resumed is None:
        return label
    done, total = survey.resumed
    from savecli.cli.render import count

    return f"{label}, goes on after {done} of {count(total, 'video')}"


def _explain(survey: Survey) -> None:
    """Why this encoder, and what was passed over on the way, on stderr."""
    from savecli.cli.render import one_line

    choice = survey.choice
    if choice is not None and choice.reason and survey.has_work and choice.reason != "the archive's own":
        click.echo(f"Encoder {choice.label}: {choice.reason}", err=True)
    if survey.better and survey.has_work:
        click.echo(survey.better[0].upper() + survey.better[1:], err=True)
    for root in survey.scan.offline_roots:
        click.echo(f"Offline: {one_line(str(root))} is not there or empty; its videos stay in the archive.", err=True)
    for skipped in survey.scan.skipped:
        click.echo(f"Skipped {one_line(str(skipped.path))}: {skipped.reason}", err=True)


def _summarise(survey: Survey, report: IndexReport) -> None:
    from savecli.cli.render import count, one_line

    for note in report.notes:
        click.echo(f"Speech: {note}", err=True)
    if not survey.has_work and not report.skipped:
        click.echo("The archive is up to date.", err=True)
        return
    line = f"Indexed {count(report.num_videos, 'video')}, {count(report.num_clips, 'clip')}."
    if len(report.skipped) == 1:
        skipped = report.skipped[0]
        line += f" Skipped 1: {one_line(_shown(skipped.path, survey.roots))}: {skipped.reason} (save status --failed)"
    elif report.skipped:
        line += f" Skipped {len(report.skipped)} (save status --failed)"
    click.echo(line, err=True)


def _tell_unfinished(archive: Archive) -> None:
    """Which encoder answers, and what keeps the next one waiting."""
    from savecli.archive.reencoding import unfinished_reencoding
    from savecli.cli.render import count, one_line

    begun, old = unfinished_reencoding(archive), archive.manifest.encoder
    if begun is None or old is None or not begun.lacking:
        return
    lacking = count(len(begun.lacking), "video")
    click.echo(
        f"`{old.name}` goes on answering: {lacking} could not be re-encoded yet, "
        f"e.g. {one_line(begun.lacking[0].path)}. Connect its drive and run `save index`; or go over to "
        f"`{begun.record.name}` without them (found by their words until they are back): `save index --switch-now`.",
        err=True,
    )


def _shown(path: Path, roots: tuple[Path, ...]) -> str:
    """The path below its root, as the user thinks of it."""
    below = [path.relative_to(root) for root in roots if path != root and path.is_relative_to(root)]
    return str(min(below, key=lambda part: len(part.parts), default=path.name))


def _exit_code(survey: Survey, report: IndexReport | None) -> int:
    passed_over = (
        survey.scan.offline_roots,
        survey.scan.skipped,
        survey.plan.failed_before,
        report.skipped if report else (),
    )
    return SKIPPED_SOME if any(passed_over) else DONE

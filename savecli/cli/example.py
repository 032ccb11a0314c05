"""`--image`, `--clip` and `--like` of `save query`: from what a user names to examples."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from savecli.cli.options import Seconds
from savecli.core.errors import MediaError, UsageError

if TYPE_CHECKING:
    from savecli.archive.store import Archive
    from savecli.core.encoder import Encoder
    from savecli.core.records import Span
    from savecli.search.example import Example

Command = TypeVar("Command", bound=Callable[..., Any])

_WEIGHTED = re.compile(r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)):(.+)", re.DOTALL)
# A time may be copied from an answer, whose spans have a longer dash.
_SPAN = re.compile(r"(.+)@([\d:.hms]+)[-\N{EN DASH}]([\d:.hms]+)", re.DOTALL)

_OPTIONS = (
    click.option(
        "--image",
        "images",
        multiple=True,
        metavar="FILE",
        help="Clips like this picture; 2:FILE weighs it, -1:FILE subtracts it (repeatable).",
    ),
    click.option(
        "--clip",
        "clips",
        multiple=True,
        metavar="FILE@A-B",
        help="Clips like this span of a video, as talk.mp4@1:20-1:30 (repeatable).",
    ),
    click.option(
        "--like",
        "hits",
        multiple=True,
        metavar="N",
        help="Clips like hit N of the last query; 2.3 is the third moment of the second video (repeatable).",
    ),
)


@dataclass(frozen=True)
class Named:
    """Examples as they were typed."""

    images: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    hits: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.images or self.clips or self.hits)


def example_options(command: Command) -> Command:
    """What hits should be like; the command gets it as `named`."""

    @wraps(command)
    def gathered(*, images: tuple[str, ...], clips: tuple[str, ...], hits: tuple[str, ...], **others: Any) -> Any:
        return command(named=Named(images, clips, hits), **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return cast(Command, gathered)


def read_examples(archive: Archive, named: Named, *, offline: bool) -> tuple[Example, ...]:
    """The examples, encoded by the archive's own encoder, or taken from its stored vectors.

    Raises:
        UsageError: a file is not there, a span or a weight makes no sense, or the archive has no vectors.
        MediaError: a file cannot be read.
        SaveError: there is no such hit, or the encoder's weights are gone.
    """
    if not named:
        return ()
    from savecli.search.example import check_vectors

    check_vectors(archive, "by example")
    examples = [_like_hit(archive, *_weighted(text)) for text in named.hits]
    pictures = [(weight, name, _existing(name)) for weight, name in map(_weighted, named.images)]
    clips = [(weight, name, *_placed(name)) for weight, name in map(_weighted, named.clips)]
    if pictures or clips:
        encoder = _encoder(archive, offline=offline)
        examples += [_like_picture(archive, encoder, *picture) for picture in pictures]
        examples += [_like_clip(archive, encoder, *clip) for clip in clips]
    return tuple(examples)


def _weighted(text: str) -> tuple[float, str]:
    """Weight and name; a file whose name looks weighted is written with `./`."""
    from savecli.search.terms import checked_weight

    found = _WEIGHTED.fullmatch(text)
    return (1.0, text) if found is None else (checked_weight(float(found.group(1)), of=text), found.group(2))


def _like_hit(archive: Archive, weight: float, number: str) -> Example:
    from savecli.cli.last_query import recall
    from savecli.search.example import like_moment

    hit = recall(number)
    return replace(like_moment(archive, hit.video_id, hit.start_s, hit.end_s, name=number), weight=weight)


def _like_picture(archive: Archive, encoder: Encoder, weight: float, name: str, path: Path) -> Example:
    from savecli.search.example import like_picture

    try:
        return replace(like_picture(archive, path, encoder, name=name), weight=weight)
    except MediaError as error:
        fix = "save it as JPEG or PNG; a span of a video is given with --clip"
        raise MediaError(error.what, why=error.why, fix=fix) from error


def _like_clip(archive: Archive, encoder: Encoder, weight: float, name: str, path: Path, span: Span | None) -> Example:
    from savecli.search.example import like_clip

    try:
        return replace(like_clip(archive, path, span, encoder, name=name), weight=weight)
    except MediaError as error:
        fix = "give a video that plays elsewhere; a picture is given with --image"
        raise MediaError(error.what, why=error.why, fix=fix) from error


def _placed(text: str) -> tuple[Path, Span | None]:
    """File and span of `talk.mp4@1:20-1:30`; a path may hold `@` as well."""
    from savecli.core.records import Span

    found = _SPAN.fullmatch(text)
    if found is None or Path(text).exists():
        return _existing(text), None
    path, *times = found.groups()
    try:
        start_s, end_s = (Seconds().convert(time, None, None) for time in times)
    except click.BadParameter as error:
        raise UsageError(f"`{text}` has no span", why=error.message, fix=f"write {path}@1:20-1:30") from error
    if start_s >= end_s:
        raise UsageError(
            f"the span of `{text}` is empty",
            why=f"it goes from {start_s:g} to {end_s:g} s",
            fix="give the earlier time first, e.g. 1:20-1:30",
        )
    return _existing(path), Span(start_s, end_s)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    raise UsageError(
        f"there is no file {text}", why=f"looked for {path.absolute()}", fix="give the path of a file here"
    )


def _encoder(archive: Archive, *, offline: bool) -> Encoder:
    """The archive's own encoder. Loads torch."""
    from savecli.archive.encoder import load_encoder, reopen_encoder
    from savecli.cli.progress_bar import shown_progress
    from savecli.model.hub import Hub

    assert archive.manifest.encoder is not None, "an archive with vectors has an encoder"
    hub = Hub(offline=offline)
    with shown_progress() as progress:
        return load_encoder(reopen_encoder(archive.manifest.encoder, hub=hub), hub=hub, progress=progress)

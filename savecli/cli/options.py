"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def default_archive() -> Path:
    """The archive in the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("save", appauthor=False) / "home.save"


def archive_option(command: Command) -> Command:
    """`--archive PATH`, else the variable SAVE_ARCHIVE, else the user's own."""
    return click.option(
        "--archive",
        "archive_folder",
        type=click.Path(path_type=Path),
        envvar="SAVE_ARCHIVE",
        default=default_archive,
        show_default="$SAVE_ARCHIVE, else home.save in the user's data folder",
        callback=lambda context, option, value: value.expanduser().absolute(),
        help="Folder of the archive.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: one document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


class Seconds(click.ParamType[float]):
    """A length of time: `90`, `90s`, `5m`, `1h30m`, `1:30`, `1:02:03`. Seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        units = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
        if text and units and any(units.groups()):
            hours, minutes, seconds = (float(part or 0) for part in units.groups())
            return hours * 3600 + minutes * 60 + seconds
        if re.fullmatch(r"\d+(:[0-5]?\d){1,2}(\.\d+)?", text):
            total = 0.0
            for part in text.split(":"):
                total = total * 60 + float(part)
            return total
        return self.fail(f"{value!r} is not a length of time; write 90, 5m, 1h30m or 1:30", param, ctx)


class Date(click.ParamType[int]):
    """A local date `2024-05-31`, month `2024-05` or year `2024`; nanoseconds since 1970 of its beginning."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        for pattern in ("%Y-%m-%d", "%Y-%m", "%Y"):
            try:
                return int(datetime.strptime(str(value), pattern).timestamp() * 1e9)
            except ValueError:
                continue
        return self.fail(f"{value!r} is not a date; write 2024, 2024-05 or 2024-05-31", param, ctx)

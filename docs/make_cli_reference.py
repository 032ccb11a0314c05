"""Writes what follows from the commands themselves: docs/cli.md and the shell completions.

    python docs/make_cli_reference.py

A test fails when any of these files is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from savecli.cli.main import save

ROOT = Path(__file__).resolve().parent.parent
SHELLS = ("bash", "zsh", "fish")


def cli_reference() -> str:
    """The help of every command, as Markdown."""
    parts = [
        "# Commands\n",
        "Exit codes: 0 done, 1 failed or nothing found, 2 wrong usage, 3 done but some videos were skipped.\n",
    ]
    for name, text in _helps(save, "save", None):
        parts.append(f"## `{name}`\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def completion(shell: str) -> str:
    """The script that makes `shell` complete `save`."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(save, {}, "save", "_SAVE_COMPLETE").source().strip() + "\n"


def outputs() -> dict[Path, str]:
    """Path and content of every generated file."""
    files = {ROOT / "docs/cli.md": cli_reference()}
    return files | {ROOT / f"completions/save.{shell}": completion(shell) for shell in SHELLS}


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    # A fixed width: the reference must not depend on whose terminal wrote it.
    context = click.Context(
        command,
        info_name=name.rpartition(" ")[2],
        parent=parent,
        **{**command.context_settings, "terminal_width": 100, "max_content_width": 100},
    )
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _helps(found, f"{name} {child}", context)


if __name__ == "__main__":
    for path, text in outputs().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

"""How errors read: what happened, why, and what to do."""

from __future__ import annotations

import os
import traceback

import click

from savecli.core.errors import SaveError


def error_text(error: SaveError) -> str:
    """The three lines of an error."""
    lines = [f"error: {error.what}"]
    lines += [f"  {name}: {text}" for name, text in (("why", error.why), ("fix", error.fix)) if text]
    return "\n".join(lines)


def our_own_fault(error: Exception) -> SaveError:
    """What to tell of an error nobody foresaw; with SAVE_DEBUG set, its traceback goes to stderr."""
    if os.environ.get("SAVE_DEBUG"):
        click.echo("".join(traceback.format_exception(error)), err=True)
    return SaveError(
        "save failed in a way it should not",
        why=f"{type(error).__name__}: {error}",
        fix="run it again with SAVE_DEBUG=1 set and report what it prints",
    )

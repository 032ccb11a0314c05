"""Tables of numbers: drawn on a terminal, aligned and plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from savecli.cli.render import is_terminal, terminal_width

Rows = Sequence[Sequence[str]]
_GAP = "  "


def show_table(title: str, rows: Rows) -> None:
    """Print a table; the first row is the header, the first column is text, the others are numbers."""
    if is_terminal():
        _draw(title, rows)
    else:
        for line in aligned_lines(title, rows):
            click.echo(line)


def aligned_lines(title: str, rows: Rows) -> Iterator[str]:
    """The title and a line a row, columns in the width of their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if title:
        yield title
    for first, *others in rows:
        cells = [f"{first:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield _GAP.join(cells).rstrip()


def _draw(title: str, rows: Rows) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    header, *others = rows
    for number, cell in enumerate(header):
        table.add_column(Text(cell), justify="right" if number else "left", no_wrap=True)
    for row in others:
        is_aside = row[0].startswith(" ")
        table.add_row(*map(Text, row), style="dim" if is_aside else "")
    # Numbers are no use when cut: a terminal that is too narrow breaks the lines itself.
    width = Console(width=10_000).measure(table).maximum
    Console(highlight=False, width=max(width, terminal_width())).print(table)

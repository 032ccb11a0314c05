"""`save open`: play a hit of the last query from its second."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savecli.core.errors import SaveError

if TYPE_CHECKING:
    from savecli.cli.last_query import Hit


@click.command("open", epilog="Example: save open 2 --print")
@click.argument("number")
@click.option("--print", "only_print", is_flag=True, help="Print the command instead of running it.")
def open_hit(number: str, only_print: bool) -> int:
    """Open hit NUMBER of the last query at its second; 2.3 is the third moment of the second video.

    Uses mpv or VLC, else the desktop's own player, which starts at the beginning.
    """
    from savecli.cli.last_query import recall

    hit = recall(number)
    if only_print:
        click.echo(shlex.join(player_command(hit.path, hit.start_s) or mpv_command(hit.path, hit.start_s)))
    else:
        play(hit)
    return 0


def play(hit: Hit) -> subprocess.Popen[bytes]:
    """A player started at the hit's second, and left to itself.

    Raises:
        SaveError: the file is not there, or no player is.
    """
    if not hit.path.exists():
        raise SaveError(
            f"{hit.path} is not there",
            why="its drive is not connected, or the file was moved",
            fix="run the query again",
        )
    command = player_command(hit.path, hit.start_s)
    if command is None:
        raise SaveError("no video player was found", why="looked for mpv, VLC and the desktop's own", fix="install mpv")
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a shell of ours must not end it
    )


def mpv_command(path: Path, start_s: float) -> list[str]:
    """mpv from that second; a path that begins with a dash cannot pass for an option."""
    return ["mpv", f"--start={start_s:.2f}", "--", str(path)]


def player_command(path: Path, start_s: float) -> list[str] | None:
    """The best player here, as arguments; None when there is none."""
    if shutil.which("mpv"):
        return mpv_command(path, start_s)
    vlc = shutil.which("vlc") or _mac_application("VLC")
    if vlc:
        return [vlc, f"--start-time={start_s:.2f}", path.absolute().as_uri()]
    opener = {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
    if shutil.which(opener):
        return [opener, str(path.absolute())]
    return None


def _mac_application(name: str) -> str | None:
    program = Path(f"/Applications/{name}.app/Contents/MacOS/{name}")
    return str(program) if program.exists() else None

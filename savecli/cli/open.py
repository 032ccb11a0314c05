"""`save open`: play a hit of the last query from its second."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from savecli.core.errors import SaveError


@click.command("open", epilog="Example: save open 2 --print")
@click.argument("number")
@click.option("--print", "only_print", is_flag=True, help="Print the command instead of running it.")
def open_hit(number: str, only_print: bool) -> int:
    """Open hit NUMBER of the last query at its second; 2.3 is the third moment of the second video.

    Uses mpv or VLC, else the desktop's own player, which starts at the beginning.
    """
    from savecli.cli.last_query import recall

    hit = recall(number)
    if not only_print and not hit.path.exists():
        raise SaveError(
            f"{hit.path} is not there",
            why="its drive is not connected, or the file was moved",
            fix="run the query again",
        )
    if only_print:
        click.echo(shlex.join(player_command(hit.path, hit.start_s) or mpv_command(hit.path, hit.start_s)))
        return 0
    command = player_command(hit.path, hit.start_s)
    if command is None:
        raise SaveError("no video player was found", why="looked for mpv, VLC and the desktop's own", fix="install mpv")
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return 0


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

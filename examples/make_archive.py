"""Make the example archive from scratch: draw it, speak it, encode it.

Needs the packages that `savecli` needs and the speech synthesiser flite. Example:

    python examples/make_archive.py --to examples/archive
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.clips import clips
from studio.film import make_clip
from studio.speech import require_flite


def main() -> None:
    """Make the clips that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the example archive from scratch.")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "archive", help="folder to write to")
    parser.add_argument("--only", default="", metavar="TEXT", help="make only the clips with TEXT in their path")
    options = parser.parse_args()
    require_flite()
    for clip in clips():
        if options.only in clip.path:
            files = make_clip(clip, options.to)
            size_kb = sum(file.stat().st_size for file in files) / 1000
            print(f"{clip.path}: {clip.duration_s:.1f} s, {size_kb:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()

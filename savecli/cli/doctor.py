"""`save doctor`: is everything here that indexing and searching take? Downloads nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from savecli.cli.options import archive_option
from savecli.core.errors import SaveError

# A commit, its compaction and the old versions kept for an hour must fit.
_MIN_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One check. `fix` is empty when all is well; `is_fault` tells a fault from a hint."""

    name: str
    text: str
    fix: str = ""
    is_fault: bool = False


@click.command(epilog="Example: save doctor --archive home.save")
@archive_option
def doctor(archive_folder: Path) -> int:
    """Check decoder, model weights, disk, archive and GPU. Downloads nothing; exits with 1 if something is wrong."""
    has_fault = False
    for name, check in _CHECKS.items():
        try:
            finding = check(archive_folder)
        except Exception as error:  # a check that dies is a finding, and the others still count
            finding = Finding(
                name, f"{type(error).__name__}: {error}", "reinstall: pip install --force-reinstall savecli", True
            )
        mark = "fault" if finding.is_fault else "hint" if finding.fix else "ok"
        click.echo(f"{mark:<5}  {name:<8}  {finding.text}")
        if finding.fix:
            click.echo(f"{'':<17}fix: {finding.fix}")
        has_fault |= finding.is_fault
    return 1 if has_fault else 0


def _decoder(_: Path) -> Finding:
    """Decode a picture that was encoded a moment ago."""
    import av
    import numpy as np

    needed = ("h264", "hevc", "vp9", "av1", "aac", "opus")
    missing = [name for name in needed if name not in av.codecs_available]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode(None)])
        with av.open(str(path)) as container:
            next(container.decode(video=0))
    if missing:
        return Finding("decoder", f"PyAV {av.__version__} lacks {', '.join(missing)}", "pip install --upgrade av", True)
    return Finding("decoder", f"PyAV {av.__version__} decodes {', '.join(needed)}")


def _weights(_: Path) -> Finding:
    from savecli.archive.encoder import resolve_encoder
    from savecli.model.hub import Hub

    choice = resolve_encoder("auto", hub=Hub())
    if choice.better:
        return Finding("weights", f"encoder {choice.label}: {choice.reason}", choice.better)
    if not choice.is_here:
        return Finding("weights", f"encoder {choice.label}: {choice.reason}", f"save models pull {choice.name}")
    return Finding("weights", f"encoder {choice.label}: {choice.reason}")


def _speech(_: Path) -> Finding:
    from savecli.transcript.choose import SpeechConfig
    from savecli.transcript.whisper_weights import find_whisper

    name = SpeechConfig().whisper_model
    found = find_whisper(name)
    if found is None:
        text = f"Whisper {name} is not here; PocketSphinx, which hears less, will be used"
        return Finding("speech", text, f"save models pull whisper-{name}")
    return Finding("speech", f"Whisper {name} at {found}")


def _disk(folder: Path) -> Finding:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free at {place}"
    if not os.access(place, os.W_OK):
        return Finding(
            "disk", f"{place} cannot be written to", "choose another place with --archive or SAVE_ARCHIVE", True
        )
    if free < _MIN_FREE_BYTES:
        return Finding("disk", text, "free at least 1 GB, or keep the archive elsewhere with --archive", True)
    return Finding("disk", text)


def _archive(folder: Path) -> Finding:
    from lancedb.query import MatchQuery

    from savecli.archive.encoder import reopen_encoder
    from savecli.archive.store import NoArchive, open_archive
    from savecli.model.hub import Hub

    try:
        archive = open_archive(folder)
        num_videos, num_clips = archive.videos.count_rows(), archive.clips.count_rows()
        vectors = archive.vector_table(archive.manifest.encoder)
        for table in (archive.videos, archive.clips, *([] if vectors is None else [vectors])):
            for _batch in table.search().limit(1).to_batches():
                pass
        for table, column in ((archive.clips, "text"), (archive.videos, "transcript"), (archive.videos, "title")):
            table.search(MatchQuery("a", column), query_type="fts").limit(1).to_list()
        if archive.manifest.encoder is not None:
            reopen_encoder(archive.manifest.encoder, hub=Hub(offline=True))
    except NoArchive:
        return Finding("archive", f"none at {folder} yet", "save index ~/videos")
    except SaveError as error:
        return Finding("archive", str(error), error.fix, True)
    except Exception as error:
        return Finding("archive", str(error).splitlines()[0], f"save archive repair --archive {folder}", True)
    if (folder / "writing").exists():
        text = f"{num_videos} videos, {num_clips} clips; an index run is going on or was killed"
        return Finding("archive", text, "run `save index` again to complete it")
    return Finding("archive", f"{num_videos} videos, {num_clips} clips at {folder}")


def _gpu(_: Path) -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("gpu", torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return Finding("gpu", "Apple GPU (mps)")
    return Finding("gpu", f"none; the CPU is used ({os.cpu_count()} processors)")


_CHECKS: dict[str, Callable[[Path], Finding]] = {
    "decoder": _decoder,
    "weights": _weights,
    "speech": _speech,
    "disk": _disk,
    "archive": _archive,
    "gpu": _gpu,
}

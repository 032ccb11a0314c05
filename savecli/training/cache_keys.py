"""What decides the content of a cache's parts, and of its entries: two that differ in it never share a place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from savecli.datasets.base import DatasetClip
from savecli.model.config import ModelConfig
from savecli.training.files import TEACHER_FRAMES, TEACHER_SIDE, frame_format, sound_format
from savecli.transcript.choose import SpeechConfig

PartKind = Literal["frames", "sound", "tokens", "speech", "teacher"]
# Raise one when what is made of the same settings changes.
VERSIONS: Mapping[PartKind, int] = {"frames": 1, "sound": 1, "tokens": 1, "speech": 1, "teacher": 1}


class PartKey(NamedTuple):
    """A part: its folder's name, and the settings that its fingerprint is made of."""

    kind: PartKind
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        text = json.dumps(self.settings, sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def frames_key(config: ModelConfig) -> PartKey:
    """Frames as bytes, before normalisation."""
    return _key("frames", asdict(frame_format(config)))


def sound_key(config: ModelConfig) -> PartKey | None:
    """Filter banks; None for a model that does not hear."""
    form = sound_format(config)
    return None if form is None else _key("sound", asdict(form))


def tokens_key(config: ModelConfig, encoder: torch.nn.Module) -> PartKey | None:
    """What a frozen audio encoder makes of the filter banks: also its weights decide."""
    form = sound_format(config)
    return None if form is None else _key("tokens", {**asdict(form), "encoder": weights_digest(encoder)})


def speech_key(config: SpeechConfig) -> PartKey:
    """Words that were read or recognised; `auto` is one setting, whatever the machine had to recognise with."""
    model = config.whisper_model if config.source in ("auto", "whisper") else ""
    return _key("speech", {"source": config.source, "whisper": model})


def teacher_key(name: str) -> PartKey:
    """A teacher's vectors; `name` tells its weights, or where its vectors came from."""
    return _key("teacher", {"teacher": name, "num_frames": TEACHER_FRAMES, "short_side": TEACHER_SIDE})


def weights_digest(module: torch.nn.Module) -> str:
    """Hex digest of a module's weights and their names."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        held = value.detach().cpu().contiguous()
        digest.update(f"{name} {held.dtype} {tuple(held.shape)}\n".encode())
        digest.update(memoryview(held.flatten().view(torch.uint8).numpy()) if held.numel() else b"")
    return digest.hexdigest()


def stamp_of(clip: DatasetClip, path: Path | None) -> str:
    """What an entry of a clip is made from: its file's size and time of change, and the span of it.

    The first part is empty where the file is not known or not there: then what was made of it counts.
    """
    span = "" if clip.span is None else f"{clip.span.start_s!r}-{clip.span.end_s!r}"
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        stat = None
    file = "" if stat is None else f"{stat.st_size}:{stat.st_mtime_ns}"
    return f"{file}@{span}"


def is_fresh(stamp: str, now: str) -> bool:
    """Whether an entry of `stamp` is of the clip and file of the stamp `now`."""
    file, _, span = now.partition("@")
    its_file, _, its_span = stamp.partition("@")
    return span == its_span and (not file or file == its_file)


def _key(kind: PartKind, settings: Mapping[str, Any]) -> PartKey:
    return PartKey(kind, {"kind": kind, "version": VERSIONS[kind], **settings})

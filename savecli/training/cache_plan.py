"""What a cache is to hold, and what of it is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from savecli.core.errors import MediaError
from savecli.datasets.base import Dataset, DatasetClip
from savecli.datasets.locate import Located
from savecli.features.inputs import Transcriber, clip_span
from savecli.model.audio import AudioBranch
from savecli.model.config import ModelConfig
from savecli.model.hub import Hub
from savecli.model.teacher_models import PE_AV, ImageBindTeacher, load_pe_av
from savecli.model.teachers import Teacher, file_teacher, knows
from savecli.training.cache import CacheSize, cache_size
from savecli.training.cache_keys import (
    PartKey,
    PartKind,
    Stamps,
    files_digest,
    frames_key,
    sound_key,
    speech_key,
    teacher_key,
    tokens_key,
)
from savecli.training.cache_parts import entry_state
from savecli.training.cache_store import PartReader, part_folder
from savecli.training.files import offline_transcriber, recogniser_of
from savecli.transcript.choose import SpeechConfig

_SPEECH = SpeechConfig()
# How many files tell how long a dataset's clips are.
_MEASURED_FILES = 16


@dataclass(frozen=True, eq=False)
class CacheRequest:
    """What a cache is filled with.

    Args:
        audio: the audio branch whose encoder is frozen: what it makes of sound is kept; None keeps filter banks.
        speech: by clip id, what is said: then no words are kept, as they are known; None reads or recognises them
            with `transcriber`, which `speech_config` tells of; None is the best that needs no download.
        teacher, teacher_name: whose vectors are kept, and what people call it.
        teacher_fingerprint: of its weights or files; another one is another teacher.
    """

    config: ModelConfig
    audio: AudioBranch | None = None
    speech: Mapping[str, str] | None = None
    speech_config: SpeechConfig = _SPEECH
    transcriber: Transcriber | None = None
    teacher: Teacher | None = None
    teacher_name: str = ""
    teacher_fingerprint: str = ""

    @cached_property
    def listener(self) -> Transcriber:
        """The transcriber, or what stands for none."""
        return self.transcriber or offline_transcriber()

    @cached_property
    def keys(self) -> Mapping[PartKind, PartKey]:
        """The parts that are filled; reads the encoder's weights, and settles what recognises speech."""
        config = self.config
        sound = sound_key(config) if self.audio is None else tokens_key(config, self.audio.encoder)
        has_words = self.speech is None and config.has_speech
        speech = speech_key(self.speech_config, recogniser_of(self.listener)) if has_words else None
        teacher = teacher_key(self.teacher_name, self.teacher_fingerprint) if self.teacher is not None else None
        return {key.kind: key for key in (frames_key(config), sound, speech, teacher) if key is not None}


@dataclass(frozen=True)
class CachePlan:
    """What is to be done.

    Args:
        todo: clips of which something is missing, and which parts.
        num_changed: of them, those of which frames are there, of their files as they were before.
        failed_before: by clip id, why it is passed over: it could not be read, and its file is the same.
        num_there: clips of which everything is there.
        num_missing: clips without a file.
        num_untaught: clips with a file that the teacher has no vectors of.
        size: estimated bytes of what is missing.
    """

    todo: tuple[tuple[DatasetClip, frozenset[PartKind]], ...]
    num_changed: int
    failed_before: Mapping[str, str]
    num_there: int
    num_missing: int
    num_untaught: int
    size: CacheSize


def plan_cache(
    dataset: Dataset, located: Located, request: CacheRequest, folder: Path, *, retry_failed: bool = False
) -> CachePlan:
    """What `prepare_cache` would do; writes nothing."""
    parts = {kind: PartReader(place) for kind, key in request.keys.items() if (place := part_folder(folder, key.name))}
    return plan_of(dataset, located, request, parts, retry_failed=retry_failed)


def plan_of(
    dataset: Dataset,
    located: Located,
    request: CacheRequest,
    parts: Mapping[PartKind, PartReader],
    *,
    retry_failed: bool,
) -> CachePlan:
    """What parts that are open lack of a dataset's clips."""
    kinds, stamps = tuple(request.keys), Stamps(located.paths)
    todo: list[tuple[DatasetClip, frozenset[PartKind]]] = []
    failed: dict[str, str] = {}
    num_changed = num_there = num_missing = num_untaught = 0
    for clip in {clip.clip_id: clip for split in dataset.splits for clip in split.clips}.values():
        if clip.clip_id not in located.paths:
            num_missing += 1
            continue
        states = {kind: entry_state(parts.get(kind), clip, stamps.of(clip, kind)) for kind in kinds}
        entry = parts["frames"].entry(clip.clip_id) if states["frames"] == "failed" else None
        reason = "" if entry is None else entry.failure
        missing = frozenset(kind for kind in kinds if states[kind] != "there")
        if request.teacher is not None and not knows(request.teacher, clip.clip_id):
            num_untaught += 1
            missing -= {"teacher"}
        if reason and not retry_failed:
            failed[clip.clip_id] = reason
        elif missing:
            todo.append((clip, missing))
            num_changed += states["frames"] == "changed"
        else:
            num_there += 1
    size = _size(todo, located, request)
    return CachePlan(tuple(todo), num_changed, failed, num_there, num_missing, num_untaught, size)


def _size(
    todo: Sequence[tuple[DatasetClip, frozenset[PartKind]]], located: Located, request: CacheRequest
) -> CacheSize:
    """Estimated bytes of what is missing; a few files tell how long the clips are."""
    durations = []
    for clip, _ in todo[:: max(1, len(todo) // _MEASURED_FILES)]:
        try:
            durations.append(clip_span(located.paths[clip.clip_id], clip.span).duration_s)
        except MediaError:
            continue  # told when its turn comes
    one = cache_size(
        1,
        request.config,
        with_tokens=request.audio is not None,
        with_teacher=request.teacher is not None,
        mean_duration_s=float(np.mean(durations)) if durations else 10.0,
    )

    def total(size_bytes: int, *kinds: PartKind) -> int:
        return size_bytes * sum(bool(missing & set(kinds)) for _, missing in todo)

    return CacheSize(
        frames=total(one.frames, "frames"),
        sound=total(one.sound, "sound", "tokens"),
        speech=total(one.speech, "speech"),
        teacher=total(one.teacher, "teacher"),
    )


class OpenTeacher(NamedTuple):
    """A teacher, what people call it, and the fingerprint of its weights or files."""

    teacher: Teacher
    name: str
    fingerprint: str


def open_teacher(spec: str, *, hub: Hub, device: torch.device) -> OpenTeacher:
    """The teacher of a spelling.

    Args:
        spec: `pe-av`, `pe-av:FOLDER`, `imagebind:FILE`, or a folder with vectors in files.

    Raises:
        SaveError: its package is not installed, or its weights or vectors cannot be had.
    """
    kind, _, given = spec.partition(":")
    if spec == "pe-av":
        teacher = load_pe_av(PE_AV, hub=hub, device=device)
        config = hub.cached(PE_AV, "config.json")
        # The hub's cache has a folder for each commit.
        return OpenTeacher(teacher, spec, "" if config is None else config.parent.name)
    if kind in ("pe-av", "imagebind") and given:
        place = Path(given).expanduser().absolute()
        loaded: Teacher = (
            load_pe_av(place, hub=hub, device=device) if kind == "pe-av" else ImageBindTeacher(place, device=device)
        )
        return OpenTeacher(loaded, f"{kind}:{place}", files_digest(place))
    folder = Path(spec).expanduser().absolute()
    places = [folder / name for name in ("video", "audio", "video.safetensors", "audio.safetensors")]
    return OpenTeacher(file_teacher(folder), f"files:{folder}", files_digest(*(at for at in places if at.exists())))

"""Which parts a cache has, and what an entry of one is worth to a clip."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from savecli.core.errors import UsageError
from savecli.datasets.base import DatasetClip
from savecli.model.config import ModelConfig
from savecli.training.cache_keys import (
    VERSIONS,
    PartKey,
    PartKind,
    is_fresh,
    is_of_span,
    speech_key,
    teacher_key,
    tokens_key_of,
)
from savecli.training.cache_store import PART, PartReader, part_folders
from savecli.transcript.choose import SpeechConfig

_log = logging.getLogger(__name__)

# `changed`: made of the clip's file as it was before; `failed`: the file as it is cannot be read.
EntryState = Literal["there", "absent", "changed", "failed"]


def entry_state(part: PartReader | None, clip: DatasetClip, stamp: str) -> EntryState:
    """What a part holds of a clip whose stamp is now `stamp`."""
    entry = part.entry(clip.clip_id) if part is not None else None
    if entry is None or not is_of_span(entry.stamp, stamp):
        return "absent"
    if not is_fresh(entry.stamp, stamp):
        return "absent" if entry.failure else "changed"
    return "failed" if entry.failure else "there"


def teachers_in(folder: Path) -> tuple[str, ...]:
    """Names of the teachers whose vectors a cache holds."""
    return tuple(key.settings["teacher"] for key in teacher_keys(folder))


def teacher_keys(folder: Path) -> tuple[PartKey, ...]:
    """Parts of teachers' vectors in a cache."""
    return tuple(_keys_there(folder, "teacher", lambda held: teacher_key(held["teacher"], held["fingerprint"])))


def teacher_there(folder: Path, name: str | None) -> PartKey | None:
    """The part of the teacher of this name; of None the only one there is.

    Raises:
        UsageError: there are several, and none is named.
    """
    if name == "":
        return None
    keys = [key for key in teacher_keys(folder) if name in (None, key.settings["teacher"])]
    if len(keys) > 1:
        held = [f"{key.settings['teacher']} (in {key.name})" for key in keys]
        raise UsageError(
            "which teacher is meant?",
            why=f"{folder} holds vectors of {', '.join(held)}",
            fix="give the folder of its vectors with `--teacher DIR`, or delete the others' folders in the cache",
        )
    return keys[0] if keys else None


def speech_there(folder: Path, config: SpeechConfig) -> PartKey | None:
    """The transcripts of the best recogniser, which may be one that this machine does not have."""
    keys = _keys_there(folder, "speech", lambda held: speech_key(config, held["recogniser"]))
    return min(keys, key=lambda key: _worse(key.settings["recogniser"]), default=None)


def tokens_there(folder: Path, config: ModelConfig) -> tuple[PartKey, ...]:
    """Parts of what frozen encoders, whichever they are, made of sound as a model hears it."""
    return tuple(_keys_there(folder, "tokens", lambda held: tokens_key_of(config, held["encoder"])))


def _worse(recogniser: str) -> tuple[bool, bool, str]:
    """Whisper, then others, then what only read subtitles."""
    return not recogniser, recogniser != "whisper", recogniser


def _keys_there(folder: Path, kind: PartKind, made: Callable[[Mapping[str, Any]], PartKey | None]) -> Iterator[PartKey]:
    """Parts of a kind whose settings are those of today's key for them; older ones count no longer."""
    for part in part_folders(folder, kind):
        path = part / PART
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            key = made(held) if held.get("version") == VERSIONS[kind] else None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            _log.warning("%s cannot be read; the `save data prepare` that made it mends it: %s", path, error)
            continue
        if key is not None and key.settings == held:
            yield key

"""Clips from a cache that `save data prepare` filled: read in place, checked once, never stale."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from savecli.core.errors import MediaError, UsageError
from savecli.datasets.base import DatasetClip
from savecli.model.audio import AudioBranch
from savecli.model.config import ModelConfig
from savecli.training.cache_keys import (
    PartKey,
    Stamps,
    frames_key,
    is_fresh,
    sound_key,
    stamp_of,
    tokens_key,
)
from savecli.training.cache_parts import EntryState, entry_state, speech_there, teacher_there, tokens_there
from savecli.training.cache_store import AnyArray, DamagedEntry, PartReader, part_folder, part_folders
from savecli.training.cache_tokens import sound_tokens, tokens_shape
from savecli.training.files import FileSource, TaughtClip, sound_format
from savecli.training.records import ClipArrays
from savecli.transcript.choose import SpeechConfig

_log = logging.getLogger(__name__)

_SPEECH = SpeechConfig()
# Per entry beside its arrays: a line of the index and the gaps between arrays.
_OVERHEAD_BYTES = 400
# Vectors of the teachers there are (ImageBind, PE-AV) have this width.
_TEACHER_WIDTH = 1024


@dataclass(frozen=True)
class CacheSize:
    """Estimated bytes on disk of each part."""

    frames: int
    sound: int
    speech: int
    teacher: int

    @property
    def total(self) -> int:
        return self.frames + self.sound + self.speech + self.teacher


class CacheSource:
    """A `ClipSource` over the parts of a cache that fit a model. Safe to use from several threads and processes.

    Args:
        folder: of the cache.
        paths: by clip id, its file: entries made from another state of it do not count. None trusts all entries.
        files: where clips come from that the cache does not hold; None refuses them. Its teacher goes before the
            cache's.
        speech: by clip id, what is said; None takes the cache's transcripts, of several recognisers' the best.
        audio: the model's audio branch where its encoder is frozen: then what it made of the sound is taken from the
            cache if it is there. None takes filter banks.
        teacher: whose vectors are taken, as `teachers_in` names them; None those that are there, "" none.

    Raises:
        UsageError: there is no cache, or it holds vectors of several teachers and none is named.
    """

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        *,
        paths: Mapping[str, Path] | None = None,
        files: FileSource | None = None,
        speech: Mapping[str, str] | None = None,
        audio: AudioBranch | None = None,
        teacher: str | None = None,
        speech_config: SpeechConfig = _SPEECH,
    ) -> None:
        if not folder.is_dir():
            raise UsageError(f"no cache at {folder}", why="nothing is there", fix="fill one with `save data prepare`")
        self._folder = folder
        self._stamps = Stamps(paths or {})
        self._files = files
        self._speech = speech
        self._has_speech = config.has_speech
        self._frames_part = self._open(frames_key(config))
        has_tokens = audio is not None and part_folders(folder, "tokens")  # else spare reading all weights
        self._tokens_part = self._open(tokens_key(config, audio.encoder)) if audio is not None and has_tokens else None
        self._audio = audio if self._tokens_part is not None else None
        self._hears = sound_format(config) is not None
        self._sound_part = self._open(sound_key(config))
        has_words = speech is None and config.has_speech
        self._speech_part = self._open(speech_there(folder, speech_config)) if has_words else None
        self._teacher_part = self._open(teacher_there(folder, teacher))
        self._encoding = threading.Lock()

    @property
    def gives_tokens(self) -> bool:
        """Whether sound comes as what the frozen encoder made of it."""
        return self._audio is not None

    def read(self, clip: DatasetClip) -> ClipArrays:
        """The arrays of one clip; those in the cache lie in its files and cannot be written to.

        Raises:
            MediaError: the clip is in the cache as one that cannot be read, or it is in neither and cannot be read.
            DamagedEntry: its entry is damaged and there are no `files`.
        """
        stamp = self._stamps.of(clip)
        held = self._held(self._frames_part, clip, stamp)
        frames = self._from_files(clip).frames(clip) if held is None else held["frames"]
        sound = self._sound(clip, stamp)
        banks = sound.get("banks")
        taught = self._taught(clip, stamp)
        return ClipArrays(
            frames=frames,
            sound=None if banks is None else banks.astype(np.float32),
            sound_mask=sound.get("mask"),
            sound_tokens=sound.get("tokens"),
            speech=self._spoken(clip),
            teacher_video=taught.video,
            teacher_audio=taught.audio,
        )

    def states(self, clips: Iterable[DatasetClip]) -> Counter[EntryState]:
        """How many of the clips have frames here that fit the model, or why not."""
        return Counter(entry_state(self._frames_part, clip, self._stamps.of(clip)) for clip in clips)

    def is_whole(self, clip: DatasetClip, *, tokens: Sequence[PartReader] = ()) -> bool:
        """Whether the clip can be read without its file: its frames are here, and what else the model takes.

        Args:
            tokens: parts of tokens that count beside those of the model's own encoder.
        """
        stamp = stamp_of(clip, None)

        def is_in(*parts: PartReader | None) -> bool:
            return any(entry_state(part, clip, stamp) == "there" for part in parts)

        has_sound = not self._hears or is_in(self._tokens_part, self._sound_part, *tokens)
        has_words = not self._has_speech or self._speech is not None or is_in(self._speech_part)
        return is_in(self._frames_part) and has_sound and has_words

    def is_taught(self, clip: DatasetClip) -> bool:
        """Whether there are a teacher's vectors of the clip, or its teacher can be asked; nothing is computed."""
        if self._files is not None and self._files.has_teacher:
            return self._files.is_taught(clip)
        part = self._teacher_part
        entry = part.entry(clip.clip_id) if part is not None else None
        is_there = entry_state(part, clip, self._stamps.of(clip)) == "there"
        return entry is not None and is_there and "video" in (entry.arrays or {})

    def _sound(self, clip: DatasetClip, stamp: str) -> Mapping[str, AnyArray]:
        """`banks` or `tokens`, and `mask`; nothing without sound."""
        if not self._hears:
            return {}
        held = self._held(self._tokens_part, clip, stamp)
        if held is None:
            held = self._banks(clip, stamp)
        if self._audio is None or "banks" not in held:
            return held
        with self._encoding:
            return {"tokens": sound_tokens(self._audio, [held["banks"].astype(np.float32)])[0], "mask": held["mask"]}

    def _banks(self, clip: DatasetClip, stamp: str) -> Mapping[str, AnyArray]:
        held = self._held(self._sound_part, clip, stamp)
        if held is not None:
            return held
        sound = self._from_files(clip).sound(clip)
        return {} if sound is None else {"banks": sound.banks, "mask": sound.mask}

    def _spoken(self, clip: DatasetClip) -> str:
        if not self._has_speech:
            return ""
        if self._speech is not None:
            return self._speech.get(clip.clip_id, "")
        held = (
            None if self._speech_part is None else self._held(self._speech_part, clip, self._stamps.of(clip, "speech"))
        )
        if held is not None:
            return bytes(held["text"]).decode() if "text" in held else ""
        return self._from_files(clip).speech(clip)

    def _taught(self, clip: DatasetClip, stamp: str) -> TaughtClip:
        if self._files is not None and self._files.has_teacher:
            return self._files.taught(clip)
        held = self._held(self._teacher_part, clip, stamp) or {}
        return TaughtClip(held.get("video"), held.get("audio"))

    def _held(self, part: PartReader | None, clip: DatasetClip, stamp: str) -> Mapping[str, AnyArray] | None:
        """The clip's arrays in a part; None where it is not there, stale, or damaged and to be had from files."""
        entry = part.entry(clip.clip_id) if part is not None else None
        if part is None or entry is None or not is_fresh(entry.stamp, stamp):
            return None
        if entry.failure:
            raise MediaError(f"cannot read clip {clip.clip_id}", why=entry.failure)
        try:
            return part.arrays(entry)
        except DamagedEntry as error:
            if self._files is None:
                raise
            _log.warning("%s; it is read from its file", error)
            return None

    def _from_files(self, clip: DatasetClip) -> FileSource:
        if self._files is None:
            raise MediaError(
                f"clip {clip.clip_id} is not in the cache",
                why=f"{self._folder} holds nothing of it for this model, or its file has changed",
                fix="run `save data prepare` for this preset",
            )
        return self._files

    def _open(self, key: PartKey | None) -> PartReader | None:
        folder = part_folder(self._folder, key.name) if key is not None else None
        return None if folder is None else PartReader(folder)


def kept_clips(
    folder: Path | None, config: ModelConfig, clips: Sequence[DatasetClip], has_words: bool
) -> frozenset[str]:
    """Ids of the clips that a cache holds whole for a model, whatever has become of their files; none without one.

    What any frozen encoder made of the sound counts, as the model's own is not known yet; `session.open_source`
    refuses another's.

    Args:
        has_words: a file tells what is said.
    """
    if folder is None or not folder.is_dir() or not clips:
        return frozenset()
    source = CacheSource(folder, config, speech={} if has_words else None, teacher="")
    places = (part_folder(folder, key.name) for key in tokens_there(folder, config))
    tokens = [PartReader(place) for place in places if place is not None]
    return frozenset(clip.clip_id for clip in clips if source.is_whole(clip, tokens=tokens))


def cache_size(
    num_clips: int,
    config: ModelConfig,
    *,
    with_tokens: bool,
    with_speech: bool = True,
    with_teacher: bool = False,
    mean_duration_s: float = 10.0,
) -> CacheSize:
    """What a cache of so many clips takes, if each has sound and speech.

    Args:
        with_tokens: keep what the audio encoder makes of the sound in the place of filter banks.
        mean_duration_s: of a clip; decides how many windows of sound it has, where the config cuts it.
    """
    form = sound_format(config)
    sound = 0
    if form is not None:
        windows = 1 if form.fit == "stretched" else max(1, -(-round(100 * mean_duration_s) // form.num_rows))
        tokens, width = tokens_shape(config)
        row = tokens * width if with_tokens else form.num_rows * form.num_mel_bins
        sound = windows * (2 * row + form.num_rows) + _OVERHEAD_BYTES
    side = config.clip.pixels.image_size
    frames = config.inputs.num_frames * side * side * 3 + _OVERHEAD_BYTES
    speech = _OVERHEAD_BYTES if with_speech and config.has_speech else 0
    teacher = 2 * 4 * _TEACHER_WIDTH + _OVERHEAD_BYTES if with_teacher else 0
    return CacheSize(num_clips * frames, num_clips * sound, num_clips * speech, num_clips * teacher)

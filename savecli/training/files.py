"""Clips straight from their video files: the source of training without a cache, and what fills one."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from savecli.core.errors import MediaError
from savecli.core.records import NO_SPEECH, Transcript
from savecli.datasets.base import DatasetClip
from savecli.features.inputs import (
    ClipSound,
    FrameFormat,
    SoundFormat,
    Transcriber,
    read_clip_frames,
    read_clip_pictures,
    read_clip_sound,
    read_clip_waveform,
    read_transcript,
    speech_within,
)
from savecli.features.model_inputs import input_form
from savecli.model.checkpoint import preprocessing
from savecli.model.config import ModelConfig
from savecli.model.teachers import MissingVectorError, Teacher, TeacherClip, knows
from savecli.training.records import ClipArrays
from savecli.transcript import choose
from savecli.transcript.choose import SpeechConfig, build_transcriber

_log = logging.getLogger(__name__)

# What the authors of SAVE average over; and the side that the teachers' own preprocessing begins with.
TEACHER_FRAMES, TEACHER_SIDE = 32, 256


@dataclass(frozen=True, eq=False)
class TaughtClip:
    """A teacher's vectors `(T,)` of one clip; None is not known."""

    video: npt.NDArray[np.float32] | None = None
    audio: npt.NDArray[np.float32] | None = None


class FileSource:
    """A `ClipSource` that decodes each clip anew. Safe to use from several threads.

    Args:
        paths: by clip id, its file; clips without one cannot be read.
        speech: by clip id, what is said; clips that are not in it have none. None takes subtitles that exist, else
            recognises speech, once per file.
        transcriber: what does so; None is the best that needs no download.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        config: ModelConfig,
        *,
        speech: Mapping[str, str] | None,
        teacher: Teacher | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._paths = paths
        self._frame_format = frame_format(config)
        self._sound_format = sound_format(config)
        self._has_speech = config.has_speech
        self._speech = speech
        self._teacher = teacher
        self._teaching = threading.Lock()  # a network fills the machine by itself
        self._transcripts = _Transcripts(transcriber)

    @property
    def has_teacher(self) -> bool:
        return self._teacher is not None

    def read(self, clip: DatasetClip) -> ClipArrays:
        """The arrays of one clip; one whose sound alone is broken keeps its picture.

        Raises:
            MediaError: its file is not there or cannot be decoded.
        """
        frames, sound, taught = self.frames(clip), self.sound(clip), self.taught(clip)
        return ClipArrays(
            frames=frames,
            sound=None if sound is None else sound.banks,
            sound_mask=None if sound is None else sound.mask,
            speech=self.speech(clip),
            teacher_video=taught.video,
            teacher_audio=taught.audio,
        )

    def frames(self, clip: DatasetClip) -> npt.NDArray[np.uint8]:
        """`(F, S, S, 3)`. Raises as `read`."""
        return read_clip_frames(self._path(clip), clip.span, self._frame_format)

    def sound(self, clip: DatasetClip) -> ClipSound | None:
        """The clip's filter banks; None for a model that does not hear, and where there is no sound to be heard.

        Raises:
            MediaError: its file is not there.
        """
        if self._sound_format is None:
            return None
        path = self._path(clip)
        try:
            return read_clip_sound(path, clip.span, self._sound_format)
        except MediaError as error:
            _log.warning("%s: its sound is left out: %s", path, error.why or error.what)
            return None

    def speech(self, clip: DatasetClip) -> str:
        """What is said in the clip; "" for a model that does not read it. Raises as `read`."""
        return self.known_speech(clip) or ""

    def known_speech(self, clip: DatasetClip) -> str | None:
        """As `speech`; None where the clip has sound and no subtitles, and nothing here recognises speech."""
        if not self._has_speech:
            return ""
        if self._speech is not None:
            return self._speech.get(clip.clip_id, "")
        transcript = self._transcripts.of(self._path(clip))
        # A note beside no words says what was lacking; without a recogniser, that is the recogniser.
        if transcript.source == NO_SPEECH.source and transcript.note and not self._transcripts.recogniser:
            return None
        return speech_within(transcript, clip.span)

    def is_taught(self, clip: DatasetClip) -> bool:
        """Whether the teacher has vectors of the clip, or can be asked for them; nothing is decoded or computed."""
        if self._teacher is None:
            return False
        is_there = self._teacher.rate_hz is None or clip.clip_id in self._paths
        return is_there and knows(self._teacher, clip.clip_id)

    def taught(self, clip: DatasetClip) -> TaughtClip:
        """What the teacher says of the clip; nothing where there is no teacher, or it has no vectors of the clip.

        Raises:
            MediaError: as `read`.
            WeightsError: the teacher's vectors of the clip are damaged.
        """
        if self._teacher is None:
            return TaughtClip()
        try:
            given = self._for_teacher(clip, self._teacher.rate_hz)
            with self._teaching:
                taught = self._teacher.encode([given])
        except MissingVectorError as error:
            # Of clips that are only evaluated there are no vectors as a rule.
            _log.info("clip %s is not taught: %s", clip.clip_id, error)
            return TaughtClip()
        video, audio = taught.vectors.video[0].numpy(), taught.vectors.audio[0].numpy()
        return TaughtClip(video, audio if bool(taught.has_audio[0]) else None)

    def _for_teacher(self, clip: DatasetClip, rate_hz: int | None) -> TeacherClip:
        if rate_hz is None:
            return TeacherClip(clip.clip_id)
        path = self._path(clip)
        pixels = read_clip_pictures(path, clip.span, num_frames=TEACHER_FRAMES, short_side=TEACHER_SIDE)
        try:
            waveform = read_clip_waveform(path, clip.span, rate_hz=rate_hz)
        except MediaError as error:
            _log.warning("%s: its sound is not taught: %s", path, error.why or error.what)
            waveform = None
        frames = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return TeacherClip(clip.clip_id, frames, None if waveform is None else torch.from_numpy(waveform))

    def _path(self, clip: DatasetClip) -> Path:
        path = self._paths.get(clip.clip_id)
        if path is None:
            raise MediaError(
                f"cannot read clip {clip.clip_id}",
                why=f"no file for `{clip.media}` was found",
                fix="`save data verify` tells where it is looked for",
            )
        return path


def frame_format(config: ModelConfig) -> FrameFormat:
    """Which frames a model of `config` sees."""
    return input_form(preprocessing(config)).frames


def sound_format(config: ModelConfig) -> SoundFormat | None:
    """How a model of `config` wants sound; None for one that does not hear."""
    return input_form(preprocessing(config)).sound


def offline_transcriber(config: SpeechConfig | None = None) -> Transcriber:
    """Subtitles that exist, else the best recogniser on this machine."""
    return build_transcriber(config or SpeechConfig(allow_download=False), hub_reachable=lambda: False)


def recogniser_of(transcriber: Transcriber) -> str:
    """What recognises speech: `whisper`, `sphinx`, the name of a class of one's own; "" where nothing does."""
    if not isinstance(transcriber, choose.Transcriber):
        return type(transcriber).__name__
    source = transcriber.recogniser.source
    return "" if source is None else source.name


class _Transcripts:
    """Transcripts of files, each made once, whichever thread asks first."""

    def __init__(self, transcriber: Transcriber | None) -> None:
        self._transcriber = transcriber
        self._lock = threading.Lock()
        self._lock_of: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._held: dict[Path, Transcript] = {}

    def of(self, path: Path) -> Transcript:
        transcriber = self._opened()
        with self._lock:
            lock = self._lock_of[path]
        with lock:
            if path not in self._held:
                self._held[path] = read_transcript(path, transcriber)
            return self._held[path]

    @property
    def recogniser(self) -> str:
        return recogniser_of(self._opened())

    def _opened(self) -> Transcriber:
        with self._lock:
            if self._transcriber is None:
                self._transcriber = offline_transcriber()
            return self._transcriber

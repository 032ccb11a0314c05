"""Speech recognition by Whisper through faster-whisper."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from savecli.core.errors import SaveError, WeightsError
from savecli.core.records import Transcript, Utterance, VideoInfo, Word
from savecli.media.audio import read_audio
from savecli.transcript.base import clean_utterances, whole_words
from savecli.transcript.gates import HeardSegment, believed
from savecli.transcript.grouping import group_words
from savecli.transcript.languages import iso_639_1
from savecli.transcript.voice import RATE_HZ, SpeechWindow, joined_stretches, speech_windows

logger = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

# Whisper hears 30 s at once; two seconds of margin for the padding around stretches.
_MAX_CLIP_S = 28.0
_FRAMES_PER_WINDOW = 3000
_MIN_SILENCE_S = 0.5
# The language is settled by the first speech that the model is this sure of.
_SURE_OF_LANGUAGE = 0.5


@dataclass(frozen=True)
class Engine:
    """How Whisper runs on this machine. `batch_size` counts clips of up to half a minute decoded together."""

    device: Literal["cpu", "cuda"]
    compute_type: str
    beam_size: int
    batch_size: int


CUDA = Engine("cuda", "float16", beam_size=5, batch_size=8)
# Four clips at once save 18 % of the time on a CPU and take 350 MB more; a beam multiplies the decoder's share of it.
CPU = Engine("cpu", "int8", beam_size=1, batch_size=1)


def plan_engine(device: Device) -> Engine:
    """The engine for `device`; `auto` takes a GPU when there is one. Loads no model.

    Raises:
        SaveError: `cuda` is asked for and there is no usable GPU.
    """
    import ctranslate2

    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if device == "cuda" and not has_gpu:
        raise SaveError("no GPU for Whisper", why="CTranslate2 finds no CUDA device", fix="leave out `--device cuda`")
    wanted = CUDA if has_gpu and device != "cpu" else CPU
    usable = ctranslate2.get_supported_compute_types(wanted.device)
    if wanted.compute_type in usable:
        return wanted
    return Engine(wanted.device, "float32", wanted.beam_size, wanted.batch_size)


class WhisperSource:
    """Recognises speech with one model, which is loaded at the first speech that needs it.

    Safe to use from several threads: they share the model, which takes their clips in turn.

    Args:
        weights: where the model's folder is, fetched if need be; called once.
        model_name: for the transcript's `source`.
        cpu_threads: threads of one recognition; 0 takes all cores.
    """

    name = "whisper"

    def __init__(
        self, weights: Callable[[], Path], *, model_name: str, device: Device = "auto", cpu_threads: int = 0
    ) -> None:
        self._weights = weights
        self._model_name = model_name
        self._device = device
        self._cpu_threads = cpu_threads
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Engine] | None = None

    def read(self, info: VideoInfo) -> Transcript | None:
        """What is said; without utterances when nobody speaks, None without sound.

        Raises:
            MediaError: the sound cannot be read.
            WeightsError: the weights cannot be had or loaded.
        """
        if info.audio is None:
            return None
        language: str | None = None
        segments: list[HeardSegment] = []
        sound = read_audio(info.path, rate_hz=RATE_HZ)
        for window in speech_windows(sound, max_stretch_s=_MAX_CLIP_S, min_silence_s=_MIN_SILENCE_S):
            heard, found, is_sure = self._recognise(window, language)
            segments += heard
            language = found if is_sure else language
        utterances = tuple(u for segment in believed(segments) for u in _utterances(segment))
        code = iso_639_1(language) if utterances else None
        return Transcript(clean_utterances(utterances), f"whisper:{self._model_name}", code)

    def _recognise(self, window: SpeechWindow, language: str | None) -> tuple[list[HeardSegment], str, bool]:
        """Segments of a window with their times in the video, the language, and whether the model is sure of it."""
        from faster_whisper import BatchedInferencePipeline

        model, engine = self._model()
        clips = joined_stretches(window.stretches, max_s=_MAX_CLIP_S)
        # The pipeline keeps state between calls, so that threads must not share one; the model behind it they may.
        segments, about = BatchedInferencePipeline(model).transcribe(
            window.waveform,
            language=language,
            clip_timestamps=[{"start": clip.start / RATE_HZ, "end": clip.end / RATE_HZ} for clip in clips],
            batch_size=engine.batch_size,
            beam_size=engine.beam_size,
            # Fallbacks to higher temperatures multiply the time, and what needs them is dropped by the gates.
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            without_timestamps=True,
        )
        heard = [_heard(segment, window.start_s) for segment in segments if segment.text.strip()]
        return heard, str(about.language), float(about.language_probability) >= _SURE_OF_LANGUAGE

    def _model(self) -> tuple[Any, Engine]:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load(self._weights(), plan_engine(self._device))
            return self._loaded

    def _load(self, folder: Path, engine: Engine) -> tuple[Any, Engine]:
        from faster_whisper import WhisperModel

        try:
            model = WhisperModel(
                str(folder),
                device=engine.device,
                compute_type=engine.compute_type,
                cpu_threads=self._cpu_threads or _num_cores(),
                local_files_only=True,
            )
            if engine.device == "cuda":
                # A GPU without its libraries fails at the first sound, not when loading: find out now.
                model.encode(np.zeros((model.model.n_mels, _FRAMES_PER_WINDOW), np.float32))
        except (RuntimeError, ValueError, OSError) as error:
            if engine.device == "cuda" and self._device == "auto":
                logger.warning("Whisper runs on the CPU, as the GPU cannot be used: %s", error)
                return self._load(folder, plan_engine("cpu"))
            raise WeightsError(
                f"cannot load Whisper {self._model_name}",
                why=f"{folder}: {error}",
                fix="fetch the weights again with `save models pull`, or use `--speech sphinx`",
            ) from error
        return model, engine


def _heard(segment: Any, offset_s: float) -> HeardSegment:
    """faster-whisper's segment as our record, with times in the video."""
    pieces = segment.words or ()
    words = tuple(Word(offset_s + float(piece.start), offset_s + float(piece.end), piece.word) for piece in pieces)
    return HeardSegment(
        start_s=offset_s + float(segment.start),
        end_s=offset_s + float(segment.end),
        text=segment.text.strip(),
        words=whole_words(words),
        avg_logprob=float(segment.avg_logprob),
        no_speech_prob=float(segment.no_speech_prob),
        word_probability=float(np.mean([piece.probability for piece in pieces])) if pieces else None,
    )


def _utterances(segment: HeardSegment) -> Iterator[Utterance]:
    if segment.words:
        yield from group_words(segment.words)
    else:
        yield Utterance(segment.start_s, segment.end_s, segment.text)


def _num_cores() -> int:
    """Cores that this process may use, which in containers are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

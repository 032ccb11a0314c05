"""Which source tells what is said in a video, decided once per run."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from savecli.core.errors import MediaError, SaveError, WeightsError
from savecli.core.progress import NoProgress, Progress
from savecli.core.records import NO_SPEECH, Transcript, VideoInfo
from savecli.transcript.base import TranscriptSource
from savecli.transcript.embedded import EmbeddedSource
from savecli.transcript.sidecar import SidecarSource
from savecli.transcript.whisper_weights import download_whisper, find_whisper, whisper_folder, whisper_size

logger = logging.getLogger(__name__)

_NO_PROGRESS = NoProgress()
Choice = Literal["auto", "subtitles", "whisper", "sphinx", "none"]


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """Where transcripts may come from.

    Args:
        source: `auto` takes subtitles that exist, else recognises speech; `whisper` and `sphinx` recognise it
            even where there are subtitles; `subtitles` recognises nothing; `none` reads nothing.
        whisper_model: a size of `WHISPER_MODELS` or a folder with a model in CTranslate2 format. `base` is the
            largest that keeps up with the rest of indexing on a CPU (RTF 0.045 on one core, `small` 0.13).
        allow_download: whether weights that are not here may be fetched.
        cpu_threads: threads of one recognition; 0 takes all cores.
    """

    source: Choice = "auto"
    whisper_model: str = "base"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    allow_download: bool = True
    cpu_threads: int = 0


@dataclass(frozen=True)
class Recogniser:
    """The recogniser that this run uses, if any; `note` goes into each transcript it makes, `label` on the plan."""

    source: TranscriptSource | None
    label: str
    note: str = ""


class Transcriber:
    """Finds out what is said in videos; build one per run. Safe to use from several threads.

    Args:
        existing: sources of words that exist already, asked in this order.
        choose: settles the recogniser; called once, when it is first needed.
    """

    def __init__(self, existing: Sequence[TranscriptSource], choose: Callable[[], Recogniser]) -> None:
        self._existing = tuple(existing)
        self._choose = choose
        self._lock = threading.Lock()
        self._chosen: Recogniser | None = None

    def transcribe(self, info: VideoInfo) -> Transcript:
        """What is said in the video; `NO_SPEECH` when there is neither text nor sound.

        Sound that cannot be read is no reason to lose the picture: the transcript is then empty and says why.

        Raises:
            WeightsError: Whisper's weights cannot be fetched or loaded.
            SaveError: the recogniser does not run.
        """
        for source in self._existing:
            transcript = source.read(info)
            if transcript is not None:
                return transcript
        if info.audio is None:
            return NO_SPEECH
        recogniser = self.recogniser
        if recogniser.source is None:
            return replace(NO_SPEECH, note=recogniser.note)
        try:
            heard = recogniser.source.read(info)
        except MediaError as error:
            logger.warning("%s: speech not recognised: %s", info.path, error)
            return replace(NO_SPEECH, note=f"the sound cannot be read: {error.why or error.what}")
        return NO_SPEECH if heard is None else replace(heard, note=recogniser.note)

    def describe(self) -> str:
        """For the plan, e.g. `speech: subtitles, else whisper base (int8)`; loads no model, may ask for the hub."""
        parts = ["subtitles"] if self._existing else []
        if self.recogniser.label:
            parts.append(self.recogniser.label)
        return "speech: " + (", else ".join(parts) or "off")

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser of this run; the first call may take the seconds that asking for the hub takes."""
        with self._lock:
            if self._chosen is None:
                self._chosen = self._choose()
            return self._chosen


def build_transcriber(
    config: SpeechConfig, *, hub_reachable: Callable[[], bool], progress: Progress = _NO_PROGRESS
) -> Transcriber:
    """The transcriber that `config` asks for; loads no model.

    Args:
        hub_reachable: whether weights could be fetched now; asked only when they are needed and not here.
        progress: hears of a download of weights.

    Raises:
        UsageError: the Whisper model is neither a size nor a folder.
        WeightsError: `whisper` is asked for and its weights cannot be had.
        SaveError: `sphinx` is asked for and not installed, or `cuda` and there is no GPU.
    """
    existing = (SidecarSource(), EmbeddedSource())
    if config.source == "none":
        return Transcriber((), lambda: Recogniser(None, ""))
    if config.source == "subtitles":
        return Transcriber(existing, lambda: Recogniser(None, ""))
    if config.source == "sphinx":
        forced = _sphinx(config)
        return Transcriber((), lambda: forced)
    if config.source == "whisper":
        whisper = _whisper(config, hub_reachable, progress)
        if whisper is None:
            raise _no_weights(config)
        return Transcriber((), lambda: whisper)
    find_whisper(config.whisper_model)  # a misspelt name is told now, not after an hour of indexing
    return Transcriber(existing, lambda: _best(config, hub_reachable, progress))


def _best(config: SpeechConfig, hub_reachable: Callable[[], bool], progress: Progress) -> Recogniser:
    whisper = _whisper(config, hub_reachable, progress)
    if whisper is not None:
        return whisper
    better = f"for far better words: {_remedy(config)}"
    if importlib.util.find_spec("pocketsphinx") is None:
        return Recogniser(None, "", note=f"speech not recognised, as Whisper's weights are not here; {better}")
    sphinx = _sphinx(config)
    return replace(
        sphinx,
        label=f"{sphinx.label} (Whisper's weights are not here)",
        note=f"recognised by PocketSphinx, as Whisper's weights are not here; {better}",
    )


def _whisper(config: SpeechConfig, hub_reachable: Callable[[], bool], progress: Progress) -> Recogniser | None:
    """Whisper, or None when its weights are neither here nor to be had."""
    here, folder = find_whisper(config.whisper_model), whisper_folder(config.whisper_model)
    if here is None and (folder is not None or not config.allow_download or not hub_reachable()):
        return None
    from savecli.transcript.whisper import WhisperSource, plan_engine

    name = folder.name if folder is not None else whisper_size(config.whisper_model)
    engine = plan_engine(config.device)

    def weights() -> Path:
        if here is not None:
            return here
        progress.note(f"downloading Whisper {name} for speech recognition")
        return download_whisper(name, progress=progress)

    source = WhisperSource(weights, model_name=name, device=config.device, cpu_threads=config.cpu_threads)
    details = engine.compute_type if here is not None else f"{engine.compute_type}, to be downloaded"
    return Recogniser(source, f"whisper {name} ({details})")


def _sphinx(config: SpeechConfig) -> Recogniser:
    if importlib.util.find_spec("pocketsphinx") is None:
        raise SaveError("PocketSphinx is not installed", fix="`pip install pocketsphinx`")
    from savecli.transcript.sphinx import SphinxSource

    return Recogniser(SphinxSource(max_workers=config.cpu_threads or os.cpu_count() or 1), "PocketSphinx")


def _no_weights(config: SpeechConfig) -> WeightsError:
    folder = whisper_folder(config.whisper_model)
    if folder is not None:
        why = f"{folder} holds no complete model in CTranslate2 format (config.json, model.bin, tokenizer.json)"
        return WeightsError("no weights for Whisper", why=why, fix="convert it with `ct2-transformers-converter`")
    why = "they are not here, and downloads are off" if not config.allow_download else "they are not here, nor is a hub"
    return WeightsError("no weights for Whisper", why=why, fix=f"where there is a connection: {_remedy(config)}")


def _remedy(config: SpeechConfig) -> str:
    if whisper_folder(config.whisper_model) is not None:
        return "`--whisper base` or another folder"
    return f"`save models pull whisper-{whisper_size(config.whisper_model)}`"

"""Sentences spoken by flite, with the time of every word."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from studio.sounds import RATE_HZ, Samples

Voice = Literal["rms", "slt", "awb"]

_FLITE = "flite"
_SLOWER = "1.12"  # times flite's own pace: clearer for people and for speech recognition
_QUIET = 0.01  # below this share of full scale, the ends of a recording are silence


@dataclass(frozen=True)
class SpokenWord:
    """A word as it is written, punctuation included; seconds from the start of its sentence."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Sentence:
    """A spoken sentence without silence at its ends."""

    text: str
    samples: Samples
    words: tuple[SpokenWord, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / RATE_HZ


def require_flite() -> None:
    """Raise SystemExit with the fix when the speech synthesiser is not installed."""
    if shutil.which(_FLITE) is None:
        raise SystemExit(
            "error: the example archive cannot be made without its speech synthesiser\n"
            "  why: no program `flite` in PATH\n"
            "  fix: install it (Debian and Ubuntu: `apt-get install flite`; source: http://cmuflite.org) and run again"
        )


@lru_cache(maxsize=128)
def speak(text: str, voice: Voice) -> Sentence:
    """The sentence in one of flite's voices: `rms` (a man), `slt` (a woman), `awb` (a Scotsman)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentence.wav"
        phones = _phones(text, voice, file)
        with wave.open(str(file)) as recording:
            rate_hz = recording.getframerate()
            samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2") / 32_768
    loud = np.flatnonzero(np.abs(samples) > _QUIET)
    first, last = int(loud[0]), int(loud[-1]) + 1
    words = _word_times(text, voice, phones, offset_s=first / rate_hz, duration_s=(last - first) / rate_hz)
    return Sentence(text, _at_our_rate(samples[first:last], rate_hz), words)


@dataclass(frozen=True)
class _Phone:
    name: str
    end_s: float


def _phones(text: str, voice: Voice, file: Path) -> list[_Phone]:
    command = [_FLITE, "-voice", voice, "--setf", f"duration_stretch={_SLOWER}", "-psdur", "-t", text, "-o", str(file)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [_Phone(name, float(end_s)) for name, end_s in (phone.split(":") for phone in printed)]


def _word_times(
    text: str, voice: Voice, phones: list[_Phone], *, offset_s: float, duration_s: float
) -> tuple[SpokenWord, ...]:
    """flite times phones, not words: a word gets as many phones of the sentence as it has when spoken alone."""
    spans = [
        (before.end_s, phone.end_s)
        for before, phone in zip([_Phone("pau", 0.0), *phones], phones, strict=False)
        if phone.name != "pau"
    ]
    counts = [_num_phones(word, voice) for word in text.split()]
    borders = np.concatenate([[0], np.cumsum(counts)]) * (len(spans) / sum(counts))
    words = []
    for word, first, end in zip(text.split(), borders[:-1].round(), borders[1:].round(), strict=True):
        start_s = max(0.0, spans[int(first)][0] - offset_s)
        words.append(SpokenWord(word, start_s, min(duration_s, spans[int(end) - 1][1] - offset_s)))
    return tuple(words)


@lru_cache(maxsize=512)
def _num_phones(word: str, voice: Voice) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return sum(phone.name != "pau" for phone in _phones(word.strip(".,:;!?"), voice, Path(folder) / "word.wav"))


def _at_our_rate(samples: Samples, rate_hz: int) -> Samples:
    """Resampled by a longer Fourier transform: exact, as nothing above half the old rate is there to fold."""
    count = round(len(samples) * RATE_HZ / rate_hz)
    spectrum = np.zeros(count // 2 + 1, dtype=complex)
    old = np.fft.rfft(samples)
    spectrum[: len(old)] = old
    resampled = np.fft.irfft(spectrum, count) * (count / len(samples))
    return np.asarray(resampled * (0.8 / np.abs(resampled).max()))

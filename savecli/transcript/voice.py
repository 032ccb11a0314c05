"""Where somebody speaks: sound cut into windows with their stretches of speech, in bounded memory.

The detector is Silero's, which comes with faster-whisper. It is what keeps recognisers from inventing words: over ten
minutes each of silence, noise and music it hears nobody, where a recogniser that is asked always answers something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]

RATE_HZ = 16000
# The detector takes about 0.6 MB for each second at once, so that a window costs 80 MB however long the file is.
WINDOW_S = 120.0
# Speech may be about to start in the last second of a window, before the detector can know.
_UNSURE_S = 1.0
_PADDING_S = 0.2
_MIN_SPEECH_S = 0.25


@dataclass(frozen=True)
class Stretch:
    """Samples `[start, end)` of a window in which somebody speaks, with a little silence around."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class SpeechWindow:
    """A piece of sound with speech in it; it begins and ends where nobody speaks.

    Args:
        start_s: where it lies in the video.
        waveform: `(num_samples,)` float32 mono at `RATE_HZ`.
        stretches: in order, at least one, without overlaps.
    """

    start_s: float
    waveform: Waveform
    stretches: tuple[Stretch, ...]


def speech_windows(
    blocks: Iterable[Waveform], *, max_stretch_s: float, min_silence_s: float, window_s: float = WINDOW_S
) -> Iterator[SpeechWindow]:
    """Yields the windows that hold speech; silence, noise and music between them are left out.

    Args:
        blocks: the sound from its start, without gaps, at `RATE_HZ`.
        max_stretch_s: longer speech is cut at a short pause, or where there is none in mid-word.
        min_silence_s: shorter pauses do not end a stretch.
        window_s: sound that is looked at in one go, and the bound on what is kept in memory.
    """
    start, waiting = 0, np.zeros(0, np.float32)
    for waveform, is_last in _batches(blocks, round(window_s * RATE_HZ)):
        waveform = np.concatenate([waiting, waveform])
        stretches = find_speech(waveform, max_stretch_s=max_stretch_s, min_silence_s=min_silence_s)
        cut = len(waveform) if is_last else _safe_cut(stretches, len(waveform))
        complete = tuple(stretch for stretch in stretches if stretch.end <= cut)
        if complete:
            yield SpeechWindow(start / RATE_HZ, waveform[:cut], complete)
        start, waiting = start + cut, waveform[cut:]


def find_speech(waveform: Waveform, *, max_stretch_s: float, min_silence_s: float) -> tuple[Stretch, ...]:
    """Stretches of speech in a waveform at `RATE_HZ`, in order, without overlaps."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if len(waveform) == 0:
        return ()
    options = VadOptions(
        max_speech_duration_s=max_stretch_s,
        min_silence_duration_ms=round(1000 * min_silence_s),
        min_speech_duration_ms=round(1000 * _MIN_SPEECH_S),
        speech_pad_ms=round(1000 * _PADDING_S),
    )
    found = get_speech_timestamps(waveform, options)
    return tuple(Stretch(int(row["start"]), min(int(row["end"]), len(waveform))) for row in found)


def joined_stretches(stretches: Iterable[Stretch], *, max_s: float) -> tuple[Stretch, ...]:
    """Neighbouring stretches with the pauses between them, as long as the whole stays within `max_s`."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.end - joined[-1].start <= max_s * RATE_HZ:
            joined[-1] = Stretch(joined[-1].start, stretch.end)
        else:
            joined.append(stretch)
    return tuple(joined)


def _batches(blocks: Iterable[Waveform], num_samples: int) -> Iterator[tuple[Waveform, bool]]:
    """Blocks gathered to at least `num_samples`, each with whether it is the last; the last may be empty."""
    gathered: list[Waveform] = []
    for block in blocks:
        gathered.append(block)
        if sum(map(len, gathered)) >= num_samples:
            yield np.concatenate(gathered), False
            gathered = []
    yield np.concatenate([*gathered, np.zeros(0, np.float32)]), True


def _safe_cut(stretches: tuple[Stretch, ...], num_samples: int) -> int:
    """Where the window may end without cutting a word: before a stretch that is still going on at its end."""
    sure = max(0, num_samples - round(_UNSURE_S * RATE_HZ))
    if not stretches or stretches[-1].end <= sure:
        return sure
    # One stretch that fills the whole window can only come from a limit above the window: then it ends here.
    return stretches[-1].start or num_samples

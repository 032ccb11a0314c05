"""Sounds without speech, and a spoken sample.

`tests/data/spoken.ogg` was made with espeak-ng 1.51 and ffmpeg:

    espeak-ng -v en-us+f2 -s 140 -g 3 -w 1.wav "Today we talk about the muscles and the nerves."
    espeak-ng -v en-us+f2 -s 140 -g 3 -w 2.wav "How much water is there in the river?"
    ffmpeg -i 1.wav -i 2.wav -filter_complex "[0]apad=pad_dur=2[a];[a][1]concat=n=2:v=0:a=1,adelay=500,apad=pad_dur=0.5"
        -ar 16000 -ac 1 -c:a libopus -b:a 24k spoken.ogg
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from savecli.core.records import AudioStream, VideoInfo
from tests.make_media import make_video

Waveform = npt.NDArray[np.float32]

RATE_HZ = 16000
SPOKEN = Path(__file__).parent.parent / "data" / "spoken.ogg"
_SCALE_HZ = (220.0, 261.6, 293.7, 329.6, 349.2, 392.0, 440.0, 523.3)


def silence(duration_s: float) -> Waveform:
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


def white_noise(duration_s: float, *, level: float = 0.1) -> Waveform:
    samples = np.random.default_rng(0).normal(size=round(duration_s * RATE_HZ))
    return (level * samples).astype(np.float32)


def pink_noise(duration_s: float) -> Waveform:
    """Wind and traffic are more like this than like white noise."""
    num_samples = round(duration_s * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=num_samples))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), num_samples)
    return (0.3 * shaped / np.abs(shaped).max()).astype(np.float32)


def music(duration_s: float) -> Waveform:
    """A melody of plucked tones with overtones and vibrato over chords, and a drum on every fourth note."""
    random = np.random.default_rng(2)
    mix = np.zeros(round(duration_s * RATE_HZ))

    def add(start: int, samples: npt.NDArray[np.float64]) -> None:
        room = mix[start : start + len(samples)]
        room += samples[: len(room)]

    time_s = np.arange(round(0.6 * RATE_HZ)) / RATE_HZ
    chord_s = np.arange(2 * RATE_HZ) / RATE_HZ
    chord = sum(0.05 * np.sin(2 * np.pi * pitch_hz * chord_s) for pitch_hz in (110.0, 138.6, 164.8))
    for note in range(int(duration_s * 4)):
        start = note * RATE_HZ // 4
        pitch_hz = random.choice(_SCALE_HZ) * random.choice((1, 1, 2))
        vibrato = 0.02 * np.sin(2 * np.pi * 5 * time_s)
        pluck = np.exp(-5 * time_s) * (1 - np.exp(-200 * time_s))
        overtones = sum(np.sin(2 * np.pi * pitch_hz * k * time_s + vibrato) / k for k in range(1, 7))
        add(start, 0.15 * pluck * overtones)
        if note % 4 == 0:
            add(start, 0.3 * random.normal(size=len(time_s)) * np.exp(-60 * time_s))
        if note % 8 == 0:
            add(start, chord * np.hanning(len(chord)))
    return (0.7 * mix / np.abs(mix).max()).astype(np.float32)


def spoken() -> Waveform:
    """The spoken sample: speech from 0.5 to 4.2 s and from 6.6 to 9.4 s."""
    pieces: list[Waveform] = []
    with av.open(str(SPOKEN)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE_HZ)
        for frame in [*container.decode(audio=0), None]:
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    return np.concatenate(pieces)


def sentence() -> Waveform:
    """The first sentence of the sample, about muscles and nerves."""
    return spoken()[: round(4.7 * RATE_HZ)]


def sound_info(path: Path) -> VideoInfo:
    """What is known of a file of mono sound without a picture."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        duration_s = (container.duration or 0) / av.time_base
        audio = AudioStream(stream.index, stream.codec_context.name, stream.rate, 1)
    return VideoInfo(path, duration_s, container.format.name, None, audio)


def write_sound(path: Path, waveform: Waveform) -> VideoInfo:
    """Writes the waveform as FLAC."""
    return sound_info(make_video(path, codec=None, audio=waveform))

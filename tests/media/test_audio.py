"""Sound: rate, alignment with the picture, bounded blocks, and what happens to broken packets."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from savecli.core.errors import MediaError
from savecli.core.records import Span
from savecli.media.audio import read_audio
from tests.conftest import VideoMaker
from tests.make_media import tone

RATE_HZ = 16000


def all_samples(path: Path, *, rate_hz: int = RATE_HZ, span: Span | None = None) -> npt.NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *read_audio(path, rate_hz=rate_hz, span=span)])


def beep_at(*times_s: float, duration_s: float) -> npt.NDArray[np.float32]:
    """Silence with a beep of 50 ms at each time."""
    wave = np.zeros(round(duration_s * RATE_HZ), np.float32)
    beep = tone(0.05, frequency_hz=1000)
    for time_s in times_s:
        start = round(time_s * RATE_HZ)
        wave[start : start + len(beep)] = beep
    return wave


def onset_s(samples: npt.NDArray[np.float32]) -> float:
    """Second of the first loud sample."""
    return float(np.argmax(np.abs(samples) > 0.15)) / RATE_HZ


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.webm", "v.ts", "v.avi", "v.mov", "v.mpg"])
def test_sound_is_where_it_was_put(video: VideoMaker, name: str) -> None:
    codec = {"v.webm": "libvpx", "v.mpg": "mpeg2video"}.get(name, "libx264")
    path = video(name, codec=codec, audio=beep_at(1.5, duration_s=3), start_s=5.0 if name == "v.ts" else 0.0)
    samples = all_samples(path)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(3 * RATE_HZ, abs=0.15 * RATE_HZ)
    # Encoders of transport streams put sound some ten milliseconds before the picture, and that is where time begins.
    assert onset_s(samples) == pytest.approx(1.5, abs=0.09 if name in ("v.ts", "v.mpg") else 0.02)


def test_loudness_and_pitch_are_kept(video: VideoMaker) -> None:
    samples = all_samples(video("v.mkv", audio=tone(2), audio_codec="flac"))[RATE_HZ // 2 : -RATE_HZ // 4]
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()] == pytest.approx(440, abs=2)


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_many_channels_are_mixed_without_becoming_louder(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout=layout)
        channels = np.repeat((0.9 * 32767 * tone(1) / 0.5).astype(np.int16)[None], stream.layout.nb_channels, axis=0)
        frame = av.AudioFrame.from_ndarray(channels.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate = RATE_HZ
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert np.abs(all_samples(path)).max() == pytest.approx(0.9, abs=0.01)


def test_other_rates_are_resampled(video: VideoMaker) -> None:
    samples = all_samples(video("v.mkv", audio=tone(2), audio_codec="flac"), rate_hz=8000)
    assert len(samples) == pytest.approx(16000, abs=50)


def test_late_sound_begins_with_silence(video: VideoMaker) -> None:
    samples = all_samples(video("v.mkv", duration_s=3, audio_start_s=1.0))
    assert np.abs(samples[: int(0.9 * RATE_HZ)]).max() == 0
    assert onset_s(samples) == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("block_s", [0.1, 1.0, 30.0])
def test_blocks_have_equal_size_and_the_same_samples(video: VideoMaker, block_s: float) -> None:
    path = video(duration_s=3)
    blocks = list(read_audio(path, block_s=block_s))
    assert {len(block) for block in blocks[:-1]} <= {round(block_s * RATE_HZ)}
    assert 0 < len(blocks[-1]) <= round(block_s * RATE_HZ)
    assert np.array_equal(np.concatenate(blocks), all_samples(path))


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_a_span_is_a_part_of_the_whole(video: VideoMaker, name: str) -> None:
    wave = np.random.default_rng(2).uniform(-0.3, 0.3, 20 * RATE_HZ).astype(np.float32)
    path = video(name, duration_s=20, rate_hz=5, width=64, height=48, audio=wave)
    whole = all_samples(path)
    for start_s, end_s in ((0.0, 2.0), (3.5, 4.25), (12.0, 15.5), (19.0, 25.0)):
        part = all_samples(path, span=Span(start_s, end_s))
        expected = whole[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
        assert len(part) == len(expected)
        # A decoder that starts in the middle and a resampler with another phase differ in the last bits only.
        assert np.abs(part - expected).max() < 0.02


def test_a_span_behind_the_sound_is_empty(video: VideoMaker) -> None:
    assert len(all_samples(video(duration_s=1), span=Span(5, 6))) == 0


def test_broken_packets_do_not_shift_what_follows(video: VideoMaker) -> None:
    # Faint noise spreads the bytes evenly over the seconds.
    noise = np.random.default_rng(3).uniform(-0.03, 0.03, 10 * RATE_HZ).astype(np.float32)
    path = video("v.mkv", codec=None, audio=noise + beep_at(1, 9, duration_s=10))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(3).bytes(300)
    path.write_bytes(content)
    samples = all_samples(path)
    assert onset_s(samples) == pytest.approx(1, abs=0.02)
    assert onset_s(samples[8 * RATE_HZ :]) == pytest.approx(1, abs=0.02)


def test_no_sound_is_said(video: VideoMaker) -> None:
    with pytest.raises(MediaError) as error:
        next(read_audio(video(audio=None, duration_s=0.2)))
    assert error.value.why == "no audio stream"


def test_senseless_settings_are_refused(video: VideoMaker) -> None:
    with pytest.raises(ValueError, match="rate_hz is 0"):
        next(read_audio(video(duration_s=0.2), rate_hz=0))

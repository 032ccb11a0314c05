"""Clips that were written are read again by our own readers."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.core.errors import MediaError
from savecli.media.audio import read_audio
from savecli.media.frames import read_frames
from savecli.media.probe import probe_video
from savecli.media.write import write_clip


def moving_picture(num_frames: int = 12) -> np.ndarray:
    frames = np.full((num_frames, 48, 64, 3), 40, np.uint8)
    for index in range(num_frames):
        frames[index, 16:32, 4 * index : 4 * index + 16] = (220, 40, 40)
    return frames


def tone(seconds: float = 1.5, rate_hz: int = 16000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 500 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_written_clip_is_read_again(tmp_path, suffix):
    path, frames, wave = tmp_path / f"clip{suffix}", moving_picture(), tone()
    write_clip(path, frames, 8, wave, 16000)
    info = probe_video(path)
    assert info.duration_s == pytest.approx(1.5, abs=0.1)
    assert (info.video.width, info.video.height) == (64, 48)
    times = [(index + 0.5) / 8 for index in range(12)]
    seen = np.stack([frame.pixels for frame in read_frames(path, times, short_side=None)])
    assert np.abs(seen.astype(int) - frames).mean() < 4  # colour is kept at half the size
    heard = np.concatenate(list(read_audio(path)))
    assert len(heard) == pytest.approx(len(wave), abs=1024)
    assert np.abs(np.fft.rfft(heard)).argmax() * 16000 / len(heard) == pytest.approx(500, abs=2)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("wave", [None, np.zeros(0, np.float32)])
def test_a_clip_without_sound_has_no_stream(tmp_path, wave):
    write_clip(tmp_path / "mute.mp4", moving_picture(), 8, wave)
    assert probe_video(tmp_path / "mute.mp4").audio is None


def test_what_cannot_be_written_is_refused(tmp_path):
    frames = moving_picture()
    with pytest.raises(ValueError, match=r"frames are \(12, 47, 64, 3\); allowed"):
        write_clip(tmp_path / "odd.mp4", frames[:, 1:], 8)
    with pytest.raises(ValueError, match=r"waveform is \(1, 5\)"):
        write_clip(tmp_path / "two.mp4", frames, 8, np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match=r"suffix is `\.txt`; allowed: \.mp4, \.mkv"):
        write_clip(tmp_path / "clip.txt", frames, 8)
    with pytest.raises(MediaError, match="cannot write"):
        write_clip(tmp_path / "nowhere" / "clip.mp4", frames, 8)

"""Clips straight from their files: what is missing is None, what is broken is told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from savecli.core.errors import MediaError, WeightsError
from savecli.core.records import Span, Transcript, Utterance
from savecli.datasets.base import Caption, DatasetClip
from savecli.model.records import TeacherVectors
from savecli.model.teachers import Taught, file_teacher, stack, write_teacher
from savecli.training.batches import Collator
from savecli.training.files import FileSource
from tests.training.random_clips import small_config


def clip(name: str, span: Span | None = None) -> DatasetClip:
    return DatasetClip(name, (Caption("a caption"),), name, span)


class OneTranscript:
    """Says the same of every file, and counts how often it was asked."""

    def __init__(self) -> None:
        self.num_asked = 0

    def transcribe(self, info) -> Transcript:
        self.num_asked += 1
        return Transcript((Utterance(0.0, 2.0, "one two"),), "sidecar:x.srt")


class Listener:
    """A teacher that gives the number of frames and of samples."""

    rate_hz = 16000

    def encode(self, clips):
        (one,) = clips
        sound = None if one.waveform is None else torch.tensor([float(len(one.waveform))])
        return stack([(torch.tensor([float(len(one.frames))]), sound)])


@pytest.mark.parametrize("preset", ["save", "save-plus", "save-2", "clip4clip-meanp"])
def test_a_clip_fits_the_model(video, preset):
    config = small_config(preset)
    paths = {"a": video("a.mp4"), "b": video("b.mp4", audio=None)}
    source = FileSource(paths, config, speech={"a": "hello there"})
    first, second = source.read(clip("a")), source.read(clip("b"))
    side = config.clip.pixels.image_size
    assert first.frames.shape == (3, side, side, 3)
    assert (first.speech, second.speech) == ("hello there" if config.has_speech else "", "")
    assert first.has_sound == (config.audio is not None)
    assert not second.has_sound
    inputs = Collator(config).inputs([first, second])
    if config.audio is not None:
        assert inputs.sound.shape[2:] == (config.audio.num_rows, config.audio.num_mel_bins)
        assert not inputs.sound_mask[1].any()


def test_a_span_is_a_clip_of_its_own(video):
    path = video(duration_s=2.0, scenes=("red", "blue"))
    source = FileSource({"a": path, "b": path}, small_config("clip4clip-meanp"), speech={})
    first = source.read(clip("a", Span(0.0, 1.0))).frames.mean(axis=(0, 1, 2))
    second = source.read(clip("b", Span(1.0, 2.0))).frames.mean(axis=(0, 1, 2))
    assert first[0] > first[2]
    assert second[2] > second[0]


def test_files_that_are_not_there_or_broken_are_told(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    source = FileSource({"broken": broken, "gone": tmp_path / "gone.mp4"}, small_config("save"), speech={})
    with pytest.raises(MediaError, match="cannot read clip lost: no file for `lost` was found"):
        source.read(clip("lost"))
    for name in ("broken", "gone"):
        with pytest.raises(MediaError, match=f"cannot read {name}.mp4"):
            source.read(clip(name))


def test_speech_is_recognised_once_a_file_and_shared_out(video):
    path, heard = video(duration_s=2.0), OneTranscript()
    clips = [clip("a", Span(0.0, 1.0)), clip("b", Span(1.0, 2.0)), clip("c")]
    source = FileSource(dict.fromkeys("abc", path), small_config("save"), speech=None, transcriber=heard)
    assert [source.read(item).speech for item in clips] == ["one", "two", "one two"]
    assert heard.num_asked == 1


def test_subtitles_are_read_without_a_transcriber(video):
    path = video("talk.mkv", subtitles=[(0.5, 1.5, "from the track")])
    assert FileSource({"a": path}, small_config("save"), speech=None).read(clip("a")).speech == "from the track"


def test_a_teacher_gets_frames_and_sound(video):
    paths = {"a": video("a.mp4", duration_s=1.0), "b": video("b.mp4", duration_s=1.0, audio=None)}
    source = FileSource(paths, small_config("save"), speech={}, teacher=Listener())
    first, second = source.read(clip("a")), source.read(clip("b"))
    assert first.teacher_video == [25]  # all the frames there are
    assert first.teacher_audio == pytest.approx(16000, abs=1100)
    assert second.teacher_audio is None


def test_a_clip_that_a_file_teacher_does_not_know_is_not_taught(video, tmp_path: Path):
    vectors = TeacherVectors(audio=torch.ones(1, 4), video=torch.ones(1, 4))
    write_teacher(tmp_path / "taught", ["a"], Taught(vectors, torch.tensor([True])))
    path = video()
    source = FileSource(
        {"a": path, "b": path}, small_config("save"), speech={}, teacher=file_teacher(tmp_path / "taught")
    )
    np.testing.assert_array_equal(source.read(clip("a")).teacher_audio, np.ones(4))
    assert source.read(clip("b")).teacher_video is None
    assert [source.is_taught(clip(name)) for name in "ab"] == [True, False]
    assert not FileSource({"a": path}, small_config("save"), speech={}).is_taught(clip("a"))
    asked = FileSource({"a": path}, small_config("save"), speech={}, teacher=Listener())
    assert [asked.is_taught(clip(name)) for name in "ab"] == [True, False]


def test_a_damaged_vector_is_told(video, tmp_path: Path):
    vectors = TeacherVectors(audio=torch.ones(1, 4), video=torch.full((1, 4), float("nan")))
    write_teacher(tmp_path / "taught", ["a"], Taught(vectors, torch.tensor([True])))
    teacher = file_teacher(tmp_path / "taught")
    with pytest.raises(WeightsError, match="it holds NaN"):
        FileSource({"a": video()}, small_config("save"), speech={}, teacher=teacher).read(clip("a"))


def test_a_clip_whose_sound_alone_is_broken_keeps_its_picture(video, caplog):
    path = video("noise.mp4", duration_s=1.0)
    overwrite_sound(path)
    read = FileSource({"a": path}, small_config("save"), speech={}).read(clip("a"))
    assert read.sound is None
    assert len(read.frames) == 3
    assert "its sound is left out: nothing of its audio stream can be decoded" in caplog.text


def overwrite_sound(path: Path) -> None:
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    with path.open("rb+") as file:
        for pos, size in places:
            file.seek(pos)
            file.write(b"\xff" * size)

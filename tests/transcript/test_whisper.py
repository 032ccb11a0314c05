"""Whisper through the real faster-whisper, with a model of random weights."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import ClassVar

import pytest

from savecli.core.errors import SaveError, WeightsError
from savecli.core.records import Word
from savecli.media.probe import probe_video
from savecli.transcript import whisper
from savecli.transcript.whisper import CPU, WhisperSource, plan_engine
from tests.transcript import sounds


def source_of(folder, **options) -> WhisperSource:
    return WhisperSource(lambda: folder, model_name="tiny", device="cpu", **options)


def never():
    raise AssertionError("no weights are needed where nobody speaks")


def test_random_weights_are_not_believed(tmp_path, tiny_whisper):
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.spoken())
    transcript = source_of(tiny_whisper).read(info)
    assert transcript.source == "whisper:tiny"
    assert transcript.utterances == ()
    assert transcript.language is None


@pytest.mark.parametrize("make", [sounds.silence, sounds.white_noise, sounds.pink_noise, sounds.music])
def test_without_speech_no_model_is_loaded(tmp_path, make):
    info = sounds.write_sound(tmp_path / "sound.flac", make(30))
    transcript = WhisperSource(never, model_name="tiny").read(info)
    assert transcript.utterances == ()


def test_no_sound_is_no_transcript(video):
    assert WhisperSource(never, model_name="tiny").read(probe_video(video(audio=None))) is None


def test_threads_share_one_model(tmp_path, tiny_whisper):
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.spoken())
    loads = []
    source = WhisperSource(lambda: loads.append(1) or tiny_whisper, model_name="tiny", device="cpu", cpu_threads=1)
    threads = [threading.Thread(target=source.read, args=(info,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


class Recorded:
    """Stands where the pipeline stands: hears "hello world" in each clip, and keeps what it was asked."""

    calls: ClassVar[list[dict]] = []
    language_probability = 0.9

    def __init__(self, model):
        assert model is not None

    def transcribe(self, waveform, **options):
        type(self).calls.append(options)
        segments = [
            SimpleNamespace(
                start=clip["start"],
                end=clip["end"],
                text=" Hello wor-ld.",
                words=[
                    SimpleNamespace(start=clip["start"] + 0.5, end=clip["start"] + 0.9, word=" Hello", probability=0.9),
                    SimpleNamespace(start=clip["start"] + 0.9, end=clip["start"] + 1.2, word=" wor", probability=0.9),
                    SimpleNamespace(start=clip["start"] + 1.2, end=clip["start"] + 1.4, word="-ld.", probability=0.9),
                ],
                avg_logprob=-0.3,
                no_speech_prob=0.01,
            )
            for clip in options["clip_timestamps"]
        ]
        about = SimpleNamespace(language="de", language_probability=self.language_probability)
        return iter(segments), about


@pytest.fixture
def long_talk(tmp_path, monkeypatch):
    """Speech at 5 s and every minute after it, for five minutes, and small windows."""
    waveform = sounds.silence(300)
    for start_s in range(5, 300, 60):
        waveform[start_s * 16000 :][: len(sounds.spoken())] += sounds.spoken()
    windows = whisper.speech_windows
    monkeypatch.setattr(whisper, "speech_windows", lambda *args, **options: windows(*args, window_s=70.0, **options))
    return sounds.write_sound(tmp_path / "long.flac", waveform)


@pytest.fixture
def recorded(monkeypatch):
    import faster_whisper

    monkeypatch.setattr(faster_whisper, "BatchedInferencePipeline", Recorded)
    monkeypatch.setattr(Recorded, "calls", [])
    return Recorded


def test_times_of_a_long_file_are_those_of_the_video(long_talk, tiny_whisper, recorded):
    transcript = source_of(tiny_whisper).read(long_talk)
    starts_s = [u.start_s for u in transcript.utterances]
    assert starts_s == pytest.approx([5.9, 65.9, 125.9, 185.9, 245.9], abs=0.3)
    assert [w.text for w in transcript.utterances[0].words] == ["Hello", "wor-ld."]
    assert transcript.utterances[0].words[1] == Word(
        pytest.approx(transcript.utterances[0].start_s + 0.4), pytest.approx(transcript.utterances[0].end_s), "wor-ld."
    )


def test_the_language_is_settled_once(long_talk, tiny_whisper, recorded):
    transcript = source_of(tiny_whisper).read(long_talk)
    assert transcript.language == "de"
    assert len(recorded.calls) >= 3
    assert [call["language"] for call in recorded.calls] == [None, *["de"] * (len(recorded.calls) - 1)]


def test_an_unsure_language_is_asked_for_again(long_talk, tiny_whisper, recorded, monkeypatch):
    monkeypatch.setattr(recorded, "language_probability", 0.3)
    source_of(tiny_whisper).read(long_talk)
    assert {call["language"] for call in recorded.calls} == {None}


def test_the_decoder_is_pinned(long_talk, tiny_whisper, recorded):
    source_of(tiny_whisper).read(long_talk)
    call = recorded.calls[0]
    assert call["temperature"] == 0.0
    assert call["condition_on_previous_text"] is False
    assert call["word_timestamps"] is True
    assert call["beam_size"] == CPU.beam_size
    assert all(clip["end"] - clip["start"] <= 28.5 for clip in call["clip_timestamps"])


def test_broken_weights_say_what_to_do(tmp_path, tiny_whisper):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_whisper.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[:100] if file.name == "model.bin" else file.read_bytes())
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.spoken())
    with pytest.raises(WeightsError, match="cannot load Whisper tiny") as caught:
        source_of(broken).read(info)
    assert "save models pull" in caught.value.fix


def test_the_engine_of_a_machine_without_a_gpu(monkeypatch):
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    assert plan_engine("auto").device == "cpu"
    assert plan_engine("auto").compute_type == "int8"
    with pytest.raises(SaveError, match="no GPU for Whisper"):
        plan_engine("cuda")


def test_the_engine_of_a_machine_with_one(monkeypatch):
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: {"float16", "int8", "float32"})
    assert plan_engine("auto") == plan_engine("cuda") == whisper.CUDA
    assert plan_engine("cpu") == CPU
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: {"float32"})
    assert plan_engine("auto").compute_type == "float32"


def test_a_gpu_that_fails_gives_way_to_the_cpu(monkeypatch, tiny_whisper, tmp_path):
    import faster_whisper

    class Model(faster_whisper.WhisperModel):
        def __init__(self, *args, device, **options):
            if device == "cuda":
                raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
            super().__init__(*args, device=device, **options)

    monkeypatch.setattr(faster_whisper, "WhisperModel", Model)
    monkeypatch.setattr(whisper, "plan_engine", lambda device: CPU if device == "cpu" else whisper.CUDA)
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.spoken())
    assert WhisperSource(lambda: tiny_whisper, model_name="tiny").read(info) is not None
    with pytest.raises(WeightsError, match="cannot load"):
        WhisperSource(lambda: tiny_whisper, model_name="tiny", device="cuda").read(info)

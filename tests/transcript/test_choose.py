"""Which source tells what is said, and what the user hears about the choice."""

from __future__ import annotations

import importlib.util

import pytest

from savecli.core.errors import SaveError, UsageError, WeightsError
from savecli.core.records import NO_SPEECH
from savecli.media.probe import probe_video
from savecli.transcript import choose
from savecli.transcript.choose import SpeechConfig, build_transcriber
from tests.transcript import sounds

ROWS = [(0.5, 1.5, "from the track")]
SRT = "1\n00:00:00,500 --> 00:00:01,500\nfrom the file\n"


def never() -> bool:
    raise AssertionError("the hub is asked only when weights are needed and not here")


def build(source="auto", *, hub=never, **options):
    return build_transcriber(SpeechConfig(source=source, **options), hub_reachable=hub)


@pytest.fixture
def talk(video):
    """A file with real speech and no subtitles."""
    return probe_video(video("talk.mkv", duration_s=1, audio=sounds.sentence()))


@pytest.fixture
def no_recogniser(monkeypatch):
    def fail(*args):
        raise AssertionError("no recogniser is needed")

    monkeypatch.setattr(choose, "_best", fail)


def test_a_sidecar_goes_before_a_track_and_both_before_recognition(video, no_recogniser):
    path = video("talk.mkv", subtitles=ROWS)
    assert build().transcribe(probe_video(path)).text == "from the track"
    path.with_suffix(".srt").write_text(SRT)
    assert build().transcribe(probe_video(path)).source == "sidecar:talk.srt"


def test_no_sound_is_no_speech_without_loading_anything(video, no_recogniser):
    path = video(audio=None)
    assert build().transcribe(probe_video(path)) == NO_SPEECH
    path.with_suffix(".srt").write_text(SRT)
    assert build().transcribe(probe_video(path)).text == "from the file"


def test_whisper_is_taken_when_its_weights_are_here(talk, tiny_whisper):
    transcriber = build(whisper_model=str(tiny_whisper))
    assert transcriber.transcribe(talk).source == "whisper:tiny"
    assert transcriber.transcribe(talk).note == ""
    assert transcriber.describe() == "speech: subtitles, else whisper tiny (int8)"


def test_sphinx_steps_in_and_says_how_to_get_better(talk, no_hub_cache):
    asked = []
    transcriber = build(hub=lambda: asked.append(1) or False)
    heard = transcriber.transcribe(talk)
    assert heard.source == "sphinx:en-us"
    assert "muscles" in heard.text
    assert "Whisper's weights are not here" in heard.note
    assert "`save models pull whisper-base`" in heard.note
    assert transcriber.describe() == "speech: subtitles, else PocketSphinx (Whisper's weights are not here)"
    assert len(asked) == 1


def test_downloads_that_are_off_ask_no_hub(talk, no_hub_cache):
    assert "PocketSphinx" in build(allow_download=False).describe()


def test_a_reachable_hub_is_a_download_at_the_first_speech(talk, tiny_whisper, no_hub_cache, monkeypatch):
    fetched = []

    def fetch(name, *, progress):
        fetched.append(name)
        return tiny_whisper

    monkeypatch.setattr(choose, "download_whisper", fetch)
    transcriber = build(hub=lambda: True)
    assert transcriber.describe() == "speech: subtitles, else whisper base (int8, to be downloaded)"
    assert fetched == []
    assert transcriber.transcribe(talk).source == "whisper:base"
    transcriber.transcribe(talk)
    assert fetched == ["base"]


def test_without_any_recogniser_there_is_a_note_and_no_words(talk, no_hub_cache, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pocketsphinx" else find_spec(name))
    transcript = build(hub=lambda: False).transcribe(talk)
    assert (transcript.source, transcript.utterances) == ("none", ())
    assert "save models pull whisper-base" in transcript.note
    assert build(hub=lambda: False).describe() == "speech: subtitles"
    with pytest.raises(SaveError, match="PocketSphinx is not installed"):
        build("sphinx")


def test_forced_recognition_passes_over_subtitles(video, tiny_whisper):
    path = video("talk.mkv", duration_s=1, audio=sounds.sentence(), subtitles=ROWS)
    path.with_suffix(".srt").write_text(SRT)
    info = probe_video(path)
    assert build("whisper", whisper_model=str(tiny_whisper)).transcribe(info).source == "whisper:tiny"
    heard = build("sphinx").transcribe(info)
    assert (heard.source, heard.note) == ("sphinx:en-us", "")


def test_forced_subtitles_recognise_nothing(talk, no_recogniser):
    assert build("subtitles").transcribe(talk) == NO_SPEECH
    assert build("subtitles").describe() == "speech: subtitles"


def test_none_reads_nothing(video):
    path = video("talk.mkv", subtitles=ROWS)
    path.with_suffix(".srt").write_text(SRT)
    assert build("none").transcribe(probe_video(path)) == NO_SPEECH
    assert build("none").describe() == "speech: off"


@pytest.mark.parametrize(
    ("options", "why"), [({"hub": lambda: False}, "nor is a hub"), ({"allow_download": False}, "off")]
)
def test_forced_whisper_without_weights_fails_at_once(no_hub_cache, options, why):
    with pytest.raises(WeightsError, match=why) as caught:
        build("whisper", **options)
    assert "save models pull whisper-base" in caught.value.fix


def test_a_folder_without_a_model_fails_at_once(tmp_path):
    with pytest.raises(WeightsError, match="no complete model in CTranslate2 format"):
        build("whisper", whisper_model=str(tmp_path))


@pytest.mark.parametrize("source", ["auto", "whisper"])
def test_a_misspelt_model_fails_at_once(source):
    with pytest.raises(UsageError, match="no Whisper model `huge`"):
        build(source, whisper_model="huge")


def test_sound_that_cannot_be_read_is_noted_and_loses_no_picture(talk, tiny_whisper):
    transcriber = build(whisper_model=str(tiny_whisper))
    talk.path.write_bytes(b"no longer a video")
    transcript = transcriber.transcribe(talk)
    assert transcript.utterances == ()
    assert "cannot be read" in transcript.note

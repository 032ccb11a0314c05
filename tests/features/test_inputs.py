"""One clip of a file: its frames, its sound and its words are those of its span."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from savecli.core.errors import MediaError
from savecli.core.records import NO_SPEECH, Span, Transcript, Utterance
from savecli.features.inputs import (
    FrameFormat,
    SoundFormat,
    has_audio,
    read_clip_frames,
    read_clip_pictures,
    read_clip_sound,
    read_clip_waveform,
    read_transcript,
    speech_within,
)
from savecli.features.log_mel import RATE_HZ, SILENCE, log_mel_windows, stretched_log_mel
from savecli.features.whisper_mel import whisper_log_mel
from savecli.media.audio import read_audio
from savecli.transcript.choose import SpeechConfig, build_transcriber
from tests.make_media import COLOURS

FORM = FrameFormat(num_frames=4, image_size=32)
AST = SoundFormat(kind="ast", fit="stretched", num_rows=1024, num_mel_bins=128)
SMALL = SoundFormat(kind="ast", fit="windows", num_rows=46, num_mel_bins=36)
WHISPER = SoundFormat(kind="whisper", fit="windows", num_rows=100, num_mel_bins=8)


def is_colour(frame: np.ndarray, name: str) -> bool:
    return bool(np.abs(frame[16, 16].astype(int) - COLOURS[name]).max() < 25)


def sound_of(path, span=None) -> np.ndarray:
    return np.concatenate(list(read_audio(path, span=span)))


def test_frames_are_spread_over_the_file_or_its_span(video):
    path = video(duration_s=4.0, scenes=("red", "blue", "green", "yellow"), audio=None)
    whole = read_clip_frames(path, None, FORM)
    assert whole.shape == (4, 32, 32, 3)
    assert whole.dtype == np.uint8
    assert [is_colour(*pair) for pair in zip(whole, ("red", "blue", "green", "yellow"), strict=True)] == [True] * 4
    part = read_clip_frames(path, Span(1.0, 3.0), FORM)
    assert [is_colour(*pair) for pair in zip(part, ("blue", "blue", "green", "green"), strict=True)] == [True] * 4


def test_frames_of_a_short_clip_are_not_repeated(video):
    path = video(duration_s=0.12, rate_hz=25, audio=None)
    assert read_clip_frames(path, None, FORM).shape == (3, 32, 32, 3)


def test_a_frame_that_stands_for_long_counts_once(video):
    path = video("slides.mkv", duration_s=150, rate_hz=Fraction(1, 50), audio=None)
    assert read_clip_frames(path, Span(0.0, 150.0), FORM).shape == (3, 32, 32, 3)


def test_where_the_sound_outlasts_the_picture_frames_are_spread_over_the_picture(video):
    path = video(duration_s=1.0, scenes=("red", "blue"), audio=np.zeros(4 * RATE_HZ, np.float32))
    frames = read_clip_frames(path, None, FORM)
    assert len(frames) == 4
    assert is_colour(frames[0], "red")
    assert is_colour(frames[-1], "blue")


def test_a_span_behind_the_end_is_told(video):
    with pytest.raises(MediaError) as raised:
        read_clip_frames(video(duration_s=1.0), Span(5.0, 6.0), FORM)
    assert raised.value.why == "it has no picture at 5.00 s"


def test_pictures_for_teachers_are_not_cut(video):
    pictures = read_clip_pictures(video(duration_s=1.0, width=160, height=120), None, num_frames=2, short_side=60)
    assert pictures.shape == (2, 60, 80, 3)


def test_stretched_sound_is_the_whole_clips(video):
    path = video(duration_s=2.0)
    heard = read_clip_sound(path, None, AST)
    assert heard is not None
    np.testing.assert_array_equal(heard.banks, stretched_log_mel(sound_of(path))[None])
    assert heard.mask.shape == (1, 1024)
    assert heard.mask.all()
    span = Span(0.5, 1.5)
    part = read_clip_sound(path, span, AST)
    assert part is not None
    np.testing.assert_array_equal(part.banks, stretched_log_mel(sound_of(path, span))[None])


def test_windows_of_any_size_are_those_of_the_large_ones(video, rng):
    sound = rng.normal(0, 0.1, round(1.37 * RATE_HZ)).astype(np.float32)
    path = video("noise.mkv", duration_s=1.0, audio=sound, audio_codec="pcm_s16le")
    wide = read_clip_sound(path, None, SoundFormat(kind="ast", fit="windows", num_rows=1024, num_mel_bins=128))
    (window,) = log_mel_windows([sound_of(path)])
    assert wide is not None
    np.testing.assert_array_equal(wide.banks[0], window.bank)
    np.testing.assert_array_equal(wide.mask[0], window.mask)
    small = read_clip_sound(path, None, SoundFormat(kind="ast", fit="windows", num_rows=46, num_mel_bins=128))
    assert small is not None
    assert small.banks.shape == (3, 46, 128)
    joined, mask = small.banks.reshape(-1, 128), small.mask.reshape(-1)
    assert mask.sum() == window.mask.sum()
    # Loud noise: a tone's empty bands would magnify the rounding of the mean.
    np.testing.assert_allclose(joined[mask], window.bank[window.mask], atol=2e-3)
    np.testing.assert_allclose(joined[~mask], SILENCE, atol=1e-6)


def test_whisper_hears_pieces_and_stretched_means_the_first(video):
    path = video("tone.mkv", duration_s=2.5, audio_codec="pcm_s16le")
    heard = read_clip_sound(path, None, WHISPER)
    assert heard is not None
    assert heard.banks.shape == (3, 100, 8)
    np.testing.assert_array_equal(heard.mask.sum(axis=1), [100, 100, 50])
    second = whisper_log_mel(sound_of(path)[RATE_HZ : 2 * RATE_HZ], num_mel_bins=8)
    np.testing.assert_array_equal(heard.banks[1], second.T[:100])
    first = read_clip_sound(path, None, SoundFormat(kind="whisper", fit="stretched", num_rows=100, num_mel_bins=8))
    assert first is not None
    np.testing.assert_array_equal(first.banks, heard.banks[:1])


@pytest.mark.parametrize("form", [AST, SMALL, WHISPER], ids=lambda form: f"{form.kind}-{form.fit}")
def test_no_stream_and_too_little_sound_are_none_never_zeros(video, form):
    assert read_clip_sound(video("mute.mp4", audio=None), None, form) is None
    short = video("short.mkv", duration_s=1.0, audio=np.ones(300, np.float32) / 2, audio_codec="pcm_s16le")
    assert has_audio(short)
    assert read_clip_sound(short, None, form) is None


def test_the_waveform_is_the_spans(video):
    path = video(duration_s=2.0)
    assert read_clip_waveform(video("mute.mp4", audio=None), None, rate_hz=8000) is None
    waveform = read_clip_waveform(path, Span(0.5, 1.0), rate_hz=8000)
    assert waveform is not None
    assert waveform.shape == (4000,)


def test_words_belong_to_the_clip_their_middle_lies_in():
    transcript = Transcript((Utterance(0.0, 4.0, "one two"), Utterance(4.0, 6.0, "three")), "sidecar:x.srt")
    assert speech_within(transcript, None) == "one two three"
    first, second = Span(0.0, 2.0), Span(2.0, 6.0)
    assert (speech_within(transcript, first), speech_within(transcript, second)) == ("one", "two three")
    assert speech_within(NO_SPEECH, first) == ""


def test_a_transcript_is_read_through_the_room(video):
    path = video("talk.mkv", subtitles=[(0.5, 1.5, "from the track")])
    transcriber = build_transcriber(SpeechConfig(source="subtitles"), hub_reachable=lambda: False)
    assert read_transcript(path, transcriber).text == "from the track"

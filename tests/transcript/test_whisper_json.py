"""Transcripts as Whisper's tools write them, and JSON that is something else."""

from __future__ import annotations

import json

import pytest

from savecli.transcript.whisper_json import parse_whisper_json

WHISPER = {
    "text": " And so my fellow Americans.",
    "segments": [
        {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": 2.5,
            "text": " And so, my fellow Americans.",
            "avg_logprob": -0.2,
            "words": [
                {"word": " And", "start": 0.0, "end": 0.4, "probability": 0.9},
                {"word": " so,", "start": 0.4, "end": 0.8, "probability": 0.9},
                {"word": " my", "start": 0.8, "end": 1.0, "probability": 0.9},
                {"word": " fellow", "start": 1.0, "end": 1.5, "probability": 0.9},
                {"word": " Americans.", "start": 1.5, "end": 2.5, "probability": 0.9},
            ],
        }
    ],
    "language": "en",
}


def parse(document):
    return parse_whisper_json(json.dumps(document), source="sidecar:talk.json")


def test_whisper_with_word_times():
    transcript = parse(WHISPER)
    assert transcript.language == "en"
    assert transcript.source == "sidecar:talk.json"
    (utterance,) = transcript.utterances
    assert utterance.text.strip() == "And so, my fellow Americans."
    assert [(w.start_s, w.text) for w in utterance.words][1] == (0.4, "so,")


def test_whisperx_whose_words_have_no_spaces():
    document = {
        "segments": [
            {
                "start": 0.5,
                "end": 2.0,
                "text": " Hello there, Ada.",
                "words": [
                    {"word": "Hello", "start": 0.5, "end": 0.9, "score": 0.8},
                    {"word": "there,", "start": 0.9, "end": 1.3, "score": 0.8},
                    {"word": "Ada.", "start": 1.4, "end": 2.0, "score": 0.8},
                ],
            }
        ],
        "word_segments": [],
        "language": "de",
    }
    transcript = parse(document)
    assert transcript.language == "de"
    assert [w.text for w in transcript.utterances[0].words] == ["Hello", "there,", "Ada."]


def test_a_segment_with_an_untimed_word_falls_back_to_its_own_times():
    segment = {
        "start": 0,
        "end": 2,
        "text": "in 1961",
        "words": [{"word": "in", "start": 0, "end": 1}, {"word": "1961"}],
    }
    assert parse({"segments": [segment]}).utterances[0].words == ()


def test_whisper_cpp_counts_milliseconds():
    document = {
        "result": {"language": "en"},
        "transcription": [{"offsets": {"from": 1500, "to": 2500}, "text": " Hello"}],
    }
    (utterance,) = parse(document).utterances
    assert (utterance.start_s, utterance.end_s) == (1.5, 2.5)


def test_a_segment_of_half_a_minute_is_cut_into_readable_ones():
    words = [{"word": f" word{i}", "start": i * 0.5, "end": i * 0.5 + 0.5} for i in range(60)]
    text = "".join(word["word"] for word in words)
    utterances = parse({"segments": [{"start": 0, "end": 30, "text": text, "words": words}]}).utterances
    assert len(utterances) >= 4
    assert " ".join(u.text for u in utterances) == text.strip()


def test_bad_segments_are_left_out_and_good_ones_kept():
    segments = [
        {"start": None, "end": 1, "text": "no start"},
        {"start": "0", "end": 1, "text": "a string"},
        {"start": float("nan"), "end": 1, "text": "no number"},
        {"start": True, "end": 1, "text": "a truth"},
        {"start": 0, "end": 1},
        "not even a mapping",
        {"start": 3, "end": 4, "text": "good", "words": "none"},
    ]
    assert [u.text for u in parse({"segments": segments}).utterances] == ["good"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"id": "dQw4", "title": "A video", "formats": []}',
        '{"segments": "none"}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_other_json_is_no_transcript(text):
    assert parse_whisper_json(text, source="sidecar:x.json") is None

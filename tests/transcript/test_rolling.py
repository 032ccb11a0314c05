"""Rolling captions as YouTube writes them come out once, with word times."""

from __future__ import annotations

import pytest

from savecli.transcript.base import clean_utterances
from savecli.transcript.cues import parse_srt, parse_vtt
from savecli.transcript.grouping import MAX_UTTERANCE_S
from savecli.transcript.rolling import cue_utterances, is_rolling

ROLLING_VTT = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
{blank}
hello<00:00:00.560><c> everyone</c><00:00:00.960><c> and</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello everyone and
{blank}

00:00:02.399 --> 00:00:04.550 align:start position:0%
hello everyone and
welcome<00:00:02.720><c> to</c><00:00:03.000><c> this</c><00:00:03.320><c> talk</c>

00:00:04.550 --> 00:00:04.560 align:start position:0%
welcome to this talk
{blank}

00:00:04.560 --> 00:00:08.000 align:start position:0%
welcome to this talk
[Music]

00:00:08.000 --> 00:00:10.070 align:start position:0%
[Music]
it&#39;s<00:00:08.400><c> about what</c><00:00:09.120><c> the</c><00:00:09.800><c> [&nbsp;__&nbsp;]</c>

00:00:10.070 --> 00:00:10.080 align:start position:0%
it&#39;s about what the [&nbsp;__&nbsp;]
{blank}

00:00:10.080 --> 00:00:12.500 align:start position:0%
it&#39;s about what the [&nbsp;__&nbsp;]
brain<00:00:10.480><c> does</c>

00:00:21.000 --> 00:00:23.000 align:start position:0%
brain does
brain<00:00:21.400><c> does</c><00:00:21.800><c> again</c>

""".replace("{blank}", " ")


def test_every_word_comes_out_once_in_sentence_like_groups():
    utterances = clean_utterances(cue_utterances(parse_vtt(ROLLING_VTT)))
    assert [u.text for u in utterances] == [
        "hello everyone and welcome to this talk",
        "it's about what the brain does",
        "brain does again",
    ]


def test_words_have_the_times_of_their_stamps():
    words = {w.text: w for u in cue_utterances(parse_vtt(ROLLING_VTT)) for w in u.words if w.start_s < 8}
    assert words["hello"].start_s == pytest.approx(0.16)
    assert words["everyone"].start_s == pytest.approx(0.56)
    assert words["everyone"].end_s == pytest.approx(0.96)
    assert words["this"].start_s == pytest.approx(3.0)


def test_a_word_does_not_last_through_the_pause_behind_it():
    last = cue_utterances(parse_vtt(ROLLING_VTT))[0].words[-1]
    assert last.text == "talk"
    assert last.end_s - last.start_s <= 1.5


def test_an_hour_of_rolling_captions_stays_in_short_utterances():
    cues, said = ["WEBVTT\n"], []
    for line in range(1500):
        start = 2.4 * line
        new = [f"w{line}{letter}" for letter in "abcd"]
        stamps = [f"<{_stamp(start + 0.5 * k)}><c> {word}</c>" for k, word in enumerate(new) if k]
        before = f"w{line - 1}a w{line - 1}b w{line - 1}c w{line - 1}d" if line else " "
        cues.append(f"{_stamp(start)} --> {_stamp(start + 2.39)}\n{before}\n{new[0]}{''.join(stamps)}\n")
        cues.append(f"{_stamp(start + 2.39)} --> {_stamp(start + 2.4)}\n{' '.join(new)}\n \n")
        said += new
    utterances = cue_utterances(parse_vtt("\n".join(cues)))
    assert " ".join(u.text for u in utterances).split() == said
    assert all(u.end_s - u.start_s <= MAX_UTTERANCE_S + 1e-6 for u in utterances)


ROLLING_SRT = """1
00:00:00,160 --> 00:00:02,389
hello everyone and

2
00:00:02,389 --> 00:00:02,399
hello everyone and
{blank}

3
00:00:02,399 --> 00:00:04,550
hello everyone and
welcome to this talk

4
00:00:04,550 --> 00:00:04,560
welcome to this talk
{blank}

5
00:00:04,560 --> 00:00:06,000
welcome to this talk
about the brain
""".replace("{blank}", " ")


def test_rolling_captions_converted_to_srt_come_out_once_too():
    utterances = cue_utterances(parse_srt(ROLLING_SRT))
    assert [u.text for u in utterances] == ["hello everyone and welcome to this talk about the brain"]


def test_what_is_really_said_twice_stays_twice():
    text = "".join(
        f"{i}\n00:00:{10 + i},000 --> 00:00:{11 + i},000\n{line}\n\n"
        for i, line in enumerate(["No.", "No.", "Why not?", "Because.", "I see.", "Good.", "Fine."])
    )
    cues = parse_srt(text)
    assert not is_rolling(cues)
    assert [u.text for u in cue_utterances(cues)][:3] == ["No.", "No.", "Why not?"]


def test_stamps_without_repetition_give_words_and_keep_the_cues():
    cues = parse_vtt("WEBVTT\n\n00:01.000 --> 00:03.000\nSing <00:02.000>along\n\n00:04.000 --> 00:05.000\nwith me\n")
    first, second = cue_utterances(cues)
    assert [(w.text, w.start_s) for w in first.words] == [("Sing", 1.0), ("along", 2.0)]
    assert (second.text, second.words) == ("with me", ())


def _stamp(seconds: float) -> str:
    return f"{int(seconds // 3600):02d}:{int(seconds % 3600 // 60):02d}:{seconds % 60:06.3f}"

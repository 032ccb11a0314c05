"""SubRip and WebVTT as they are found in the wild."""

from __future__ import annotations

import pytest

from savecli.transcript.base import clean_utterances
from savecli.transcript.cues import Cue, parse_srt, parse_vtt, stamp_seconds, vtt_language
from savecli.transcript.rolling import cue_utterances


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("01:02:03.450", 3723.45),
        ("01:02:03,450", 3723.45),
        ("02:03.5", 123.5),
        ("1:02:03", 3723.0),
        ("100:00:00.000", 360000.0),
        ("00:00:01.000001", 1.000001),
        ("soon", None),
        ("", None),
    ],
)
def test_stamps(stamp, seconds):
    assert stamp_seconds(stamp) == (None if seconds is None else pytest.approx(seconds))


def test_a_plain_srt():
    text = "1\n00:00:01,000 --> 00:00:02,500\nHello\nthere\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"
    assert parse_srt(text) == (Cue(1, 2.5, ("Hello", "there")), Cue(3, 4, ("Bye",)))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(newline):
    text = newline.join(["1", "00:00:01,000 --> 00:00:02,000", "Hello", "", "2", "0:00:03.0 --> 0:00:04.0", "Bye"])
    assert [cue.lines for cue in parse_srt(text)] == [("Hello",), ("Bye",)]


def test_srt_with_missing_counters_positions_and_blank_lines_inside():
    text = (
        "00:00:01,000 --> 00:00:02,000 X1:100 X2:200 Y1:1 Y2:2\nfirst\n\nstill first\n\n"
        "00:00:02,000 -> 00:00:03,000\nsecond\n"
        "3\n00:00:03,500 --> 00:00:04,500\n\n00:00:05,000 --> 00:00:06,000\nlast"
    )
    assert [cue.lines for cue in parse_srt(text)] == [("first", "still first"), ("second",), ("last",)]


def test_a_spoken_number_is_no_counter():
    text = "1\n00:00:01,000 --> 00:00:02,000\nHow many?\n42\n\n2\n00:00:03,000 --> 00:00:04,000\nReally?\n"
    assert parse_srt(text)[0].lines == ("How many?", "42")


def test_broken_cues_are_skipped_and_the_rest_is_read():
    text = (
        "1\n00:00:01,000 --> \nno end\n\n"
        "2\n00:00:09,000 --> 00:00:03,000\nbackward\n\n"
        "3\nxx:00:03,000 --> 00:00:04,000\nno number\n\n"
        "4\n00:00:05,000 --> 00:00:06,000\n\n"
        "5\n00:00:07,000 --> 00:00:08,000\ngood\n"
    )
    assert parse_srt(text) == (Cue(7, 8, ("good",)),)


@pytest.mark.parametrize("text", ["", "\n\n", "no times here", "-->", "1\n2\n3\n", "\x00\x01\x02"])
def test_what_is_no_subtitle_has_no_cues(text):
    assert parse_srt(text) == ()
    assert parse_vtt(text) == ()


VTT = """WEBVTT - a title
Kind: captions
Language: en-US
X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000

NOTE
This is a comment, and so is
what follows.

STYLE
::cue { background: black }

REGION
id:fred

intro
00:01.000 --> 00:02.500 align:start position:0% line:90%
Hello
there

01:00:03.000 --> 01:00:04.000
<v Ada>Bye

NOTE 00:00 a last remark
"""


def test_a_vtt_with_everything_in_it():
    assert parse_vtt(VTT) == (Cue(1, 2.5, ("Hello", "there")), Cue(3603, 3604, ("<v Ada>Bye",)))
    assert vtt_language(VTT) == "en-US"


def test_a_vtt_without_a_language_says_so():
    assert vtt_language("WEBVTT\n\n00:00.000 --> 00:01.000\nHi") is None


def test_lines_of_one_space_belong_to_the_cue():
    assert parse_vtt("WEBVTT\n\n00:00.000 --> 00:01.000\n \nHi\n\n")[0].lines == ("Hi",)


@pytest.mark.parametrize("parse", [parse_srt, parse_vtt])
def test_damaged_files_never_fail(parse, rng):
    """Characters cut out, doubled and replaced at random."""
    alphabet = [*list("0123456789:.,-> \n\r<>c/[]{}&;"), "-->", "WEBVTT", "00:00:01.000"]
    for _ in range(300):
        pieces = list(VTT)
        for place in rng.integers(0, len(pieces), size=25):
            pieces[place] = "" if rng.random() < 0.3 else str(rng.choice(alphabet))
        utterances = clean_utterances(cue_utterances(parse("".join(pieces))))
        assert all(0 <= u.start_s < u.end_s and u.text for u in utterances)

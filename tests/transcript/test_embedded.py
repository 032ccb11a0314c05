"""Text tracks in real files."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from av.stream import Disposition

from savecli.core.errors import MediaError
from savecli.core.records import AudioStream, SubtitleStream, VideoInfo
from savecli.media.probe import probe_video
from savecli.media.subtitles import read_subtitle_packets, read_track_roles
from savecli.transcript.embedded import EmbeddedSource

ROWS = [(0.5, 1.2, "Hello <i>there</i>\nfriend, Jörg"), (1.5, 2.5, "[Music]"), (2.6, 2.9, "second, with, commas")]
ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"


def write_tracks(path, *tracks):
    """An mkv of text tracks only: each of `rows` and, where they matter, `language`, `codec`, `disposition`."""
    with av.open(str(path), "w") as container:
        packets = []
        for track in tracks:
            stream = container.add_stream(track.get("codec", "subrip"))
            stream.codec_context.subtitle_header = ASS_HEADER
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.metadata["language"] = track.get("language", "und")
            stream.disposition = track.get("disposition", Disposition(0))
            packets += [(stream, row) for row in track["rows"]]
        container.start_encoding()
        for stream, (start_s, end_s, text) in sorted(packets, key=lambda item: item[1][0]):
            packet = av.Packet(text.encode())
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(1000 * start_s)
            packet.duration = round(1000 * (end_s - start_s))
            container.mux(packet)
    return path


def info_of(path, *languages, spoken=None):
    tracks = tuple(SubtitleStream(i, "subrip", language) for i, language in enumerate(languages))
    return VideoInfo(path, 3.0, "mkv", None, AudioStream(9, "aac", 48000, 2, spoken) if spoken else None, tracks)


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mp4", "talk.mov"])
def test_text_tracks_of_each_container(video, name):
    info = probe_video(video(name, subtitles=ROWS, subtitle_language="ger"))
    transcript = EmbeddedSource().read(info)
    assert [u.text for u in transcript.utterances] == ["Hello there friend, Jörg", "second, with, commas"]
    assert (transcript.utterances[0].start_s, transcript.utterances[0].end_s) == (0.5, pytest.approx(1.2))
    assert transcript.language == "de"
    assert transcript.source == f"embedded:{info.subtitles[0].index}"


def test_webm(video):
    info = probe_video(video("talk.webm", codec="libvpx", subtitles=ROWS))
    assert EmbeddedSource().read(info).utterances[0].text == "Hello there friend, Jörg"


def test_a_file_without_tracks_has_no_transcript(video):
    assert EmbeddedSource().read(probe_video(video())) is None


def test_ass_events_lose_their_fields_overrides_and_drawings(tmp_path):
    rows = [
        (0.0, 0.4, r"0,0,Default,,0,0,0,,{\an8\pos(10,20)}Hello,\Nfriend"),
        (0.5, 0.9, r"1,0,Sign,,0,0,0,,{\p1}m 0 0 l 100 0 100 100{\p0}"),
        (1.0, 1.4, r"2,0,Default,,0,0,0,,twice"),
        (1.0, 1.4, r"3,1,Default,,0,0,0,,twice"),
        (2.0, 2.4, "not an event"),
    ]
    path = write_tracks(tmp_path / "talk.mkv", {"codec": "ass", "rows": rows})
    assert [u.text for u in EmbeddedSource().read(info_of(path, "eng")).utterances] == ["Hello, friend", "twice"]


def test_the_choice_between_tracks(tmp_path):
    path = write_tracks(
        tmp_path / "talk.mkv",
        {"rows": [(0, 1, "forced")], "language": "eng", "disposition": Disposition.forced | Disposition.default},
        {"rows": [(0, 1, "anglais")], "language": "fre"},
        {"rows": [(0, 1, "english")], "language": "eng", "disposition": Disposition.default},
        {"rows": [(0, 1, "deutsch")], "language": "ger"},
    )
    languages = ("eng", "fre", "eng", "ger")
    assert read_track_roles(path)[0].is_forced
    assert EmbeddedSource().read(info_of(path, *languages)).text == "english"
    assert EmbeddedSource().read(info_of(path, *languages, spoken="deu")).text == "deutsch"


def test_an_empty_track_gives_way_to_the_next(tmp_path):
    path = write_tracks(tmp_path / "talk.mkv", {"rows": [(0, 1, "♪")]}, {"rows": [(0, 1, "words")]})
    assert EmbeddedSource().read(info_of(path, "eng", "eng")).source == "embedded:1"


def test_a_text_without_an_end_lasts_until_the_next(tmp_path):
    path = write_tracks(tmp_path / "talk.mkv", {"rows": [(1, 1, "first"), (3, 3, "second"), (20, 20, "last")]})
    packets = [(start_s, end_s) for start_s, end_s, _ in read_subtitle_packets(path, 0)]
    assert packets == [(1.0, 3.0), (3.0, 8.0), (20.0, 25.0)]


def test_times_count_from_the_start_of_the_file(tmp_path):
    """Recordings start at whatever the station's clock showed."""
    path = tmp_path / "talk.ts"
    with av.open(str(path), "w", format="matroska") as container:
        picture, text = container.add_stream("mpeg4", rate=25), container.add_stream("subrip")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        text.codec_context.subtitle_header = ASS_HEADER
        text.codec_context.time_base = Fraction(1, 1000)
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts, frame.time_base = 250, Fraction(1, 25)
        for packet in [*picture.encode(frame), *picture.encode(None)]:
            container.mux(packet)
        packet = av.Packet(b"hello")
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = (
            text,
            Fraction(1, 1000),
            12000,
            12000,
            500,
        )
        container.mux(packet)
    assert list(read_subtitle_packets(path, 1)) == [(pytest.approx(2.0), pytest.approx(2.5), "hello")]


def test_a_track_that_is_not_there_is_an_error_and_no_crash(video, tmp_path):
    path = video()
    with pytest.raises(MediaError, match="holds no text"):
        list(read_subtitle_packets(path, 7))
    with pytest.raises(MediaError):
        list(read_subtitle_packets(tmp_path / "gone.mkv", 0))
    assert EmbeddedSource().read(info_of(path, "eng")) is None
    assert EmbeddedSource().read(info_of(tmp_path / "gone.mkv", "eng", "ger")) is None

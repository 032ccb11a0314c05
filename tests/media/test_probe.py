"""What is said of a file, and of one that cannot be read."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from savecli.core.errors import MediaError
from savecli.media.probe import measured_duration_s, probe_video
from tests.conftest import VideoMaker
from tests.make_media import tone


def why(path: Path) -> str:
    with pytest.raises(MediaError) as error:
        probe_video(path)
    assert path.name in error.value.what
    return error.value.why


def remuxed(source: Path, target: Path, **options: str) -> Path:
    """The same packets in another container, or written in another way."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                written.mux(packet)
    return target


def test_streams_are_described(video: VideoMaker) -> None:
    info = probe_video(video(subtitles=[(0.5, 1, "hello")], width=160, height=96))
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.video.width, info.video.height) == ("h264", 160, 96)
    assert info.video.rate_hz == 25
    assert not info.video.is_variable_rate
    assert (info.audio.codec, info.audio.rate_hz, info.audio.num_channels) == ("aac", 16000, 1)
    assert [(stream.codec, stream.language) for stream in info.subtitles] == [("mov_text", "eng")]
    assert [info.video.index, info.audio.index, info.subtitles[0].index] == [0, 1, 2]


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.mkv", "v.ts", "v.avi", "v.flv", "v.mpg", "v.webm"])
def test_durations_are_those_of_the_packets(video: VideoMaker, name: str) -> None:
    codec = {"v.webm": "libvpx", "v.mpg": "mpeg2video"}.get(name, "libx264")
    path = video(name, codec=codec, audio="tone" if name != "v.flv" else None)
    assert probe_video(path).duration_s == pytest.approx(3, abs=0.12)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_sizes_are_those_that_are_displayed(video: VideoMaker, rotation: int) -> None:
    stream = probe_video(video(rotation=rotation, width=160, height=96, duration_s=0.5)).video
    assert stream is not None
    assert (stream.width, stream.height, stream.rotation_degrees) == (160, 96, rotation)


def test_a_variable_rate_is_noticed(video: VideoMaker) -> None:
    uneven = probe_video(video("v.mkv", times_s=[0, 0.04, 0.3, 0.34, 0.9, 1, 1.4, 1.8, 2.5])).video
    even = probe_video(video("w.mkv", rate_hz=30)).video
    assert uneven is not None
    assert even is not None
    assert uneven.is_variable_rate
    assert not even.is_variable_rate


def test_a_late_start_is_not_part_of_the_duration(video: VideoMaker) -> None:
    assert probe_video(video("v.ts", start_s=100)).duration_s == pytest.approx(3, abs=0.12)


def test_a_raw_stream_is_counted(video: VideoMaker) -> None:
    assert probe_video(video("v.h264", audio=None)).duration_s == pytest.approx(3)


def test_one_frame_lasts_as_long_as_a_frame(video: VideoMaker) -> None:
    assert probe_video(video(duration_s=0.04, audio=None)).duration_s == pytest.approx(0.04)


def test_sound_may_outlast_the_picture(video: VideoMaker) -> None:
    assert probe_video(video("v.mkv", duration_s=1, audio=tone(4))).duration_s == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("claimed_s", [0.4, 3600.0])
def test_a_header_that_lies_is_corrected(video: VideoMaker, claimed_s: float) -> None:
    path = video("v.mkv", duration_s=8)
    content = path.read_bytes()
    # Matroska's Duration element: id 4489, size 8, milliseconds as a big-endian double.
    at = content.index(b"\x44\x89\x88") + 3
    path.write_bytes(content[:at] + struct.pack(">d", 1000 * claimed_s) + content[at + 8 :])
    with av.open(str(path)) as container:
        assert container.duration == round(claimed_s * 1e6), "the test's own lie"
    assert probe_video(path).duration_s == pytest.approx(8, abs=0.1)


def test_a_header_without_a_duration_is_completed(video: VideoMaker, tmp_path: Path) -> None:
    live = remuxed(video("v.mkv"), tmp_path / "live.mkv", live="1")
    assert probe_video(live).duration_s == pytest.approx(3, abs=0.1)


def test_a_fragmented_file_has_its_whole_duration(video: VideoMaker, tmp_path: Path) -> None:
    flags = "frag_keyframe+empty_moov"
    path = remuxed(video("v.mp4", duration_s=6), tmp_path / "fragments.mp4", movflags=flags)
    assert probe_video(path).duration_s == pytest.approx(6, abs=0.1)


def test_a_cut_off_file_has_the_duration_that_is_left(video: VideoMaker, tmp_path: Path) -> None:
    path = remuxed(video(duration_s=8), tmp_path / "fast.mp4", movflags="faststart")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert 4 < probe_video(path).duration_s < 7.5


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    assert why(path) == "the file is empty (0 bytes)"


def test_text_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("Dear diary, today I renamed a file.\n" * 30)
    assert why(path) == "not a media file"


def test_a_playlist(tmp_path: Path, video: VideoMaker) -> None:
    video("real.mp4", duration_s=0.5)
    path = tmp_path / "a.mp4"
    path.write_text("ffconcat version 1.0\nfile real.mp4\n")
    assert why(path) == "it is a playlist that names other files, not a video"


def test_a_still_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(tmp_path / "a.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 32
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    (tmp_path / "a.png").rename(path)
    assert why(path) == "it is a still picture, not a video"


def test_a_file_that_is_gone_and_a_folder(tmp_path: Path) -> None:
    assert why(tmp_path / "gone.mp4") == "the file is gone"
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    assert why(folder) == "it is a folder"


def test_a_file_that_may_not_be_read(video: VideoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(duration_s=0.2)
    if os.name == "posix" and os.geteuid() != 0:
        path.chmod(0)
    else:
        # Root reads everything, so the system call itself has to refuse.
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    assert why(path) == "permission denied"


def test_a_recording_without_its_index(video: VideoMaker) -> None:
    path = video()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cut off" in why(path)


def test_noise_behind_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"\x1aE\xdf\xa3" + np.random.default_rng(0).bytes(4000))
    assert why(path) == "the file is damaged (Matroska header, but nothing readable behind it)"


def test_sound_alone(video: VideoMaker) -> None:
    assert why(video("a.m4a", codec=None)) == "no video stream"


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(cover.encode(av.VideoFrame(32, 32, "yuvj420p")))
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert why(path) == "no video stream"


def test_pictures_that_do_not_decode(video: VideoMaker) -> None:
    path = video("v.mp4", audio=None)
    content = path.read_bytes()
    at = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    path.write_bytes(content[:at] + bytes(end - at) + content[end:])
    assert why(path) == "no decodable video stream (no picture in it can be decoded)"


STRANGE = ["two\nlines.mp4", 'it\'s "quoted".mp4', "-y.mp4", "a:b.mp4", "frame%03d.mp4", "pipe:0.mp4"]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_read(video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.move(video("plain.mp4", duration_s=0.5), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert measured_duration_s(Path(name)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.skipif(os.name != "posix", reason="other systems refuse such names")
def test_a_name_that_is_not_unicode_is_read(video: VideoMaker) -> None:
    path = video("plain.mp4", duration_s=0.5)
    strange = path.rename(Path(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9.mp4")))
    assert probe_video(strange).duration_s == pytest.approx(0.5, abs=0.1)

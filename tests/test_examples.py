"""The example archive is small, complete, and as its README describes it."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARCHIVE = EXAMPLES / "archive"
MEDIA_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov"}
LECTURE = ARCHIVE / "lectures" / "neurology-03.mp4"


@dataclass(frozen=True)
class Streams:
    """What a file holds, and how long it is."""

    video: list[str]
    audio: list[str]
    subtitle: list[str]
    duration_s: float


def streams(file: Path) -> Streams:
    with av.open(str(file)) as container:
        assert container.duration is not None
        kinds = [
            [stream.codec_context.name for stream in container.streams if stream.type == kind]
            for kind in ("video", "audio", "subtitle")
        ]
        return Streams(*kinds, duration_s=container.duration / av.time_base)


def media() -> list[Path]:
    return sorted(file for file in ARCHIVE.rglob("*") if file.suffix in MEDIA_SUFFIXES)


def media_with(suffix: str) -> list[Path]:
    """The clips that have a sidecar file `Name` + suffix."""
    return [file for file in media() if file.with_name(file.stem + suffix).exists()]


def cue_times_s(file: Path) -> list[tuple[float, float]]:
    """Start and end of every cue of an .srt or .vtt file."""
    clock = r"(\d+):(\d+):(\d+)[.,](\d+)"
    times = []
    for found in re.findall(rf"^{clock} --> {clock}", file.read_text(encoding="utf-8"), re.MULTILINE):
        hours, minutes, seconds, milliseconds = (np.array(found, dtype=int).reshape(2, 4)).T
        start_s, end_s = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
        times.append((float(start_s), float(end_s)))
    return times


def loudness(file: Path) -> np.ndarray:
    """Root mean square of every 10 ms."""
    resampler = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(file)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(float) / 32_768
    return np.sqrt((samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))


def test_archive_stays_small():
    assert sum(file.stat().st_size for file in ARCHIVE.rglob("*") if file.is_file()) <= 6_000_000


def test_readme_lists_every_clip_and_no_other():
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+\.(?:mp4|mkv|webm|mov))` \|", readme, re.MULTILINE))
    # macOS may hand out names with their accents taken apart.
    there = {unicodedata.normalize("NFC", file.relative_to(ARCHIVE).as_posix()) for file in media()}
    assert listed == there


@pytest.mark.parametrize("file", media(), ids=lambda file: file.stem)
def test_readme_gives_the_real_length(file: Path):
    name = unicodedata.normalize("NFC", file.name)
    row = next(
        line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if f"{name}` |" in line
    )
    assert streams(file).duration_s == pytest.approx(int(row.split("|")[2].removesuffix(" s ")), abs=0.5)


@pytest.mark.parametrize("file", media(), ids=lambda file: file.stem)
def test_every_clip_has_pictures_of_the_length_of_its_sound(file: Path):
    end_s: dict[str, float] = {}
    with av.open(str(file)) as container:
        for packet in container.demux(*container.streams.video, *container.streams.audio):
            if packet.pts is not None:
                packet_end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end_s[packet.stream.type] = max(end_s.get(packet.stream.type, 0.0), packet_end_s)
    assert max(end_s.values()) - min(end_s.values()) < 0.2


def test_containers_and_names_are_varied():
    files = media()
    assert {file.suffix for file in files} == MEDIA_SUFFIXES
    assert {codec for file in files for codec in streams(file).video} >= {"h264", "vp9"}
    assert len({file.parent for file in files}) >= 3
    assert any(" " in file.name and not file.name.isascii() for file in files)


def test_each_kind_of_subtitle_is_present():
    assert media_with(".srt")
    assert media_with(".vtt")
    assert [file for file in media() if streams(file).subtitle]


def test_one_clip_has_a_whisper_transcript_beside_a_page_description():
    [file] = media_with(".json")
    transcript = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert transcript["segments"][0]["words"]
    page = json.loads(file.with_name(file.stem + ".info.json").read_text(encoding="utf-8"))
    assert "segments" not in page


def test_one_clip_is_named_and_captioned_as_youtube_and_yt_dlp_do():
    [file] = media_with(".en.vtt")
    assert re.search(r" \[[\w-]{11}\]$", file.stem)
    assert re.search(
        r"<\d\d:\d\d:\d\d\.\d{3}><c> \w+", file.with_name(file.stem + ".en.vtt").read_text(encoding="utf-8")
    )


def test_one_clip_has_a_silent_track_and_one_has_none():
    with_sound = [file for file in media() if streams(file).audio]
    assert len(with_sound) < len(media())
    assert [file.stem for file in with_sound if loudness(file).max() < 1e-4] == ["northern-lights"]


def test_speech_without_subtitles_is_there_to_be_recognised():
    file = ARCHIVE / "events" / "rocket launch.mp4"
    assert list(file.parent.glob("rocket launch.*")) == [file]
    assert not streams(file).subtitle
    assert loudness(file).max() > 0.05


def test_lecture_comes_to_stiff_person_syndrome_after_more_than_a_minute():
    assert 120 <= streams(LECTURE).duration_s <= 180
    blocks = LECTURE.with_suffix(".srt").read_text(encoding="utf-8").split("\n\n")
    [start] = [block.splitlines()[1][:8] for block in blocks if "SPS, or Stiff Person Syndrome" in block]
    assert "00:01:15" <= start <= "00:01:30"


@pytest.mark.parametrize("file", media_with(".srt"), ids=lambda file: file.stem)
def test_subtitles_begin_and_end_with_the_speech(file: Path):
    """Sound rises within 0.15 s of a cue's start and is gone, or down to the scene's own noise, 0.3 s after its end."""
    level = loudness(file)
    for start_s, end_s in cue_times_s(file.with_suffix(".srt")):
        speech = np.median(level[round(start_s * 100) : round(end_s * 100)])
        assert level[round(start_s * 100) : round(start_s * 100) + 15].max() > 0.5 * speech
        assert level[round((end_s + 0.05) * 100) : round((end_s + 0.12) * 100)].mean() < 0.7 * speech

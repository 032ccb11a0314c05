"""Which file beside a video is its transcript."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from savecli.core.records import AudioStream, VideoInfo
from savecli.transcript.sidecar import SidecarSource, decode_text, find_sidecars

SRT = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n"


@pytest.fixture
def put(tmp_path):
    """Writes files of the given names, each of which says its own name, and returns a reader of `Talk.mp4`."""

    def put_files(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            said = name.replace(".", " dot ")
            if name.endswith(".json"):
                path.write_text(json.dumps({"segments": [{"start": 1, "end": 2, "text": said}]}))
            else:
                path.write_text((VTT if name.lower().endswith("vtt") else SRT).format(said))

    return put_files


def read(folder: Path, name: str = "Talk.mp4", *, spoken: str | None = None):
    audio = AudioStream(1, "aac", 48000, 2, spoken) if spoken else None
    return SidecarSource().read(VideoInfo(folder / name, 10.0, "mp4", None, audio))


def chosen(folder: Path, name: str = "Talk.mp4", *, spoken: str | None = None) -> str | None:
    transcript = read(folder, name, spoken=spoken)
    return transcript.source.removeprefix("sidecar:") if transcript else None


@pytest.mark.parametrize(
    "name", ["Talk.srt", "Talk.vtt", "Talk.json", "Talk.en.vtt", "Talk.en-US.srt", "Talk.mp4.srt", "Talk.SRT"]
)
def test_each_form_of_name_is_found(put, tmp_path, name):
    put(name)
    assert chosen(tmp_path) == name


def test_yt_dlp_names_with_an_id(put, tmp_path):
    put("A talk [dQw4w9WgXcQ].en.vtt")
    assert chosen(tmp_path, "A talk [dQw4w9WgXcQ].mp4") == "A talk [dQw4w9WgXcQ].en.vtt"


@pytest.mark.parametrize(
    "name",
    [
        "Talk.info.json",
        "Talk.en.info.json",
        "Talk.live_chat.json",
        "Talking.srt",
        "Talk 2.srt",
        "talk.srt",
        "Talk.part2.srt",
        "Talk.txt",
        "Other.srt",
    ],
)
def test_other_files_are_left_alone(put, tmp_path, name):
    put(name)
    assert chosen(tmp_path) is None


def test_a_file_belongs_to_the_video_with_the_longer_name(put, tmp_path):
    put("Talk.de.srt")
    (tmp_path / "Talk.de.mp4").touch()
    assert chosen(tmp_path) is None
    assert chosen(tmp_path, "Talk.de.mp4") == "Talk.de.srt"


def test_the_order_among_several(put, tmp_path):
    names = ["Talk.srt", "Talk.vtt", "Talk.json", "Talk.en.srt", "Talk.en.vtt", "Talk.en-US.vtt", "Talk.en.sdh.vtt"]
    names += ["Talk.en-orig.vtt", "Talk.de.vtt", "Talk.fr.srt", "Talk.en.forced.srt", "Subs/Talk.srt"]
    put(*reversed(names))
    assert [sidecar.path.name for sidecar in find_sidecars(tmp_path / "Talk.mp4")] == [Path(n).name for n in names]


def test_the_spoken_language_goes_first(put, tmp_path):
    put("Talk.en.vtt", "Talk.fr.vtt", "Talk.de.vtt")
    assert chosen(tmp_path) == "Talk.en.vtt"
    assert chosen(tmp_path, spoken="deu") == "Talk.de.vtt"
    assert read(tmp_path, spoken="deu").language == "de"


def test_original_captions_go_before_translations(put, tmp_path):
    put("Talk.en.vtt", "Talk.ja-orig.vtt", "Talk.fr.vtt")
    assert chosen(tmp_path) == "Talk.ja-orig.vtt"
    put("Talk.ja.vtt")
    assert chosen(tmp_path) == "Talk.ja.vtt"


def test_a_file_without_speech_gives_way_to_the_next(put, tmp_path):
    put("Talk.en.vtt")
    (tmp_path / "Talk.srt").write_text("")
    (tmp_path / "Talk.vtt").write_text(VTT.format("[Music]"))
    (tmp_path / "Talk.json").write_text('{"title": "no transcript"}')
    assert chosen(tmp_path) == "Talk.en.vtt"


def test_no_file_with_speech_is_no_transcript(tmp_path):
    (tmp_path / "Talk.srt").write_bytes(b"\xff\xfe\x00garbage" * 10)
    assert chosen(tmp_path) is None


def test_a_folder_with_the_name_is_passed_over(put, tmp_path):
    (tmp_path / "Talk.srt").mkdir()
    put("Talk.vtt")
    assert chosen(tmp_path) == "Talk.vtt"


def test_a_missing_folder_has_no_files(tmp_path):
    assert find_sidecars(tmp_path / "gone" / "Talk.mp4") == ()


@pytest.mark.parametrize("folder", ["Subs", "subs", "Subtitles"])
def test_subtitle_folders_are_searched(put, tmp_path, folder):
    put(f"{folder}/Talk.en.srt")
    transcript = read(tmp_path)
    assert transcript.source == "sidecar:Talk.en.srt"
    assert transcript.language == "en"


def test_languages_of_tags_and_headers(put, tmp_path):
    put("Talk.srt")
    assert read(tmp_path).language is None
    (tmp_path / "Talk.srt").unlink()
    (tmp_path / "Talk.vtt").write_text("WEBVTT\nKind: captions\nLanguage: pt-BR\n\n00:01.000 --> 00:02.000\nOi\n")
    assert read(tmp_path).language == "pt"
    (tmp_path / "Talk.vtt").unlink()
    put("Talk.ger.srt")
    assert read(tmp_path).language == "de"


def test_hi_is_hindi_alone_and_hearing_impaired_behind_a_language(put, tmp_path):
    put("Talk.hi.srt")
    assert read(tmp_path).language == "hi"
    (tmp_path / "Talk.hi.srt").unlink()
    put("Talk.en.hi.srt")
    assert read(tmp_path).language == "en"


def test_a_vtt_in_a_file_called_srt_is_read_as_what_it_is(tmp_path):
    (tmp_path / "Talk.srt").write_text(VTT.format("Hello") + "\nNOTE nothing\n")
    assert read(tmp_path).text == "Hello"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings(tmp_path, encoding):
    text = "Fünf Jäger – fünf “Hüte”"
    (tmp_path / "Talk.srt").write_bytes(SRT.format(text).encode(encoding))
    assert read(tmp_path).text == text


def test_bytes_that_are_no_text_never_fail(rng):
    for _ in range(50):
        assert isinstance(decode_text(rng.bytes(300)), str)


def test_names_composed_differently_are_the_same_name(tmp_path):
    (tmp_path / (unicodedata.normalize("NFD", "Übung") + ".srt")).write_text(SRT.format("Hallo"))
    assert read(tmp_path, unicodedata.normalize("NFC", "Übung") + ".mp4").text == "Hallo"


@pytest.mark.parametrize("stem", ["with space", "-leading", "quo'te\"", "new\nline", "[brackets] *?", "日本語"])
def test_odd_names(put, tmp_path, stem):
    put(f"{stem}.en.srt")
    assert chosen(tmp_path, f"{stem}.mp4") == f"{stem}.en.srt"

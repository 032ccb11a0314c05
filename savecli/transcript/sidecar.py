"""Subtitle and transcript files that lie beside a video.

Which of several is read, first to last; one that turns out to hold no speech gives way to the next:

1. `Name.srt`, `Name.vtt`, then `Name.json`: without a language tag, the owner put it there for this video.
   Subtitles go before JSON, as people correct the former.
2. Tagged files, those in the spoken language first. It is known from the sound stream's language or from a
   `Name.en-orig.vtt` (YouTube's captions of what was spoken, where the others are translations). Then English,
   then by tag, so that the choice never depends on the file system.
3. Within a language: plain tags, then ones with more in them (`en-US`, `sdh`), then automatic `-orig` ones.
   `forced` tracks come last, as they hold only what is spoken in a foreign language.
Files in the video's own folder go before those in a `Subs` folder.
"""

from __future__ import annotations

import codecs
import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from savecli.core.records import Transcript, VideoInfo
from savecli.transcript.base import clean_utterances
from savecli.transcript.cues import parse_srt, parse_vtt, vtt_language
from savecli.transcript.languages import iso_639_1
from savecli.transcript.rolling import cue_utterances
from savecli.transcript.whisper_json import parse_whisper_json

logger = logging.getLogger(__name__)

_SUFFIXES = (".srt", ".vtt", ".json")
_SUBTITLE_FOLDERS = ("subs", "subtitles")
_FLAGS = frozenset({"auto", "cc", "default", "forced", "foreign", "full", "hi", "sdh"})
# Ten hours of word-timed JSON is about 20 MB; what is larger is some other data.
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Sidecar:
    """A file that may hold a video's transcript; `tags` is what stands between the name and the suffix."""

    path: Path
    tags: tuple[str, ...] = ()
    is_in_subfolder: bool = False

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def language(self) -> str | None:
        languages = [tag for tag in self.tags if iso_639_1(tag)]
        # `hi` marks subtitles for the hearing impaired when it follows a language, and is Hindi alone.
        return iso_639_1(languages[0]) if languages else None

    @property
    def is_original(self) -> bool:
        return any(tag.endswith("-orig") for tag in self.tags)


class SidecarSource:
    """Reads the best file beside the video; None when there is none with speech in it."""

    name = "sidecar"

    def read(self, info: VideoInfo) -> Transcript | None:
        for sidecar in find_sidecars(info.path, spoken=info.audio.language if info.audio else None):
            transcript = read_sidecar(sidecar)
            if transcript is not None:
                return transcript
        return None


def find_sidecars(video: Path, *, spoken: str | None = None) -> tuple[Sidecar, ...]:
    """Files that belong to `video` by name, best first.

    Args:
        spoken: language of the sound where the file says it, in any notation.
    """
    entries = _entries(video.parent)
    found = _sidecars_among(entries, video)
    for folder in entries:
        if folder.name.lower() in _SUBTITLE_FOLDERS and folder.is_dir():
            found += _sidecars_among(_entries(folder), video, is_in_subfolder=True)
    originals = sorted(s.language for s in found if s.is_original and s.language)
    language = iso_639_1(spoken) or (originals[0] if originals else None)
    return tuple(sorted(found, key=lambda sidecar: _order(sidecar, language)))


def read_sidecar(sidecar: Sidecar) -> Transcript | None:
    """What the file says, or None (with the reason in the log) when it is unreadable or holds no speech."""
    try:
        if sidecar.path.stat().st_size > _MAX_BYTES:
            logger.debug("%s: too large for a transcript", sidecar.path)
            return None
        text = decode_text(sidecar.path.read_bytes())
    except OSError as error:
        logger.warning("%s: subtitles not read: %s", sidecar.path, error.strerror or error)
        return None
    source = f"sidecar:{sidecar.path.name}"
    transcript = _parse(text, sidecar, source)
    if transcript is None:
        logger.debug("%s: not a transcript", sidecar.path)
        return None
    utterances = clean_utterances(transcript.utterances)
    if not utterances:
        logger.debug("%s: holds no speech", sidecar.path)
        return None
    return Transcript(utterances, source, sidecar.language or transcript.language)


def decode_text(data: bytes) -> str:
    """Text of a subtitle file in whatever encoding it is: UTF-16 with a mark, else UTF-8, else Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    # Every other byte of plain UTF-16 text is zero, which no text in the other encodings holds.
    if data[1:200:2].count(0) > len(data[1:200:2]) // 2:
        return data.decode("utf-16-le", errors="replace")
    if data[0:200:2].count(0) > len(data[0:200:2]) // 2:
        return data.decode("utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _parse(text: str, sidecar: Sidecar, source: str) -> Transcript | None:
    if sidecar.suffix == ".json":
        return parse_whisper_json(text, source=source)
    # The first line tells the formats apart better than the suffix: renamed files are common.
    is_vtt = text.lstrip().startswith("WEBVTT")
    cues = parse_vtt(text) if is_vtt else parse_srt(text)
    language = iso_639_1(vtt_language(text)) if is_vtt else None
    return Transcript(cue_utterances(cues), source, language)


def _sidecars_among(files: Iterable[Path], video: Path, *, is_in_subfolder: bool = False) -> list[Sidecar]:
    """Those of `files` named `Name.tags.suffix` or `Name.mp4.tags.suffix`."""
    name, stem = _normal(video.name), _normal(video.stem)
    paths = {Path(_normal(path.name)): path for path in files}
    others = {path.stem for path in paths if path.suffix.lower() not in _SUFFIXES and path.name != name}
    found = []
    for normal, path in paths.items():
        base = normal.stem
        if normal.suffix.lower() not in _SUFFIXES or base.endswith(".info"):
            continue
        prefix = next((p for p in (name, stem) if base == p or base.startswith(f"{p}.")), None)
        if prefix is None:
            continue
        tags = tuple(tag for tag in base[len(prefix) :].split(".") if tag)
        # `Trip.de.srt` is not about `Trip.mp4` when there is a `Trip.de.mp4`.
        belongs_to_other = bool(tags) and base in others
        if not belongs_to_other and all(tag.lower() in _FLAGS or iso_639_1(tag) for tag in tags):
            found.append(Sidecar(path, tags, is_in_subfolder))
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        logger.debug("%s: not searched for subtitles: %s", folder, error)
        return []


def _order(sidecar: Sidecar, spoken: str | None) -> tuple[bool, bool, bool, bool, bool, bool, int, str, int, str]:
    tags = [tag.lower() for tag in sidecar.tags]
    return (
        sidecar.is_in_subfolder,
        any(tag in ("forced", "foreign") for tag in tags),
        bool(tags),
        spoken is not None and sidecar.language != spoken,
        sidecar.language != "en",
        sidecar.is_original,
        sum(tag.count("-") + 1 for tag in tags),
        ".".join(tags),
        _SUFFIXES.index(sidecar.suffix),
        sidecar.path.name,
    )


def _normal(name: str) -> str:
    """Names as macOS and as other systems write them compare equal."""
    return unicodedata.normalize("NFC", name)

"""What decides the content of a cache's parts, and of its entries: two that differ in it never share a place."""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from savecli.core.hashing import content_hash
from savecli.datasets.base import DatasetClip
from savecli.model.config import ModelConfig
from savecli.training.files import TEACHER_FRAMES, TEACHER_SIDE, frame_format, sound_format
from savecli.transcript.choose import SpeechConfig
from savecli.transcript.whisper_weights import whisper_folder

_log = logging.getLogger(__name__)

PartKind = Literal["frames", "sound", "tokens", "speech", "teacher"]
# Raise one when what is made of the same settings changes.
VERSIONS: Mapping[PartKind, int] = {"frames": 1, "sound": 1, "tokens": 1, "speech": 2, "teacher": 2}
_SUBTITLES = (".srt", ".vtt", ".json")
_SUBTITLE_FOLDERS = ("subs", "subtitles")


class PartKey(NamedTuple):
    """A part: its folder's name, and the settings that its fingerprint is made of."""

    kind: PartKind
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        text = json.dumps(self.settings, sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def frames_key(config: ModelConfig) -> PartKey:
    """Frames as bytes, before normalisation."""
    return _key("frames", asdict(frame_format(config)))


def sound_key(config: ModelConfig) -> PartKey | None:
    """Filter banks; None for a model that does not hear."""
    form = sound_format(config)
    return None if form is None else _key("sound", asdict(form))


def tokens_key(config: ModelConfig, encoder: torch.nn.Module) -> PartKey | None:
    """What a frozen audio encoder makes of the filter banks: also its weights decide."""
    return tokens_key_of(config, weights_digest(encoder)) if config.audio is not None else None


def tokens_key_of(config: ModelConfig, digest: str) -> PartKey | None:
    """As `tokens_key`, of an encoder of which only the `weights_digest` is known."""
    form = sound_format(config)
    return None if form is None else _key("tokens", {**asdict(form), "encoder": digest})


def speech_key(config: SpeechConfig, recogniser: str) -> PartKey:
    """Words that were read or recognised; `recogniser` as `files.recogniser_of` names it."""
    model = ""
    if recogniser == "whisper":
        folder = whisper_folder(config.whisper_model)
        model = config.whisper_model if folder is None else files_digest(folder)
    return _key("speech", {"source": config.source, "recogniser": recogniser, "whisper": model})


def teacher_key(name: str, fingerprint: str) -> PartKey:
    """A teacher's vectors; `fingerprint` tells its weights, or the files that its vectors came from."""
    settings = {"teacher": name, "fingerprint": fingerprint}
    return _key("teacher", {**settings, "num_frames": TEACHER_FRAMES, "short_side": TEACHER_SIDE})


def files_digest(*places: Path) -> str:
    """Hex digest of names, sizes and times of change of files, and of all below folders; no content is read."""
    rows = []
    for place in places:
        for path in (place, *place.rglob("*")) if place.is_dir() else (place,):
            if path.is_file():
                stat = path.stat()
                rows.append(f"{path.relative_to(place.parent).as_posix()} {stat.st_size} {stat.st_mtime_ns}\n")
    return hashlib.sha256("".join(sorted(rows)).encode()).hexdigest()[:16]


def weights_digest(module: torch.nn.Module) -> str:
    """Hex digest of a module's weights and their names."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        held = value.detach().cpu().contiguous()
        digest.update(f"{name} {held.dtype} {tuple(held.shape)}\n".encode())
        digest.update(memoryview(held.flatten().view(torch.uint8).numpy()) if held.numel() else b"")
    return digest.hexdigest()


def stamp_of(clip: DatasetClip, path: Path | None) -> str:
    """What an entry of a clip is made from: its file's size and time of change, and the span of it.

    The first part is empty where the file is not known or not there: then what was made of it counts.
    """
    span = "" if clip.span is None else f"{clip.span.start_s!r}-{clip.span.end_s!r}"
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        stat = None
    file = "" if stat is None else f"{stat.st_size}:{stat.st_mtime_ns}"
    return f"{file}@{span}"


class Stamps:
    """What entries are to be made from, as of now; folders are searched for subtitles once. Safe to use from threads.

    Args:
        paths: by clip id, its file.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._subtitles: dict[Path, Mapping[str, frozenset[Path]]] = {}
        self._contents: dict[Path, tuple[str, str]] = {}

    def of(self, clip: DatasetClip, kind: PartKind = "frames") -> str:
        """As `stamp_of`; that of speech also tells the subtitles beside the file."""
        path = self._paths.get(clip.clip_id)
        stamp = stamp_of(clip, path)
        if kind != "speech" or path is None or stamp.startswith("@"):
            return stamp
        beside = self._beside(path)
        file, _, span = stamp.partition("@")
        return f"{file}+{files_digest(*sorted(beside))}@{span}" if beside else stamp

    def content(self, clip: DatasetClip) -> str:
        """Hash of the content of the clip's file, which is read once as long as it does not change.

        Raises:
            OSError: it cannot be read.
        """
        path = self._paths[clip.clip_id]
        state = stamp_of(clip, path).partition("@")[0]
        held = self._contents.get(path)
        if held is None or held[0] != state:
            held = self._contents[path] = (state, content_hash(path))
        return held[1]

    def is_still(self, clip: DatasetClip, content: str) -> bool:
        """Whether the clip's file can be read to its end, and is of this content."""
        try:
            return content_hash(self._paths[clip.clip_id]) == content
        except OSError:
            return False

    def with_content(self, clip: DatasetClip, kind: PartKind, content: str) -> str:
        """As `of`, with what tells the same content at another time of change.

        Args:
            content: as `content` gives it; "" is not known.

        Raises:
            OSError: a file of subtitles cannot be read.
        """
        stamp = self.of(clip, kind)
        if kind == "speech" and content and (beside := self._beside(self._paths[clip.clip_id])):
            told = " ".join([content, *(f"{path.name} {content_hash(path)}" for path in sorted(beside))])
            content = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        file, _, span = stamp.partition("@")
        return f"{file}#{content}@{span}" if content else stamp

    def _beside(self, path: Path) -> frozenset[Path]:
        if path.parent not in self._subtitles:
            self._subtitles[path.parent] = _subtitles_in(path.parent)
        found = self._subtitles[path.parent]
        return found.get(_normal(path.stem), frozenset()) | found.get(_normal(path.name), frozenset())


def is_fresh(stamp: str, now: str) -> bool:
    """Whether an entry of `stamp` is of the clip and file of the stamp `now`, by size and time of change."""
    state, _, span = _split_stamp(now)
    its_state, _, its_span = _split_stamp(stamp)
    return span == its_span and (not state or state == its_state)


def is_same_content(stamp: str, now: str) -> bool:
    """Whether an entry of `stamp` is of the clip of the stamp `now` and of the same content; False where not known."""
    _, content, span = _split_stamp(now)
    return bool(content) and (content, span) == _split_stamp(stamp)[1:]


def content_of(stamp: str) -> str:
    """What `Stamps.content` gave when an entry was made; "" is not known."""
    return _split_stamp(stamp)[1]


def is_of_span(stamp: str, now: str) -> bool:
    """Whether an entry of `stamp` is of the span of the stamp `now`, whatever has become of the file."""
    return _split_stamp(stamp)[2] == _split_stamp(now)[2]


def _split_stamp(stamp: str) -> tuple[str, str, str]:
    """State of the file, hash of its content, span of the clip."""
    file, _, span = stamp.partition("@")
    state, _, content = file.partition("#")
    return state, content, span


def _subtitles_in(folder: Path) -> Mapping[str, frozenset[Path]]:
    """Subtitles by each name that they may belong to: `a.b.en.srt` to videos called `a`, `a.b` and `a.b.en`.

    More than `find_sidecars` takes, in one look at the folder: to read a clip once too often does no harm.
    """
    found: dict[str, set[Path]] = defaultdict(set)
    for path in _subtitle_files(folder):
        words = _normal(path.stem).split(".")
        for end in range(1, len(words) + 1):
            found[".".join(words[:end])].add(path)
    return {name: frozenset(paths) for name, paths in found.items()}


def _subtitle_files(folder: Path) -> Iterator[Path]:
    for path in _entries(folder):
        if path.suffix.lower() in _SUBTITLES:
            yield path
        elif path.name.lower() in _SUBTITLE_FOLDERS and path.is_dir():
            yield from (inner for inner in _entries(path) if inner.suffix.lower() in _SUBTITLES)


def _entries(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except OSError as error:
        _log.debug("%s: not searched for subtitles: %s", folder, error)
        return ()


def _normal(name: str) -> str:
    """Names as macOS and as other systems write them are the same."""
    return unicodedata.normalize("NFC", name)


def _key(kind: PartKind, settings: Mapping[str, Any]) -> PartKey:
    return PartKey(kind, {"kind": kind, "version": VERSIONS[kind], **settings})

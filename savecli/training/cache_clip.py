"""What a cache keeps of one clip: read, or found to be there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from savecli.core.errors import MediaError
from savecli.datasets.base import DatasetClip
from savecli.features.inputs import ClipSound
from savecli.model.audio import AudioBranch
from savecli.training.cache_keys import PartKind, Stamps, content_of, is_same_content
from savecli.training.cache_store import AnyArray, PartReader
from savecli.training.cache_tokens import sound_tokens
from savecli.training.files import FileSource


@dataclass(frozen=True, eq=False)
class MadeClip:
    """What was read of a clip; stamps and arrays by part. `sound` waits for the encoder.

    Args:
        stamps: of the parts that were missing.
        kept: parts whose entry is of the same content, though the file has another time of change.
        failure: why it could not be read.
        is_broken: that is so for good: the fault is in the file, which is there and the same as before.
    """

    clip: DatasetClip
    stamps: Mapping[PartKind, str]
    arrays: dict[PartKind, Mapping[str, AnyArray]] = field(default_factory=dict)
    kept: frozenset[PartKind] = frozenset()
    sound: ClipSound | None = None
    failure: str = ""
    is_broken: bool = False
    is_unheard: bool = False


class ClipMaker:
    """Reads what is missing of clips. Safe to use from several threads.

    Args:
        parts: the entries there are.
    """

    def __init__(self, files: FileSource, stamps: Stamps, parts: Mapping[PartKind, PartReader]) -> None:
        self._files = files
        self._stamps = stamps
        self._parts = parts

    def made(self, item: tuple[DatasetClip, frozenset[PartKind]]) -> MadeClip:
        """The missing parts of a clip; nothing of a file that changes or goes away meanwhile."""
        clip, kinds = item
        before = self._stamps.of(clip)
        try:
            content = self._known_content(clip) if "frames" not in kinds else self._stamps.content(clip)
            stamps = {kind: self._stamps.with_content(clip, kind, content) for kind in kinds}
        except OSError as error:
            return MadeClip(clip, {}, failure=(error.strerror or str(error)).lower())
        kept = frozenset(kind for kind in kinds if self._is_kept(kind, clip, stamps[kind]))
        try:
            made = self._read(clip, stamps, kept)
            if self._stamps.of(clip) != before:
                why = "its file changed or went away while it was read"
                raise MediaError(f"cannot read clip {clip.clip_id}", why=why)
            return made
        except MediaError as error:
            is_broken = "frames" in kinds - kept and self._stamps.is_still(clip, content)
            return MadeClip(clip, stamps, failure=error.why or error.what, is_broken=is_broken)

    def _known_content(self, clip: DatasetClip) -> str:
        """From the clip's frames, which are there, so that its file need not be read."""
        entry = self._parts["frames"].entry(clip.clip_id)
        return "" if entry is None else content_of(entry.stamp)

    def _is_kept(self, kind: PartKind, clip: DatasetClip, stamp: str) -> bool:
        entry = self._parts[kind].entry(clip.clip_id)
        return entry is not None and not entry.failure and is_same_content(entry.stamp, stamp)

    def _read(self, clip: DatasetClip, stamps: Mapping[PartKind, str], kept: frozenset[PartKind]) -> MadeClip:
        """Speech that nothing here recognises, and a clip that the teacher does not know, are left out: that may
        change while the clip's file does not.
        """
        files, kinds = self._files, stamps.keys() - kept
        arrays: dict[PartKind, Mapping[str, AnyArray]] = {}
        sound, is_unheard = None, False
        if "frames" in kinds:
            arrays["frames"] = {"frames": files.frames(clip)}
        if "sound" in kinds or "tokens" in kinds:
            sound = files.sound(clip)
            kind: PartKind = "sound" if "sound" in kinds else "tokens"
            arrays[kind] = {} if sound is None else {"banks": sound.banks.astype(np.float16), "mask": sound.mask}
        if "speech" in kinds:
            text = files.known_speech(clip)
            is_unheard = text is None
            if text is not None:
                arrays["speech"] = {"text": np.frombuffer(text.encode(), np.uint8)} if text else {}
        if "teacher" in kinds:
            taught = files.taught(clip)
            vectors = {"video": taught.video, "audio": taught.audio}
            if taught.video is not None:
                arrays["teacher"] = {name: vector for name, vector in vectors.items() if vector is not None}
        return MadeClip(clip, stamps, arrays, kept, sound, is_unheard=is_unheard)


def encoded(chunk: Sequence[MadeClip], audio: AudioBranch | None) -> Sequence[MadeClip]:
    """The same clips, with tokens in the place of filter banks where an encoder is there."""
    waiting = [made for made in chunk if made.sound is not None and "tokens" in made.arrays]
    if audio is None or not waiting:
        return chunk
    banks = [made.sound.banks for made in waiting if made.sound is not None]
    for made, tokens in zip(waiting, sound_tokens(audio, banks), strict=True):
        made.arrays["tokens"] = {"tokens": tokens, "mask": made.arrays["tokens"]["mask"]}
    return chunk

"""Records that cross the files of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from savecli.datasets.base import DatasetClip


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """A clip as it is kept between decoding and the model: on the CPU, not normalised, without padding.

    Args:
        frames: `(F, S, S, 3)` uint8, at most the config's `num_frames`, at least one.
        sound: `(W, T, M)` float32 filter banks, one window if the whole clip is stretched onto it; None without sound,
            and where `sound_tokens` stand for it.
        sound_mask: `(W, T)` bool, which rows come from sound; None without sound.
        sound_tokens: `(W, A, E)` float16 of the frozen audio encoder.
        speech: what is said in the clip; "" is nothing.
        teacher_video, teacher_audio: `(T,)` float32; None where the teacher knows nothing of it, or there is none.
    """

    frames: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.float32] | None = None
    sound_mask: npt.NDArray[np.bool_] | None = None
    sound_tokens: npt.NDArray[np.float16] | None = None
    speech: str = ""
    teacher_video: npt.NDArray[np.float32] | None = None
    teacher_audio: npt.NDArray[np.float32] | None = None

    @property
    def has_sound(self) -> bool:
        return self.sound is not None or self.sound_tokens is not None


class ClipSource(Protocol):
    """Gives the arrays of clips, from the cache or from video files; safe to call from several threads."""

    def read(self, clip: DatasetClip) -> ClipArrays:
        """The arrays of one clip.

        Raises:
            MediaError: its file is not there or cannot be decoded.
        """
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything a report of a split is made from; `V` clips of the gallery, `T` captions.

    Args:
        similarity: `(T, V)` float32 logits, rows captions.
        video_of_caption: `(T,)` int, the clip that each caption tells of.
        groups: `(T,)` the sense each caption needs, "" unknown.
        num_missing: clips of the split that are left out, as their files are not there or cannot be decoded.
        num_unreadable: those of them whose files are there; None unknown.
        dropped: what the annotation files hold of the split and cannot be used, with the reason and how often.
        gates: by signal (`audio`, `speech`), `(V, layers, 2)` float32: how far each fusion layer let it in, by
            attention and by feed-forward; NaN for clips without the signal.
        precision: what the model computed in; "" unknown.
    """

    dataset: str
    split: str
    clip_ids: tuple[str, ...]
    captions: tuple[str, ...]
    groups: tuple[str, ...]
    video_of_caption: npt.NDArray[np.int64]
    is_grouped: bool
    similarity: npt.NDArray[np.float32]
    num_with_audio: int
    num_with_speech: int
    num_missing: int
    gates: Mapping[str, npt.NDArray[np.float32]]
    dropped: Mapping[str, int] = field(default_factory=dict)
    precision: str = ""
    num_unreadable: int | None = None


def dropped_text(dropped: Mapping[str, int] | None) -> str:
    """`2 × empty caption, 1 × repeated id`; "" for nothing."""
    return ", ".join(f"{number} × {reason}" for reason, number in (dropped or {}).items())

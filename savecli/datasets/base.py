"""What a dataset is once its annotation files are read: splits of clips with their captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from savecli.core.records import Span


@dataclass(frozen=True)
class Caption:
    """A sentence that tells of a clip. `group` names the sense it needs (`vision`, `sound`, `speech`), "" unknown."""

    text: str
    group: str = ""


@dataclass(frozen=True)
class DatasetClip:
    """An item of a dataset: one clip to the network, however long it lasts.

    Args:
        clip_id: its name in the dataset, unique over all splits; transcripts and teacher vectors are filed under it.
        captions: in the order of the annotation file, none of them blank.
        media: what its file is found by: a path below the video folder, or a file name without its ending.
        span: the part of the file that is meant; None is all of it.
    """

    clip_id: str
    captions: tuple[Caption, ...]
    media: str
    span: Span | None = None


@dataclass(frozen=True)
class Split:
    """Clips that are trained on, chosen by, or reported on.

    Args:
        name: as reports print it, e.g. `test 1k-A`.
        is_grouped: whether evaluation follows the protocol of several captions a clip.
        dropped: what the annotation files hold and cannot be used, with the reason and how often: `empty caption`.
        dropped_names: that by name, by reason: ids of clips or lines of the file, each as often as it counts.
    """

    name: str
    clips: tuple[DatasetClip, ...]
    is_grouped: bool = False
    dropped: Mapping[str, int] | None = None
    dropped_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def num_captions(self) -> int:
        return sum(len(clip.captions) for clip in self.clips)


@dataclass(frozen=True)
class Dataset:
    """A dataset as its files on this machine tell it.

    Args:
        name: as `--dataset` takes it.
        train, val, test: None where the dataset, or this copy of it, has no such split.
        video_folders: where its files are looked for, in this order; those that are there.
        asr_files: transcripts found beside it, in the form that `savecli.datasets.asr` reads.
        has_paths: whether every `media` is a path, so that a file of its name elsewhere is another.
    """

    name: str
    train: Split | None
    val: Split | None
    test: Split | None
    video_folders: tuple[Path, ...] = ()
    asr_files: tuple[Path, ...] = ()
    has_paths: bool = False

    @property
    def splits(self) -> tuple[Split, ...]:
        return tuple(split for split in (self.train, self.val, self.test) if split is not None)


@dataclass(frozen=True)
class DatasetKind:
    """A dataset that `save` knows how to read.

    Args:
        read: the dataset in a folder; raises `UsageError` that says which file is missing or wrong.
        layout: the files a folder must hold, a line each, as people have them.
        source: where people get them.
    """

    name: str
    read: Callable[[Path], Dataset]
    layout: str
    source: str

"""From lists of ids and sentences to splits, with everything that cannot be used counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.files import find_transcript_files

EMPTY_CAPTION = "empty caption"
NO_CAPTION = "clip without caption"
REPEATED_ID = "repeated id"
FURTHER_CAPTION = "further caption of a clip"
OTHER_SPLIT = "clip of another split"
UNKNOWN_CLIP = "caption of an unknown clip"
# What people call the folder of the videos, whatever the dataset; `VideoData` is TeachCLIP's.
_VIDEO_FOLDERS = ("videos", "Videos", "video", "VideoData")


@dataclass(frozen=True)
class Listing:
    """A split before its ids and sentences are joined.

    Args:
        captions: sentences by id; it may know more ids than are listed.
        is_grouped: as of `Split`; also where a clip comes out with several captions, as part of a training split
            may be held out to choose by.
        has_one_caption: a clip's first sentence counts only, as in splits that are ranked by the diagonal.
        media: what a clip's file is found by, where it is not its id.
        dropped: what the reader itself could not use: ids by reason, each as often as it counts.
    """

    name: str
    ids: Sequence[str]
    captions: Mapping[str, Sequence[str]]
    is_grouped: bool = False
    has_one_caption: bool = False
    media: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, Sequence[str]] = field(default_factory=dict)


def build_dataset(
    name: str,
    root: Path,
    *,
    train: Listing | None = None,
    val: Listing | None = None,
    test: Listing | None = None,
    video_folders: Sequence[str] = (),
    unknown: Sequence[str] = (),
) -> Dataset:
    """The dataset of these lists.

    A clip that two splits name stays in the one that is reported on: test before val before train.

    Args:
        video_folders: what copies of this dataset call the folder of its videos, beside `videos` and the like.
        unknown: ids of clips that no list names, once for each caption; counted with the first split.

    Raises:
        UsageError: there is no split at all, or one comes out without clips.
    """
    listings = [listing for listing in (train, val, test) if listing is not None]
    if not listings:
        raise UsageError(
            f"{root} holds no split of {name}",
            why="none of the lists of its clips is there",
            fix="give the folder of its annotation files with `--root DIR`; `save data` lists them",
        )
    splits: dict[str, Split] = {}
    taken: set[str] = set()
    for listing in reversed(listings):
        is_first = listing is listings[0]
        splits[listing.name] = _build_split(listing, taken=taken, unknown=unknown if is_first else ())
        taken |= {clip.clip_id for clip in splits[listing.name].clips}
    return Dataset(
        name=name,
        train=splits[train.name] if train else None,
        val=splits[val.name] if val else None,
        test=splits[test.name] if test else None,
        video_folders=find_video_folders(root, (*video_folders, *_VIDEO_FOLDERS)),
        asr_files=find_transcript_files(root),
    )


def find_video_folders(root: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The folders of these names below the root; the root itself where there is none."""
    folders: list[Path] = []
    for name in names:
        folder = root / name
        # On file systems that ignore case, `videos` and `Videos` are one folder.
        if folder.is_dir() and not any(folder.samefile(other) for other in folders):
            folders.append(folder)
    return tuple(folders) or (root,)


def unknown_captions(captions: Mapping[str, Sequence[str]], known: Collection[str]) -> tuple[str, ...]:
    """Ids that are not among the known ones, once for each of their captions."""
    return tuple(clip_id for clip_id, sentences in captions.items() if clip_id not in known for _ in sentences)


def paragraphs(sentences: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The sentences of each clip joined to its one caption; without clips that have none but empty ones."""
    return {clip_id: [" ".join(filter(None, texts))] for clip_id, texts in sentences.items() if any(texts)}


def dropped_sentences(sentences: Mapping[str, Sequence[str]], listed: Iterable[str]) -> dict[str, list[str]]:
    """What no paragraph of a listed clip can use, as `dropped` of a listing."""
    known = set(listed)
    return {
        UNKNOWN_CLIP: list(unknown_captions(sentences, known)),
        EMPTY_CAPTION: [clip_id for clip_id, texts in sentences.items() for text in texts if not text],
    }


def new_split(
    name: str, clips: Iterable[DatasetClip], dropped: Mapping[str, Sequence[str]], *, is_grouped: bool = False
) -> Split:
    """The split of these clips, grouped also where one has several captions.

    Args:
        dropped: names of what cannot be used, by reason.
    """
    names = {reason: tuple(those) for reason, those in dropped.items() if those}
    its_clips = tuple(clips)
    return Split(
        name,
        its_clips,
        is_grouped=is_grouped or any(len(clip.captions) > 1 for clip in its_clips),
        dropped={reason: len(those) for reason, those in names.items()},
        dropped_names=names,
    )


def _build_split(listing: Listing, *, taken: Collection[str], unknown: Sequence[str]) -> Split:
    dropped = defaultdict(list, {reason: list(names) for reason, names in listing.dropped.items()})
    dropped[UNKNOWN_CLIP] += unknown
    clips: dict[str, DatasetClip] = {}
    for clip_id in listing.ids:
        if clip_id in clips:
            dropped[REPEATED_ID].append(clip_id)
            continue
        if clip_id in taken:
            dropped[OTHER_SPLIT].append(clip_id)
            continue
        sentences = [sentence.strip() for sentence in listing.captions.get(clip_id, ())]
        captions = [Caption(sentence) for sentence in sentences if sentence]
        dropped[EMPTY_CAPTION] += [clip_id] * (len(sentences) - len(captions))
        if not captions:
            dropped[NO_CAPTION].append(clip_id)
            continue
        if listing.has_one_caption:
            dropped[FURTHER_CAPTION] += [clip_id] * (len(captions) - 1)
            captions = captions[:1]
        clips[clip_id] = DatasetClip(clip_id, tuple(captions), media=listing.media.get(clip_id, clip_id))
    if not clips:
        first = f", the first being {listing.ids[0]!r}" if listing.ids else ""
        raise UsageError(
            f"the split {listing.name} has no clips",
            why=f"none of its {len(listing.ids)} ids{first}, has a caption in the annotation files",
            fix="compare the ids of its list with those of the captions; both must come from one release",
        )
    return new_split(listing.name, clips.values(), dropped, is_grouped=listing.is_grouped)

"""What a copy of a dataset holds and what it lacks, as records; nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from savecli.core.progress import NoProgress, Progress
from savecli.core.records import Span
from savecli.datasets.asr import Transcripts
from savecli.datasets.base import Dataset, Split
from savecli.datasets.expected import EXPECTED, ExpectedSplit, SplitName
from savecli.datasets.locate import Located
from savecli.datasets.splits import NO_CAPTION

Check = Callable[[Path, Span | None], str | None]
# A file, and the part of it that a clip is; None is all of it.
_Part = tuple[Path, Span | None]


@dataclass(frozen=True)
class SplitVerification:
    """What was found of a split.

    Args:
        name: as reports print it.
        missing: ids of the clips whose file is not there.
        undecodable: by clip id, why its part of a file cannot be used; empty where files were not opened.
        dropped, dropped_names: as of `Split`.
        duplicate_captions: sentences, in lower case, that tell of several clips, with their ids: each makes ties
            of ranks. Empty for train, where nothing is ranked.
        num_with_transcript: clips with words said in them; None where no transcripts were given.
        expected: the published protocol; None where we know of none.
    """

    split: SplitName
    name: str
    num_clips: int
    num_found: int
    missing: tuple[str, ...]
    undecodable: Mapping[str, str]
    num_captions: int
    dropped: Mapping[str, int]
    dropped_names: Mapping[str, Sequence[str]]
    duplicate_captions: Mapping[str, tuple[str, ...]]
    num_with_transcript: int | None
    expected: ExpectedSplit | None

    @property
    def num_usable(self) -> int:
        """Clips that can be trained on or ranked."""
        return self.num_found - len(self.undecodable)

    @property
    def mismatches(self) -> tuple[str, ...]:
        """How the annotations differ in size from the published protocol, a sentence each."""
        if self.expected is None:
            return ()
        pairs = (
            ("clips", self.num_clips, self.expected.num_clips),
            ("captions", self.num_captions, self.expected.num_captions),
        )
        return tuple(
            f"{self.name} has {found:,} {what}, the published split {published:,}"
            for what, found, published in pairs
            if published is not None and found != published
        )


@dataclass(frozen=True)
class Verification:
    """What was found of a dataset.

    Args:
        absent: splits that the published protocol has and this copy does not.
        ambiguous: by clip id, the files that fit it equally well; the first is used.
        disputed: by id of a missing clip, a file that fits it and is another clip's.
        num_unknown_transcripts: transcripts of clips that are in no split.
        is_decoded: whether files were opened.
    """

    dataset: str
    folders: tuple[Path, ...]
    splits: tuple[SplitVerification, ...]
    absent: tuple[SplitName, ...]
    ambiguous: Mapping[str, tuple[Path, ...]]
    disputed: Mapping[str, Path]
    num_unknown_transcripts: int
    is_decoded: bool

    @property
    def is_complete(self) -> bool:
        """Whether every clip that is listed for a split can be used, and the splits are those that were published."""
        return not self.absent and all(
            split.num_usable == split.num_clips and not split.mismatches and NO_CAPTION not in split.dropped
            for split in self.splits
        )


def verify(
    dataset: Dataset,
    located: Located,
    check: Check | None = None,
    *,
    transcripts: Transcripts | None = None,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> Verification:
    """What the annotations and the files found for them hold.

    Args:
        check: gives the reason why a span of a file, or all of it, cannot be used, or None; called once for each,
            from `num_threads` threads. None opens no file.
    """
    reasons = _reasons(dataset, located, check, num_threads, progress or NoProgress()) if check else {}
    expected = EXPECTED.get(dataset.name, {})
    splits: dict[SplitName, Split | None] = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    return Verification(
        dataset=dataset.name,
        folders=located.folders,
        splits=tuple(
            _verify_split(name, split, located, reasons, transcripts, expected.get(name))
            for name, split in splits.items()
            if split is not None
        ),
        absent=tuple(name for name, split in splits.items() if split is None and name in expected),
        ambiguous=located.ambiguous,
        disputed=located.disputed,
        num_unknown_transcripts=len(transcripts.unknown) if transcripts else 0,
        is_decoded=check is not None,
    )


def _reasons(
    dataset: Dataset, located: Located, check: Check, num_threads: int, progress: Progress
) -> dict[_Part, str]:
    clips = (clip for split in dataset.splits for clip in split.clips if clip.clip_id in located.paths)
    parts = tuple(dict.fromkeys((located.paths[clip.clip_id], clip.span) for clip in clips))
    progress.start(len(parts), unit="clips", title="Checking files")
    reasons: dict[_Part, str] = {}
    with ThreadPoolExecutor(num_threads) as threads:
        for part, reason in zip(parts, threads.map(lambda part: check(*part), parts), strict=True):
            if reason is not None:
                reasons[part] = reason
                progress.skip(part[0], reason)
            progress.advance(1)
    return reasons


def _verify_split(
    kind: SplitName,
    split: Split,
    located: Located,
    reasons: Mapping[_Part, str],
    transcripts: Transcripts | None,
    expected: ExpectedSplit | None,
) -> SplitVerification:
    ids = [clip.clip_id for clip in split.clips]
    parts = {
        clip.clip_id: (located.paths[clip.clip_id], clip.span) for clip in split.clips if clip.clip_id in located.paths
    }
    captions = ((caption.text, clip.clip_id) for clip in split.clips for caption in clip.captions)
    return SplitVerification(
        split=kind,
        name=split.name,
        num_clips=len(split.clips),
        num_found=len(parts),
        missing=tuple(clip_id for clip_id in ids if clip_id not in parts),
        undecodable={clip_id: reasons[part] for clip_id, part in parts.items() if part in reasons},
        num_captions=split.num_captions,
        dropped=dict(split.dropped or {}),
        dropped_names=dict(split.dropped_names),
        duplicate_captions={} if kind == "train" else _duplicates(captions),
        num_with_transcript=sum(bool(transcripts.texts.get(clip_id)) for clip_id in ids) if transcripts else None,
        expected=expected,
    )


def _duplicates(captions: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    clips: dict[str, dict[str, None]] = {}
    for text, clip_id in captions:
        clips.setdefault(" ".join(text.lower().split()), {})[clip_id] = None
    return {text: tuple(ids) for text, ids in clips.items() if len(ids) > 1}

"""From names and folders to runs and evaluations: where datasets, clips and models come together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from savecli.core.errors import UsageError
from savecli.core.progress import NoProgress, Progress
from savecli.datasets.asr import read_transcripts
from savecli.datasets.base import Dataset, DatasetClip, Split
from savecli.datasets.locate import Located, locate
from savecli.datasets.registry import find_dataset
from savecli.model.audio import AudioBranch
from savecli.model.checkpoint import Checkpoint
from savecli.model.config import ModelConfig
from savecli.model.precision import Precision, choose_precision
from savecli.model.teachers import file_teacher
from savecli.training.cache import CacheSource, kept_clips
from savecli.training.config import Selection
from savecli.training.evaluate import evaluate_split
from savecli.training.files import FileSource
from savecli.training.records import ClipSource, Evaluation
from savecli.training.training_run import RunSplits

# Of a training split without a validation split beside it: this share is held out, but no more than so many clips.
_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 1000
_NO_PROGRESS = NoProgress()


@dataclass(frozen=True)
class OpenData:
    """A dataset whose files have been looked for.

    Args:
        dataset: without the clips whose files are not there.
        located: where each clip's file is.
        num_missing: by name of the split, how many clips have been left out.
        speech: by clip, what an ASR file says is spoken; None without such a file.
    """

    dataset: Dataset
    located: Located
    num_missing: dict[str, int]
    speech: Mapping[str, str] | None


def open_data(
    name: str,
    root: Path,
    *,
    videos: Path | None = None,
    asr: Path | None = None,
    kept: Callable[[Sequence[DatasetClip], bool], Container[str]] = lambda *_: (),
) -> OpenData:
    """The dataset in a folder and the files of its clips.

    Args:
        videos: where its files are, if not in the folder.
        asr: transcripts in the authors' form; None takes those found in the folder.
        kept: ids of those clips without a file that count as there all the same, as a cache holds them; it is also
            told whether a file says what is spoken.

    Raises:
        UsageError: the folder has another shape, or none of the dataset's clips is there.
    """
    kind = find_dataset(name)
    dataset = kind.read(root)
    located = locate(dataset, videos)
    words = read_transcripts(dataset, asr)
    clips = [clip for split in dataset.splits for clip in split.clips]
    cached = kept([clip for clip in clips if clip.clip_id not in located.paths], words is not None)
    there = {clip.clip_id for clip in clips if clip.clip_id in located.paths or clip.clip_id in cached}
    if not there:
        raise UsageError(
            f"no video of {name} is in {videos or root}",
            why=f"looked for {len(clips)} files, the first is `{clips[0].media if clips else ''}`",
            fix=f"name their folder with `--videos DIR`; {kind.source}",
        )
    present = replace(
        dataset,
        train=_present(dataset.train, there),
        val=_present(dataset.val, there),
        test=_present(dataset.test, there),
    )
    num_missing = {
        split.name: len(split.clips) - len(here.clips)
        for split, here in zip(dataset.splits, present.splits, strict=True)
    }
    return OpenData(present, located, num_missing, words.texts if words else None)


def run_splits(data: OpenData, select: Selection) -> RunSplits:
    """What a run learns from, chooses its epoch by, and reports.

    Raises:
        UsageError: the dataset has no such split.
    """
    dataset = data.dataset
    train, chooses = dataset.train, dataset.val
    if train is None or not train.clips:
        raise UsageError(f"{dataset.name} has nothing to train on", why="no clip of its training split is there")
    if select == "peak-test":
        chooses = dataset.test
        if chooses is None:
            raise UsageError(
                f"{dataset.name} has no test split to choose by", why="its files hold none", fix="`--select val`"
            )
    elif select == "last":
        chooses = None
    elif chooses is None:
        train, chooses = _held_out(train)
    return RunSplits(dataset.name, train, chooses, dataset.test, data.num_missing)


def cache_beside(root: Path, cache: Path | None) -> Path | None:
    """The cache that was named, else the one that `save data prepare` fills when none is, if it is there."""
    beside = (root if root.is_dir() else root.parent) / "cache"
    return cache if cache is not None or not beside.is_dir() else beside


def find_split(data: OpenData, name: str) -> Split:
    """The split that is called `train`, `val` or `test`.

    Raises:
        UsageError: there is none, or it is empty.
    """
    split: Split | None = getattr(data.dataset, name)
    if split is None or not split.clips:
        there = [place for place in ("train", "val", "test") if getattr(data.dataset, place)]
        raise UsageError(
            f"{data.dataset.name} has no {name} split here",
            why=f"there are {', '.join(there)}" if split is None else "none of its files is there",
            fix="choose another with `--split`",
        )
    return split


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    name: str,
    root: Path,
    *,
    split: str = "test",
    videos: Path | None = None,
    cache: Path | None = None,
    asr: Path | None = None,
    device: torch.device,
    precision: Precision | None = None,
    batch_size: int = 32,
    progress: Progress = _NO_PROGRESS,
    changed: Callable[[Split, Dataset], Split] = lambda split, _: split,
) -> Evaluation:
    """A split of a dataset scored by a model.

    Args:
        precision: None is what the model was trained in, or where that is unknown what the device is fast in.
        changed: what is scored in the place of the split.

    Raises:
        UsageError: no such dataset or split, or a folder of another shape.
        SaveError: none of its clips can be read.
    """
    cache = cache_beside(root, cache)
    data = open_data(name, root, videos=videos, asr=asr, kept=partial(kept_clips, cache, checkpoint.config))
    chosen = find_split(data, split)
    return evaluate_split(
        checkpoint.model.to(device),
        checkpoint.config,
        changed(chosen, data.dataset),
        open_source(
            data,
            checkpoint.config,
            cache=cache,
            frozen_audio=checkpoint.model.audio,
            is_taught=False,
        ),
        dataset=name,
        device=device,
        precision=precision or checkpoint.origin.precision or choose_precision(device),
        batch_size=batch_size,
        num_missing=data.num_missing[chosen.name],
        progress=progress,
    )


def open_source(
    data: OpenData,
    config: ModelConfig,
    *,
    cache: Path | None = None,
    teacher: Path | None = None,
    frozen_audio: AudioBranch | None = None,
    is_taught: bool = True,
) -> ClipSource:
    """The dataset's clips: from the cache where one is given, and from their files what it does not hold.

    Args:
        teacher: folder with a teacher's vectors; None takes those in the cache.
        frozen_audio: the model's audio branch if its encoder does not learn, so that what it made of the sound counts.
        is_taught: whether a teacher's vectors are wanted where the model's loss needs them.

    Raises:
        UsageError: there is no cache, it holds vectors of several teachers and they are needed, or a clip's file is
            gone and the cache does not hold all that this model takes of it.
        WeightsError: the teacher's vectors cannot be used.
    """
    vectors = file_teacher(teacher) if teacher is not None else None
    files = FileSource(data.located.paths, config, speech=data.speech, teacher=vectors)
    if cache is None:
        return files
    source = CacheSource(
        cache,
        config,
        paths=data.located.paths,
        files=files,
        speech=data.speech,
        audio=frozen_audio,
        teacher=None if is_taught and vectors is None and needs_teacher(config) else "",
    )
    _refuse_half_kept(data, source, cache)
    return source


def _refuse_half_kept(data: OpenData, source: CacheSource, cache: Path) -> None:
    """Refuse clips that count as there, but only by tokens of another encoder than the model's."""
    clips = [clip for split in data.dataset.splits for clip in split.clips if clip.clip_id not in data.located.paths]
    if lost := [clip.clip_id for clip in clips if not source.is_whole(clip)]:
        raise UsageError(
            f"clips ({len(lost)}) can be read neither from their files nor from the cache",
            why=f"the files are gone, and {cache} does not hold all that this model takes of `{lost[0]}`: what another "
            "encoder made of its sound does not count",
            fix="use the audio encoder that the cache was prepared with, and let it be frozen; or delete the cache's "
            "folders `tokens-…`, and these clips are left out",
        )


def needs_teacher(config: ModelConfig) -> bool:
    """Whether the alignment loss of a model asks a teacher."""
    return config.audio is not None and config.loss.alignment not in (None, "contrastive")


def _present(split: Split | None, there: Container[str]) -> Split | None:
    if split is None:
        return None
    return replace(split, clips=tuple(clip for clip in split.clips if clip.clip_id in there))


def _held_out(train: Split) -> tuple[Split, Split]:
    """The training split in two, by a hash of each video's name: the same videos on every machine and in every run.

    Whole videos, since clips of one video are too alike to judge by.
    """
    wanted = min(max(1, round(_HELD_OUT_SHARE * len(train.clips))), _MOST_HELD_OUT)
    sizes = Counter(clip.media for clip in train.clips)
    held: set[str] = set()
    num_held = 0
    for media in sorted(sizes, key=lambda media: hashlib.sha256(media.encode("utf-8", "surrogateescape")).digest()):
        if num_held >= wanted or len(held) + 1 == len(sizes):
            break
        held.add(media)
        num_held += sizes[media]
    rest = tuple(clip for clip in train.clips if clip.media not in held)
    out = tuple(clip for clip in train.clips if clip.media in held)
    return replace(train, clips=rest), replace(train, name=f"held out of {train.name}", clips=out, dropped=None)

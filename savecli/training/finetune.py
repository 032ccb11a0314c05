"""Fine-tuning on one's own clips, and an honest word on whether it helped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from savecli.core.errors import UsageError
from savecli.model.checkpoint import Checkpoint, load_checkpoint
from savecli.training.cache import kept_clips
from savecli.training.compare import Comparison, Difference, compare
from savecli.training.config import RunConfig
from savecli.training.evaluate import evaluate_split
from savecli.training.launch import PRETRAINED, SCRATCH, RunRequest, Surroundings, resolved, resume_run, start_run
from savecli.training.order import all_pairs, num_steps
from savecli.training.records import Evaluation
from savecli.training.run_dir import RunData, RunDir, path_or_none
from savecli.training.session import OpenData, cache_beside, open_data, open_source, run_splits
from savecli.training.training_run import Outcome, RunSplits, run_precision

Judgement = Literal["better", "cannot tell", "worse"]
# With fewer clips to judge by only a very large difference shows.
FEW_CLIPS = 20
# If each of five clips gains, a sign test still says p = 0.06, whatever a bootstrap of so few makes of it.
TOO_FEW_CLIPS = 6
# Twice the steps that the recipe waits for a gain: of a few dozen clips that takes a hundred epochs.
MIN_STEPS = 200


@dataclass(frozen=True)
class Verdict:
    """What fine-tuning came to.

    Args:
        split: the held-out clips that judged.
        before, after: both models on them.
        chose_by_it: the same clips also chose the epoch, as there are no others: its number flatters the new model.
    """

    outcome: Outcome
    split: str
    before: Evaluation
    after: Evaluation
    comparison: Comparison
    judgement: Judgement
    chose_by_it: bool


def finetune(request: RunRequest, around: Surroundings) -> Verdict:
    """Train a checkpoint further, then compare both on held-out clips.

    On a small set a batch is no larger than the set, and there are as many epochs as `MIN_STEPS` steps take, unless
    `request.settings` say otherwise.

    Raises:
        UsageError: nothing is held out to judge by, and see `start_run`.
    """
    RunDir(request.out).check_new()  # before anything is scored
    config = resolved(request)
    data = _opened(request, config)
    splits = run_splits(data, config.train.select)
    request = _fitted(request, config, splits)
    return _judged(request, config, data, splits, around, lambda: start_run(request, around))


def resume_finetune(folder: Path, around: Surroundings) -> Verdict:
    """The rest of a stopped fine-tuning and its comparison; of one that has ended the comparison alone.

    Raises:
        UsageError: the folder holds no run, or one that began from no checkpoint, and see `resume_run`.
    """
    config, held = RunDir(folder).read_config()
    if not began_from_checkpoint(held):
        raise UsageError(
            f"{folder} is no fine-tuning",
            why="the run began from no checkpoint that it could be compared with",
            fix=f"go on with `save train --resume {folder}`",
        )
    request = RunRequest(
        dataset=config.dataset,
        root=Path(held.root),
        out=folder,
        start=str(held.start),
        videos=path_or_none(held.videos),
        cache=path_or_none(held.cache),
        asr=path_or_none(held.asr),
    )
    data = _opened(request, config)
    splits = run_splits(data, config.train.select)
    return _judged(request, config, data, splits, around, lambda: resume_run(folder, around))


def began_from_checkpoint(data: RunData) -> bool:
    """Whether a run trains a checkpoint further."""
    return data.start not in (None, PRETRAINED, SCRATCH)


def sum_of_texts(comparison: Comparison) -> Difference:
    """SumR from captions to clips: what a search gains."""
    return next(item for item in comparison.differences if (item.direction, item.measure) == ("t2v", "SumR"))


def judged(comparison: Comparison) -> Judgement:
    """`better` or `worse` only where the difference's whole interval lies on that side, and enough clips judge."""
    interval = sum_of_texts(comparison).interval
    if comparison.num_clips < TOO_FEW_CLIPS or interval.low <= 0 <= interval.high:
        return "cannot tell"
    return "better" if interval.low > 0 else "worse"


def _fitted(request: RunRequest, config: RunConfig, splits: RunSplits) -> RunRequest:
    """The request as a fine-tuning, with what the size of the set asks for; settings of the user come later."""
    num_clips = sum(bool(clip.captions) for clip in splits.train.clips)
    if 0 < num_clips < config.train.batch_size:
        request = replace(request, settings=(f"batch_size={num_clips}", *request.settings))
    train = resolved(request).train
    total = num_steps(
        all_pairs(splits.train.clips),
        batch_size=train.batch_size,
        seed=train.seed,
        num_epochs=train.num_epochs,
        distinct_clips=train.distinct_clips,
    )
    if 0 < total < MIN_STEPS:
        num_epochs = math.ceil(train.num_epochs * MIN_STEPS / total)
        request = replace(request, settings=(f"num_epochs={num_epochs}", *request.settings))
    return replace(request, is_finetuning=True)


def _judged(
    request: RunRequest,
    config: RunConfig,
    data: OpenData,
    splits: RunSplits,
    around: Surroundings,
    train: Callable[[], Outcome],
) -> Verdict:
    judge = splits.test if splits.test is not None and splits.test.clips else splits.chooses
    if judge is None or not judge.clips:
        raise UsageError(
            "no clips are held out to judge by",
            why="the dataset has neither a test nor a validation split",
            fix="give some rows of the manifest the split `test`, or leave `--select last` out",
        )
    cache = cache_beside(request.root, request.cache)
    device = around.machine.device

    def scored(checkpoint: Checkpoint) -> Evaluation:
        return evaluate_split(
            checkpoint.model.to(device),
            checkpoint.config,
            judge,
            open_source(data, checkpoint.config, cache=cache, frozen_audio=checkpoint.model.audio, is_taught=False),
            dataset=request.dataset,
            device=device,
            precision=run_precision(config.train, device),  # of both, so that rounding does not tell them apart
            num_missing=data.num_missing.get(judge.name, 0),
            progress=around.progress,
        )

    # Each model gets its inputs as it is used to them.
    before = scored(load_checkpoint(Path(request.start)))
    outcome = train()
    after = scored(load_checkpoint(RunDir(request.out).best))
    comparison = compare(before, after, names=("before", "after"))
    return Verdict(
        outcome=outcome,
        split=judge.name,
        before=before,
        after=after,
        comparison=comparison,
        judgement=judged(comparison),
        chose_by_it=judge is splits.chooses,
    )


def _opened(request: RunRequest, config: RunConfig) -> OpenData:
    kept = partial(kept_clips, cache_beside(request.root, request.cache), config.model)
    return open_data(request.dataset, request.root, videos=request.videos, asr=request.asr, kept=kept)

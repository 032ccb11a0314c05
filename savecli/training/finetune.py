"""Fine-tuning on one's own clips, and an honest word on whether it helped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.model.checkpoint import Checkpoint, load_checkpoint
from savecli.model.precision import choose_precision
from savecli.training.compare import Comparison, Difference, compare
from savecli.training.evaluate import evaluate_split
from savecli.training.launch import RunRequest, Surroundings, resolved, start_run
from savecli.training.records import Evaluation
from savecli.training.run_dir import RunDir
from savecli.training.session import cache_beside, open_data, open_source, run_splits
from savecli.training.training_run import Outcome


@dataclass(frozen=True)
class Verdict:
    """What fine-tuning came to.

    Args:
        split: the held-out clips that judged.
        before, after: both models on them.
        is_better: the new model's SumR is higher; whether by more than chance is in `comparison`.
        chose_by_it: the same clips also chose the epoch, as there are no others: its number flatters the new model.
    """

    outcome: Outcome
    split: str
    before: Evaluation
    after: Evaluation
    comparison: Comparison
    is_better: bool
    chose_by_it: bool


def finetune(request: RunRequest, around: Surroundings) -> Verdict:
    """Train a checkpoint further, then compare both on held-out clips.

    Raises:
        UsageError: nothing is held out to judge by, and see `start_run`.
    """
    config = resolved(request)
    data = open_data(request.dataset, request.root, videos=request.videos, asr=request.asr)
    splits = run_splits(data, config.train.select)
    judge = splits.test if splits.test is not None and splits.test.clips else splits.chooses
    if judge is None or not judge.clips:
        raise UsageError(
            "no clips are held out to judge by",
            why="the dataset has neither a test nor a validation split",
            fix="give some rows of the manifest the split `test`, or leave `--select last` out",
        )
    cache = cache_beside(request.root, request.cache)

    def scored(checkpoint: Checkpoint) -> Evaluation:
        device = around.machine.device
        return evaluate_split(
            checkpoint.model.to(device),
            checkpoint.config,
            judge,
            open_source(data, checkpoint.config, cache=cache, is_taught=False),
            dataset=request.dataset,
            device=device,
            precision=choose_precision(device),
            num_missing=data.num_missing.get(judge.name, 0),
            progress=around.progress,
        )

    # Each model gets its inputs as it is used to them.
    before = scored(load_checkpoint(Path(request.start)))
    outcome = start_run(request, around)
    after = scored(load_checkpoint(RunDir(request.out).best))
    comparison = compare(before, after, names=("before", "after"))
    return Verdict(
        outcome=outcome,
        split=judge.name,
        before=before,
        after=after,
        comparison=comparison,
        is_better=sum_of_texts(comparison).difference > 0,
        chose_by_it=judge is splits.chooses,
    )


def sum_of_texts(comparison: Comparison) -> Difference:
    """SumR from captions to clips: what a search gains."""
    return next(item for item in comparison.differences if (item.direction, item.measure) == ("t2v", "SumR"))

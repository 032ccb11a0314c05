"""A run from its folder to its numbers: builds what the loop needs, and scores the test split once at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from savecli.core.errors import SaveError, UsageError
from savecli.core.progress import NoProgress, Progress
from savecli.datasets.base import Split
from savecli.metrics.report import report, sum_of_recalls
from savecli.model.checkpoint import load_checkpoint, save_checkpoint
from savecli.model.precision import Precision, choose_precision
from savecli.model.save_model import SaveModel
from savecli.training.batches import Collator
from savecli.training.config import RunConfig, TrainConfig
from savecli.training.evaluate import evaluate_split
from savecli.training.loader import PairReader
from savecli.training.loop import Parts, Scored, Watch, restored, train
from savecli.training.lora import plain_model
from savecli.training.order import all_pairs, num_steps
from savecli.training.origins import origin_of
from savecli.training.records import ClipSource, Evaluation
from savecli.training.report import ranks_in
from savecli.training.run_dir import Place, RunDir
from savecli.training.updates import Updates
from savecli.training.workers import Workers

_NO_PROGRESS = NoProgress()


@dataclass(frozen=True)
class RunSplits:
    """What a run learns from and is judged by; clips that are not there are left out already, and counted.

    Args:
        chooses: decides which epoch is kept; None keeps the last.
        test: scored once, at the end; None where the dataset has none.
        num_missing: by name of the split.
    """

    dataset: str
    train: Split
    chooses: Split | None
    test: Split | None
    num_missing: dict[str, int]


@dataclass(frozen=True)
class Machine:
    """Where a run computes, and who else takes part."""

    device: torch.device
    workers: Workers
    num_readers: int = 2
    eval_batch_size: int = 32


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        best_epoch: the one that was kept, counted from 0.
        best_score, scores: of it, and of every epoch.
        test: similarities of the test split; None where there is none, and in processes that do not lead.
        num_unreadable: clips to train on that could not be read.
        num_missing: clips of all splits whose files are not there.
        chosen_by: name of the split that chose the epoch; "" where the last was kept.
        dropped: what the annotation files hold of the training split and cannot be used.
    """

    best_epoch: int
    best_score: float | None
    scores: tuple[float, ...]
    test: Evaluation | None
    num_unreadable: int
    num_missing: int = 0
    chosen_by: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)


def run(
    run_dir: RunDir,
    config: RunConfig,
    model: SaveModel,
    splits: RunSplits,
    source: ClipSource,
    *,
    machine: Machine,
    watch: Watch,
    is_resumed: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress = _NO_PROGRESS,
) -> Outcome:
    """Train a model and score it.

    Args:
        model: as it starts, made ready by `prepare_for_training`; what it learns replaces its weights.
        is_resumed: go on from the state in the folder.

    Raises:
        UsageError: the split is smaller than a batch.
        KeyboardInterrupt: it was asked to stop; the state is saved.
        SaveError: see `train`.
    """
    torch.manual_seed(config.train.seed)
    model.to(machine.device)
    parts = _parts(run_dir, config, model, splits, source, machine, watch, should_stop)
    machine.workers.give_all(model.state_dict().values())  # gradients are summed, so all must begin alike
    place = restored(parts, run_dir) if is_resumed else Place()
    with run_dir.writing():
        place = train(parts, place)
    test = None
    with machine.workers.led(machine.device):
        if machine.workers.leads and splits.test is not None:
            best = load_checkpoint(run_dir.best, device=machine.device).model
            test = _scored_split(
                best, config, splits.test, source, splits, machine, parts.precision, progress, should_stop
            )
    return Outcome(
        place.best_epoch,
        place.best_score,
        place.scores,
        test,
        num_unreadable=len(parts.reader.failures),
        num_missing=sum(splits.num_missing.values()),
        chosen_by=splits.chooses.name if splits.chooses is not None else "",
        dropped=splits.train.dropped or {},
    )


def _parts(
    run_dir: RunDir,
    config: RunConfig,
    model: SaveModel,
    splits: RunSplits,
    source: ClipSource,
    machine: Machine,
    watch: Watch,
    should_stop: Callable[[], bool],
) -> Parts:
    settings, workers = config.train, machine.workers
    pairs = all_pairs(splits.train.clips)
    total = check_sizes(settings, splits, workers)
    precision = run_precision(settings, machine.device)

    def evaluate() -> Scored:
        assert splits.chooses is not None
        found = _scored_split(
            model, config, splits.chooses, source, splits, machine, precision, _NO_PROGRESS, should_stop
        )
        return scored(found, config.train.measure)

    def keep() -> None:
        notes = f"trained on {config.dataset} ({splits.train.name}), recipe {settings.recipe}, seed {settings.seed}"
        if settings.select == "peak-test":
            notes += "; its epoch was chosen by the test split, where its numbers are a peak, not an estimate"
        plain, origin = plain_model(model, config.model), origin_of(config, precision)
        save_checkpoint(plain, config.model, run_dir.best, notes=notes, origin=origin, replace=True)

    return Parts(
        config=config,
        model=model,
        updates=Updates(model, settings.optim, num_steps=total),
        reader=PairReader(source, Collator(config.model), pairs, is_pinned=machine.device.type == "cuda"),
        pairs=pairs,
        num_steps=total,
        device=machine.device,
        precision=precision,
        workers=workers,
        run_dir=run_dir,
        evaluate=evaluate if splits.chooses is not None else None,
        keep=keep,
        watch=watch,
        should_stop=should_stop,
        num_readers=machine.num_readers,
    )


def run_precision(settings: TrainConfig, device: torch.device) -> Precision:
    """What a run on this device computes in."""
    return choose_precision(device) if settings.precision == "auto" else settings.precision


def check_sizes(settings: TrainConfig, splits: RunSplits, workers: Workers) -> int:
    """The number of steps of a whole run.

    Raises:
        UsageError: there are too few captions for a batch, or processes cannot share one.
    """
    if settings.batch_size % workers.size:
        raise UsageError(
            f"a batch of {settings.batch_size} cannot be shared by {workers.size} processes",
            why="each must get the same number of pairs",
            fix=f"choose a multiple of {workers.size}: `--set batch_size=N`",
        )
    pairs = all_pairs(splits.train.clips)
    total = num_steps(
        pairs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        num_epochs=settings.num_epochs,
        distinct_clips=settings.distinct_clips,
    )
    if not total:
        num_clips, is_distinct = len({pair.clip.clip_id for pair in pairs}), settings.distinct_clips
        what = "clips" if is_distinct else "captions"
        raise UsageError(
            f"{splits.train.name} has too few {what} for a batch of {settings.batch_size}",
            why=f"it has {len(pairs)} captions of {num_clips} clips"
            + (", and a batch holds no clip twice (`distinct_clips`)" if is_distinct else ""),
            fix=f"make the batch smaller: `--set batch_size={num_clips if is_distinct else len(pairs)}` at most",
        )
    return total


def scored(evaluation: Evaluation, measure: str) -> Scored:
    """The number by which epochs are compared, and what the metrics keep beside it."""
    texts, clips = (report(ranks_in(evaluation, direction)) for direction in ("t2v", "v2t"))
    numbers = {
        "recall_at_1": texts.recall[1],
        "sum_recall": texts.sum_recall,
        "sum_recall_both": sum_of_recalls(texts, clips).value,
        "v2t_recall_at_1": clips.recall[1],
        "mean_rank": texts.mean_rank,
        "split": evaluation.split,
    }
    return Scored(texts.recall[1] if measure == "R@1" else texts.sum_recall, texts.mean_rank, numbers)


def _scored_split(
    model: SaveModel,
    config: RunConfig,
    split: Split,
    source: ClipSource,
    splits: RunSplits,
    machine: Machine,
    precision: Precision,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Evaluation:
    found = evaluate_split(
        model,
        config.model,
        split,
        source,
        dataset=config.dataset,
        device=machine.device,
        precision=precision,
        batch_size=machine.eval_batch_size,
        num_readers=machine.num_readers,
        num_missing=splits.num_missing.get(split.name, 0),
        progress=progress,
        should_stop=should_stop,
    )
    if not np.isfinite(found.similarity).all():
        raise SaveError(
            f"the similarities of {split.name} are not numbers",
            why="the model's weights have diverged",
            fix="train with a lower rate, e.g. `--set optim.lr=5e-5`, or in fp32",
        )
    return found

"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from savecli.core.errors import SaveError
from savecli.model.precision import Precision, products_in
from savecli.model.save_model import SaveModel
from savecli.training.batches import TrainingBatch, on_device
from savecli.training.config import RunConfig, TrainConfig
from savecli.training.loader import PairReader, ahead
from savecli.training.order import Pair, epoch_batches, pairs_digest
from savecli.training.run_dir import Place, RunDir
from savecli.training.step import StepLosses, backward
from savecli.training.updates import Updates
from savecli.training.workers import Workers

# A killed run loses at most this much besides the step it was in.
_SAVE_EVERY_S = 300.0
# Nor is the state, which may be gigabytes, written after every one of many short epochs.
_SAVE_AT_MOST_EVERY_S = 30.0
# What a process may wish for after a step; the largest wish of all is done.
_GO_ON, _SAVE, _STOP = range(3)


@dataclass(frozen=True)
class Scored:
    """What an epoch's evaluation gave.

    Args:
        score: decides which epoch is kept, and of equal ones the lower `mean_rank`.
        numbers: what the metrics keep besides.
    """

    score: float
    mean_rank: float
    numbers: dict[str, Any]


class Watch(Protocol):
    """Sees how training goes; the command line draws it."""

    def begin(self, num_steps: int, num_done: int) -> None:
        """Training starts, or goes on."""

    def step(self, line: dict[str, Any]) -> None:
        """A step is done."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has been evaluated."""


@dataclass(frozen=True)
class Parts:
    """All that the loop works with.

    Args:
        pairs: samples of the training split.
        num_steps: of the whole run.
        evaluate: scores the model after an epoch; None keeps the last epoch.
        keep: writes the model as the best so far.
        should_stop: asked after each step and while scoring; training then ends with `KeyboardInterrupt`, and its
            state is saved.
        num_readers: threads that read batches ahead.
    """

    config: RunConfig
    model: SaveModel
    updates: Updates
    reader: PairReader
    pairs: Sequence[Pair]
    num_steps: int
    device: torch.device
    precision: Precision
    workers: Workers
    run_dir: RunDir
    evaluate: Callable[[], Scored] | None
    keep: Callable[[], None]
    watch: Watch
    should_stop: Callable[[], bool]
    num_readers: int


def train(parts: Parts, place: Place) -> Place:
    """Train from `place` to the end, or until it no longer gets better; the place it ended at.

    Every random decision follows from the seed and the epoch, so a run that goes on from a saved place ends up with
    the same numbers as one that never stopped.

    Raises:
        KeyboardInterrupt: it was asked to stop; the state is saved.
        SaveError: the loss is not finite, no clip can be read, or the disk is full.
    """
    config, workers = parts.config.train, parts.workers
    if not place.num_steps_done:
        _save(parts, place)  # so that a run can be gone on with from its first second
    last_save_s = time.monotonic()
    parts.watch.begin(parts.num_steps, place.num_steps_done)
    while place.epoch < config.num_epochs:
        # Only the process that leads knows the scores; what the others have of them may be from an earlier state.
        has_stalled = workers.leads and _has_stalled(place, config)
        if not workers.all_agree(not has_stalled, parts.device):
            break
        batches = epoch_batches(
            parts.pairs,
            batch_size=config.batch_size,
            seed=config.seed,
            epoch=place.epoch,
            distinct_clips=config.distinct_clips,
        )
        own = [_own_share(batch, workers) for batch in batches[place.step :]]
        parts.model.train()
        start_s = time.perf_counter()
        for batch in ahead(parts.reader.batch, own, num_threads=parts.num_readers):
            waited_s = time.perf_counter() - start_s
            losses, norm, lr = _step(parts, batch)
            place = replace(place, step=place.step + 1, num_steps_done=place.num_steps_done + 1)
            took_s = time.perf_counter() - start_s
            if workers.leads:
                line = _step_line(parts, place, losses, norm=norm, lr=lr, took_s=took_s, waited_s=waited_s)
                parts.run_dir.log(line)
                parts.watch.step(line)
            wish = workers.largest(_wish(parts, last_save_s), parts.device)
            if wish != _GO_ON:
                _save(parts, place)
                last_save_s = time.monotonic()
            if wish == _STOP:
                raise KeyboardInterrupt
            start_s = time.perf_counter()
        last_save_s = _save_if_due(parts, place, last_save_s)  # scoring may take long
        try:
            place = _end_epoch(parts, place)
        except KeyboardInterrupt:
            if workers.size == 1:  # of several, one may have failed, and would not come to the save
                _save(parts, place)
            raise
        last_save_s = _save_if_due(parts, place, last_save_s)
    _save(parts, place)
    return place


def _save_if_due(parts: Parts, place: Place, last_save_s: float) -> float:
    """Keep the state unless that was done a moment ago; when it was done last."""
    is_due = time.monotonic() - last_save_s > _SAVE_AT_MOST_EVERY_S
    if not parts.workers.largest(is_due, parts.device):
        return last_save_s
    _save(parts, place)
    return time.monotonic()


def _step(parts: Parts, batch: TrainingBatch) -> tuple[StepLosses, float, float]:
    """Losses, norm of the gradients, and the rate it was done with."""
    config = parts.config
    chunk_size = config.train.chunk_size or len(batch.captions)
    with products_in(parts.precision):
        losses = backward(
            parts.model,
            on_device(batch, config.model, parts.device),
            chunk_size=chunk_size,
            precision=parts.precision,
            workers=parts.workers,
        )
        lr = parts.updates.lr
        return losses, parts.updates.step(), lr


def _end_epoch(parts: Parts, place: Place) -> Place:
    """Evaluate, keep the model if it is the best, and go to the next epoch's beginning."""
    epoch = place.epoch
    place = replace(place, epoch=epoch + 1, step=0)
    with parts.workers.led(parts.device):
        if not parts.workers.leads:
            return place
        if parts.evaluate is None:
            scored = Scored(float(epoch), 0.0, {})  # the last epoch is the best
        else:
            scored = parts.evaluate()
            place = replace(place, scores=(*place.scores, scored.score))
        is_best = _is_better(scored, place)
        if is_best:
            parts.keep()
            place = replace(
                place,
                best_score=scored.score,
                best_mean_rank=scored.mean_rank,
                best_epoch=epoch,
                best_num_steps_done=place.num_steps_done,
            )
        line = {"kind": "epoch", "epoch": epoch, "score": scored.score, "is_best": is_best, **scored.numbers}
        line["num_unreadable"] = len(parts.reader.failures)
        parts.run_dir.log(line)
        parts.watch.epoch(line)
    return place


def _wish(parts: Parts, last_save_s: float) -> int:
    if parts.should_stop():
        return _STOP
    return _SAVE if time.monotonic() - last_save_s > _SAVE_EVERY_S else _GO_ON


def _save(parts: Parts, place: Place) -> None:
    """Keep the state; every process must come here, as each may have met other clips that cannot be read."""
    failures = parts.reader.failures
    failures.update(parts.workers.joined(failures))
    if not parts.workers.leads:
        return
    cuda = torch.cuda.get_rng_state_all() if parts.device.type == "cuda" else []
    state = {
        "model": parts.model.state_dict(),
        "updates": parts.updates.state(),
        "random": torch.get_rng_state(),
        "cuda_random": cuda,
        "pairs": pairs_digest(parts.pairs),
        "failures": dict(failures),
    }
    parts.run_dir.save_state(place, state)


def restored(parts: Parts, run_dir: RunDir) -> Place:
    """Put a saved state into the model and its optimiser; the place to go on from.

    Raises:
        SaveError: there is no state, it is damaged, or the clips to train on are others than before.
    """
    place, state = run_dir.load_state()
    if state["pairs"] != pairs_digest(parts.pairs):
        raise SaveError(
            f"{run_dir.folder} cannot be gone on with exactly",
            why=f"the clips and captions to train on, now {len(parts.pairs)} pairs, are not those it began with",
            fix="bring the missing files back (is a drive unplugged?), or begin a new run; if an epoch was done, "
            "`--start RUN` begins from the best",
        )
    parts.model.load_state_dict(state["model"])
    parts.updates.load(state["updates"])
    parts.reader.failures.update(state.get("failures", {}))  # not in states of earlier versions
    torch.set_rng_state(state["random"])
    if state["cuda_random"] and parts.device.type == "cuda":
        torch.cuda.set_rng_state_all(state["cuda_random"])
    if parts.workers.leads:
        run_dir.cut_log(place.num_steps_done, place.epoch)
    return place


def _own_share(batch: Sequence[int], workers: Workers) -> Sequence[int]:
    size = len(batch) // workers.size
    return batch[workers.rank * size : (workers.rank + 1) * size]


def has_ended(place: Place, config: TrainConfig) -> bool:
    """Whether nothing is left to train."""
    return place.epoch >= config.num_epochs or _has_stalled(place, config)


def _has_stalled(place: Place, config: TrainConfig) -> bool:
    if not config.patience or place.best_epoch < 0:
        return False
    num_epochs, num_steps = place.epoch - 1 - place.best_epoch, place.num_steps_done - place.best_num_steps_done
    return num_epochs >= config.patience and num_steps >= config.patience_steps


def _is_better(scored: Scored, place: Place) -> bool:
    if place.best_score is None:
        return True
    return (scored.score, -scored.mean_rank) > (place.best_score, -place.best_mean_rank)


def _step_line(
    parts: Parts, place: Place, losses: StepLosses, *, norm: float, lr: float, took_s: float, waited_s: float
) -> dict[str, Any]:
    return {
        "kind": "step",
        "step": place.num_steps_done,
        "epoch": place.epoch,
        "loss": losses.total,
        "contrastive": losses.contrastive,
        "alignment": losses.alignment,
        "audio_gate": losses.audio_gate,
        "speech_gate": losses.speech_gate,
        "grad_norm": norm,
        "lr": lr,
        "logit_scale": float(parts.model.logit_scale.detach().exp()),
        "clips_per_s": parts.config.train.batch_size / took_s,
        "step_s": took_s,
        "wait_s": waited_s,
    }

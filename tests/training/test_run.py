"""Whole runs on clips in memory: learning, stopping, going on exactly, and what may go wrong on the way."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from savecli.core.errors import SaveError, UsageError
from savecli.model.checkpoint import load_checkpoint
from savecli.training.batches import Collator
from savecli.training.config import OptimConfig, RunConfig, TrainConfig
from savecli.training.loader import PairReader
from savecli.training.order import all_pairs
from savecli.training.run_dir import RunData, RunDir
from savecli.training.start import prepare_for_training
from savecli.training.training_run import Machine, Outcome, RunSplits, run
from savecli.training.workers import Workers
from tests.training.random_clips import MemorySource, random_model_of, random_split, small_config
from tests.training.two_processes import run_two

TIMES = ("clips_per_s", "step_s", "wait_s")
DATA = RunData(root="/data")


class Silent:
    """Watches without a word, and counts steps."""

    def __init__(self) -> None:
        self.num_steps = 0

    def begin(self, num_steps: int, num_done: int) -> None:
        self.num_steps = num_done

    def step(self, line: dict[str, Any]) -> None:
        self.num_steps += 1

    def epoch(self, line: dict[str, Any]) -> None:
        return None


def a_run(preset: str = "save-plus", **settings: Any) -> RunConfig:
    optim = OptimConfig(kind="adamw", lr=3e-3, tower_factor=1.0, query_factor=1.0)
    train = TrainConfig(
        batch_size=4,
        num_epochs=3,
        frozen_audio_layers=0,
        frozen_stem=False,
        precision="fp32",
        optim=optim,
        measure="SumR",
    )
    return RunConfig(dataset="random", train=replace(train, **settings), model=small_config(preset))


def splits_of(config: RunConfig, *, num_clips: int = 8) -> tuple[RunSplits, MemorySource]:
    split, source = random_split(config.model, num_clips=num_clips)
    return RunSplits("random", split, split, replace(split, name="test"), {"test": 2}), source


def do_run(
    folder: Path,
    config: RunConfig,
    *,
    is_resumed: bool = False,
    stop_after: int = 0,
    stops: Callable[[int], bool] = lambda _: False,
    workers: Workers | None = None,
    num_clips: int = 8,
    seed: int = 0,
) -> Outcome:
    run_dir, watch, num_asked = RunDir(folder), Silent(), count(1)
    workers = workers or Workers()
    if not is_resumed and workers.leads:
        run_dir.create(config, DATA)
    splits, source = splits_of(config, num_clips=num_clips)
    model = random_model_of(config.model, seed=seed)
    prepare_for_training(model, config.train)
    return run(
        run_dir,
        config,
        model,
        splits,
        source,
        machine=Machine(torch.device("cpu"), workers),
        watch=watch,
        is_resumed=is_resumed,
        should_stop=lambda: 0 < stop_after <= watch.num_steps or stops(next(num_asked)),
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    held = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in held]


def test_a_run_learns_and_leaves_everything_behind(tmp_path: Path) -> None:
    outcome = do_run(tmp_path / "run", a_run(num_epochs=12))
    held = lines(tmp_path / "run")
    steps = [line for line in held if line["kind"] == "step"]
    assert len(steps) == 12 * 4
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
    assert outcome.test is not None
    assert outcome.test.num_missing == 2
    assert outcome.best_score == max(outcome.scores) > outcome.scores[0]
    best = load_checkpoint(tmp_path / "run" / "best")
    assert best.config == a_run().model
    config, data = RunDir(tmp_path / "run").read_config()
    assert (config, data) == (a_run(num_epochs=12), DATA)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["torch"] == torch.__version__


@pytest.mark.parametrize("kind", ["published", "adamw"])
@pytest.mark.parametrize("stop_after", [3, 4, 6])
def test_going_on_equals_never_having_stopped(tmp_path: Path, kind: str, stop_after: int) -> None:
    base = a_run()
    config = replace(base, train=replace(base.train, optim=replace(base.train.optim, kind=kind), chunk_size=2))
    do_run(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "parts", config, stop_after=stop_after)
    outcome = do_run(tmp_path / "parts", config, is_resumed=True)
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    assert outcome.best_score is not None
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "whole/best" / name).read_bytes() == (tmp_path / "parts/best" / name).read_bytes()


@pytest.mark.parametrize("asked", [5, 6])
def test_a_wish_to_stop_is_heard_while_scoring(tmp_path: Path, asked: int) -> None:
    """After the four steps of an epoch, on the validation and on the test split."""
    config = a_run(num_epochs=1)
    do_run(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "parts", config, stops=lambda num_asked: num_asked == asked)
    assert do_run(tmp_path / "parts", config, is_resumed=True).test is not None
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


def test_short_epochs_do_not_each_write_the_state(tmp_path: Path) -> None:
    run_dir, seen = RunDir(tmp_path / "run"), set[int]()

    def noted(_: int) -> bool:
        seen.add(run_dir.load_state()[0].epoch)
        return False

    do_run(run_dir.folder, a_run(num_epochs=5), stops=noted)
    # Before the first step and after the last, at which the test split is scored.
    assert seen == {0, 5}


def test_what_was_logged_after_the_saved_state_is_not_told_twice(tmp_path: Path) -> None:
    do_run(tmp_path / "whole", a_run())
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "killed", a_run(), stop_after=5)
    with (tmp_path / "killed/metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 6, "epoch": 1, "loss": 99}\n{"kind": "st')
    do_run(tmp_path / "killed", a_run(), is_resumed=True)
    assert lines(tmp_path / "whole") == lines(tmp_path / "killed")


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/environment.json").touch()
    RunDir(tmp_path / "run").create(a_run(num_epochs=7), DATA)
    do_run(tmp_path / "run", a_run(num_epochs=1))  # nothing was learned before
    assert RunDir(tmp_path / "run").read_config()[0] == a_run(num_epochs=1)
    with pytest.raises(UsageError, match="is there already") as failed:
        RunDir(tmp_path / "run").create(a_run(), DATA)
    assert "--resume" in failed.value.fix


def test_a_run_does_not_go_on_with_other_clips(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "run", a_run(), stop_after=3)
    with pytest.raises(SaveError, match="cannot be gone on with exactly") as failed:
        do_run(tmp_path / "run", a_run(), is_resumed=True, num_clips=7)
    assert "now 14 pairs" in failed.value.why


@pytest.mark.parametrize("held", ["[]", "{}", '{"format": 1}', '{"format": 1, "dataset": "a", "train": []}'])
def test_a_damaged_config_is_told(tmp_path: Path, held: str) -> None:
    (tmp_path / "config.json").write_text(held)
    with pytest.raises(UsageError, match=r"holds no run|is not as training writes it"):
        RunDir(tmp_path).read_config()


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    do_run(tmp_path / "run", a_run(num_epochs=1))
    (tmp_path / "run/state.pt").write_bytes(b"no state at all")
    with pytest.raises(SaveError, match="cannot go on from") as failed:
        RunDir(tmp_path / "run").load_state()
    assert "it is damaged" in failed.value.why


def test_a_block_of_broken_clips_does_not_repeat_a_neighbour() -> None:
    config = small_config("save-plus")
    split, source = random_split(config, num_clips=40)
    pairs = all_pairs(split.clips)
    readable = MemorySource({clip.clip_id: source.read(clip) for clip in split.clips[20:]})
    reader = PairReader(readable, Collator(config), pairs)
    batch = reader.batch(range(0, 32, 2))
    kinds = {row.tobytes() for row in batch.inputs.pixels.numpy()}
    assert len(kinds) == 16
    assert reader.batch(range(0, 32, 2)).captions.equal(batch.captions)


def test_training_ends_when_it_no_longer_gets_better(tmp_path: Path) -> None:
    config = a_run(num_epochs=9, patience=2)
    still = replace(config, train=replace(config.train, optim=replace(config.train.optim, lr=0.0)))
    outcome = do_run(tmp_path / "run", still)
    assert outcome.best_epoch == 0
    assert len(outcome.scores) == 3
    # The first epoch has four steps, and twenty more are five epochs.
    patient = replace(still, train=replace(still.train, patience_steps=20))
    assert len(do_run(tmp_path / "patient", patient).scores) == 6


def test_of_equal_scores_the_better_mean_rank_wins(tmp_path: Path) -> None:
    config = a_run(num_epochs=6, measure="R@1", optim=OptimConfig(kind="adamw", lr=3e-4, tower_factor=1.0))
    outcome = do_run(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "parts", config, stop_after=10)
    assert do_run(tmp_path / "parts", config, is_resumed=True).best_epoch == outcome.best_epoch
    held = lines(tmp_path / "whole")
    assert held == lines(tmp_path / "parts")
    epochs = [line for line in held if line["kind"] == "epoch"]
    best = min(epochs, key=lambda line: (-line["score"], line["mean_rank"], line["epoch"]))
    assert outcome.best_epoch == best["epoch"]
    assert [line["score"] for line in epochs].index(best["score"]) < best["epoch"]


def test_clips_that_cannot_be_read_are_replaced_and_counted(tmp_path: Path) -> None:
    config = a_run()
    splits, source = splits_of(config)
    gone = MemorySource({name: source.read(clip) for clip in splits.train.clips if (name := clip.clip_id) != "clip3"})
    run_dir = RunDir(tmp_path / "run")
    run_dir.create(config, DATA)
    machine = Machine(torch.device("cpu"), Workers())
    outcome, again = (
        run(
            run_dir,
            config,
            random_model_of(config.model),
            splits,
            gone,
            machine=machine,
            watch=Silent(),
            is_resumed=is_resumed,
        )
        for is_resumed in (False, True)
    )
    assert outcome.num_unreadable == again.num_unreadable == 1
    assert outcome.test is not None
    assert len(outcome.test.clip_ids) == 7
    assert outcome.test.num_missing == 3
    assert len([line for line in lines(tmp_path / "run") if line["kind"] == "step"]) == 12


def test_too_few_clips_and_odd_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few captions for a batch of 64"):
        do_run(tmp_path / "a", a_run(batch_size=64))
    with pytest.raises(UsageError, match="too few clips for a batch of 9") as failed:
        do_run(tmp_path / "c", a_run(batch_size=9, distinct_clips=True))
    assert "16 captions of 8 clips, and a batch holds no clip twice" in failed.value.why
    with pytest.raises(UsageError, match="cannot be shared by 3 processes"):
        do_run(tmp_path / "b", a_run(), workers=Workers(0, 3))


@contextmanager
def full_disk(*, most_bytes: int = 10_000) -> Iterator[None]:
    """No file can grow beyond so many bytes; metrics fit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_state_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        do_run(tmp_path / "run", a_run(), stop_after=3)
    before = (tmp_path / "run/state.pt").read_bytes()
    with full_disk(), pytest.raises(SaveError, match="cannot write to") as failed:
        do_run(tmp_path / "run", a_run(), is_resumed=True)
    assert failed.value.why == "the disk is full: File too large"
    assert "`--resume`: the last saved state is still there" in failed.value.fix
    assert (tmp_path / "run/state.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_disk_that_is_full_from_the_first_save_on_leaves_nothing_to_go_on_with(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(SaveError, match="cannot write to") as failed:
        do_run(tmp_path / "run", a_run())
    assert failed.value.why == "the disk is full: File too large"
    assert "begin anew" in failed.value.fix


def test_a_disk_that_fills_up_before_the_best_checkpoint_is_told_alike(tmp_path: Path) -> None:
    config = a_run(num_epochs=1)
    do_run(tmp_path / "whole", config)
    with ExitStack() as limits:

        def fill_while_scoring(num_asked: int) -> bool:
            if num_asked == 5:
                limits.enter_context(full_disk())
            return False

        with pytest.raises(SaveError, match="cannot write to") as failed:
            do_run(tmp_path / "run", config, stops=fill_while_scoring)
    assert failed.value.why == "the disk is full: File too large"
    assert not list((tmp_path / "run").glob("*best*"))
    do_run(tmp_path / "run", config, is_resumed=True)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    do_run(tmp_path / "one", a_run(lora_rank=2))
    run_two(__file__, tmp_path / "two")
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert len(one) == len(two)
    for left, right in zip(one, two, strict=True):
        for name in ("loss", "grad_norm", "score"):
            if name in left:
                assert left[name] == pytest.approx(right[name], rel=2e-3)
    # A score that got better only after going on counts as one that did so before.
    assert lines(tmp_path / "broken") == lines(tmp_path / "patient")
    assert [line["is_best"] for line in lines(tmp_path / "patient") if line["kind"] == "epoch"][:2] == [True, True]


def interrupted_leader(workers: Workers) -> None:
    with workers.led(torch.device("cpu")):
        if workers.leads:
            raise KeyboardInterrupt


def main(folder: Path) -> None:
    """What each of the two processes does."""
    from savecli.training.workers import joined_workers

    lost = pytest.raises(SaveError, match="another of the processes that train together has ended")
    with lost, joined_workers(torch.device("cpu")) as workers:
        assert workers.joined({f"clip{workers.rank}": "gone"}) == {"clip0": "gone", "clip1": "gone"}
        with pytest.raises(KeyboardInterrupt):
            interrupted_leader(workers)
        do_run(folder, a_run(lora_rank=2), workers=workers, seed=workers.rank)  # they must begin as the first does
        patient, broken = a_run(num_epochs=5, patience=1), folder.with_name("broken")
        do_run(folder.with_name("patient"), patient, workers=workers)
        with pytest.raises(KeyboardInterrupt):
            do_run(broken, patient, workers=workers, stop_after=5)
        do_run(broken, patient, workers=workers, is_resumed=True)
        if not workers.leads:
            os._exit(0)  # as one that is killed
        workers.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

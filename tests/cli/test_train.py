"""`save train` and `save finetune` as real commands on a little drawn world: killed, gone on with, refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from savecli.cli.main import save as commands
from savecli.cli.train import stop_asked, stopped_told
from savecli.cli.train_view import SilentWatch
from savecli.cli.world import WorldSize, make_drawn_world
from savecli.core.errors import UsageError
from savecli.core.progress import NoProgress
from savecli.model.hub import Hub
from savecli.model.open_checkpoint import checkpoint_folder
from savecli.training.finetune import finetune
from savecli.training.launch import RunRequest, Surroundings
from savecli.training.seeds import keep_seeds, kept_seeds, seed_runs
from savecli.training.training_run import Machine
from savecli.training.workers import Workers
from tests.cli.conftest import Save

QUICK = ("--set", "batch_size=16", "--set", "precision=fp32")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn world of a hundred clips."""
    folder = tmp_path_factory.mktemp("drawn") / "world"
    make_drawn_world(folder, NoProgress(), size=WorldSize(seed=3, num_train=54, num_val=18, num_test=18))
    return folder


def steps(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("step", "loss", "grad_norm")} for line in lines if line["kind"] == "step"]


def test_a_killed_run_goes_on_to_what_an_unbroken_one_gives(save: Save, world: Path, tmp_path: Path) -> None:
    command = ("train", "--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=4", "--json")
    # A process as well: where other tests have run torch is not as it starts, and the numbers are compared to the bit.
    whole = save(*command, "--out", tmp_path / "whole")
    process = save.start(*map(str, command), "--out", str(tmp_path / "killed"))
    metrics = tmp_path / "killed/metrics.jsonl"
    deadline = time.monotonic() + 60
    # Beyond the first epoch, whose end saved a state, and within the second.
    while time.monotonic() < deadline and not (metrics.exists() and metrics.read_text().count('"kind": "step"') > 13):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed/report.json").exists()
    resumed = save("train", "--resume", tmp_path / "killed", "--json")
    assert steps(tmp_path / "killed") == steps(tmp_path / "whole")
    assert resumed.json["results"] == whole.json["results"]
    name = "best/model.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    copied = shutil.copytree(tmp_path / "killed/best", tmp_path / "copied")
    scored = save.within("eval", "--checkpoint", copied, "--dataset", "synthetic", "--root", world, "--json")
    assert scored.json["results"][0]["rows"] == whole.json["results"][0]["rows"][:2]
    assert scored.json["selection"] == "trained on synthetic, epoch chosen by validation clips"
    assert scored.json["precision"] == whole.json["precision"] == "fp32"


def test_a_request_to_end_saves_first(save: Save, world: Path, tmp_path: Path) -> None:
    command = ("train", "--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=400")
    process = save.start(*map(str, command), "--out", str(tmp_path / "run"))
    metrics = tmp_path / "run/metrics.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (metrics.exists() and '"kind": "epoch"' in metrics.read_text()):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"Stopped. Go on with `save train --resume {tmp_path / 'run'}`." in said
    assert "Traceback" not in said
    drawn = ("--dataset", "synthetic", "--root", world)
    scored = invoked("eval", "--checkpoint", tmp_path / "run", *drawn, "--json")
    assert "the run is not finished (epoch " in json.loads(scored.stdout)["selection"]


def test_what_was_stopped_tells_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), stopped_told("finetune", tmp_path):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""  # there is nothing to go on with
    request = RunRequest(dataset="lsmdc", root=Path("data"), out=tmp_path / "runs")
    keep_seeds(request, seed_runs(request, 2))
    with pytest.raises(click.exceptions.Exit), stopped_told("train", request.out):
        raise KeyboardInterrupt
    assert f"`save train --resume {request.out}`" in capsys.readouterr().err


def test_the_documented_command_trains_in_two_processes(save: Save, world: Path, tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--", "savecli"]
    short = shutil.copytree(world, tmp_path / "world", ignore=shutil.ignore_patterns("cache"))  # it would hold the clip
    next((short / "videos").glob("test*")).unlink()
    drawn = ["train", "--dataset", "synthetic", "--root", str(short), *QUICK, "--set", "num_epochs=1", "--json"]
    done = subprocess.run(
        [sys.executable, *launch, *drawn, "--start", "scratch", "--seeds", "2", "--out", str(tmp_path / "two")],
        env=save.environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        timeout=240,
    )
    # A code of its own for the missing clip would be a crash to torchrun.
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["about"]["num_clips"] == 17
    assert json.loads((tmp_path / "two/seed0/report.json").read_text())["num_missing_in_all"] == 1
    one = save.within(*drawn, "--out", tmp_path / "one", code=3)
    told, known = (steps(tmp_path / name)[0]["loss"] for name in ("two/seed0", "one"))
    assert told == pytest.approx(known, rel=1e-3)
    assert one.json["num_clips"] == 17


def test_a_second_signal_ends_at_once_also_if_it_is_another() -> None:
    with stop_asked() as should_stop:
        signal.raise_signal(signal.SIGINT)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_going_on_takes_no_other_setting(world: Path, tmp_path: Path) -> None:
    for option in (("--set", "batch_size=2"), ("--seed", 77), ("--dataset", "lsmdc")):
        assert f"--resume and {option[0]}" in refused("train", "--resume", tmp_path, *option)


def test_mistakes_are_told_before_anything_is_written(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    drawn = ("--dataset", "synthetic", "--root", world)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a").touch()
    for arguments, said in (
        (("--dataset", "lsmdcc", "--root", world), "lsmdc"),
        (("--dataset", "lsmdc", "--root", world), "holds no split of lsmdc"),
        ((*drawn, "--preset", "savee"), "no preset `savee`"),
        ((*drawn, "--set", "optim.lrr=1"), "`optim.lr`"),
        ((*drawn, "--set", "batch_size=100000"), "too few clips"),
        (("--root", world), "--dataset is missing"),
        (("--resume", tmp_path / "there"), "holds no run"),
    ):
        assert said in refused("train", *arguments, *(() if arguments[0] == "--resume" else ("--out", out)))
        assert not out.exists()
    assert "--resume" in refused("train", *drawn, "--out", tmp_path / "there")


def test_fine_tuning_tells_whether_it_helped(world: Path, tmp_path: Path) -> None:
    drawn = ("--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=1")
    invoked("train", *drawn, "--out", tmp_path / "base")
    still = invoked("finetune", tmp_path / "base", *drawn, "--set", "optim.lr=0", "--out", tmp_path / "still", code=1)
    assert "Cannot tell whether it is better" in still.stderr
    assert "Judged by 18 clips, which can show only a large difference" in still.stderr
    assert f"the new one is {tmp_path / 'still/best'}" in still.stderr
    assert still.stdout == ""
    lora = invoked("finetune", tmp_path / "base", *drawn, "--lora", 2, "--out", tmp_path / "lora", "--json", code=None)
    told = json.loads(lora.stdout)
    assert (told["verdict"] == "better") == told["is_better"] == (lora.return_value == 0)
    assert told["path"] == str(tmp_path / "lora/best")


def test_a_stopped_fine_tuning_goes_on_to_its_verdict(world: Path, tmp_path: Path) -> None:
    drawn = ("--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=2")
    whole = invoked("finetune", "tiny-world", *drawn, "--out", tmp_path / "whole", "--json", code=None)
    request = RunRequest(
        dataset="synthetic",
        root=world,
        out=tmp_path / "stopped",
        start=str(checkpoint_folder("tiny-world")),
        recipe="small",
        settings=("model.loss.alignment=null", *QUICK[1::2], "num_epochs=2"),
    )
    around = Surroundings(Machine(torch.device("cpu"), Workers()), Hub(offline=True), SilentWatch(), lambda: True)
    with pytest.raises(KeyboardInterrupt):
        finetune(request, around)
    there = refused("finetune", "tiny-world", *drawn, "--out", tmp_path / "stopped")
    assert f"--resume {tmp_path / 'stopped'}" in there
    resumed = invoked("finetune", "--resume", tmp_path / "stopped", "--json", code=None)
    assert json.loads(resumed.stdout)["differences"] == json.loads(whole.stdout)["differences"]
    assert json.loads((tmp_path / "whole/config.json").read_text())["train"]["num_epochs"] == 2
    to_finetune = f"save finetune --resume {tmp_path / 'stopped'}"
    assert to_finetune in refused("train", "--resume", tmp_path / "stopped")
    config = tmp_path / "stopped/config.json"
    config.write_text(config.read_text().replace('"is_finetuning": true', '"is_finetuning": false'))  # as once
    assert to_finetune in invoked("train", "--resume", tmp_path / "stopped").stderr
    assert "--resume and --set" in refused("finetune", "--resume", tmp_path / "stopped", "--set", "num_epochs=3")
    assert "CHECKPOINT is missing" in refused("finetune", "--out", tmp_path / "none")


def test_fine_tuning_takes_twenty_clips(world: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (world / "manifest.jsonl").read_text().splitlines()]
    clips = {row["video"]: row["caption"] for row in rows}
    lines = [json.dumps({"video": video, "caption": text}) for video, text in list(clips.items())[:20]]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    few = ("--root", tmp_path / "mine.jsonl", "--videos", world, "--out", tmp_path / "few")
    still = ("--set", "optim.lr=0", "--set", "patience=1", "--set", "patience_steps=0")
    done = invoked("finetune", "tiny-world", *few, *still, code=1)
    settings = json.loads((tmp_path / "few/config.json").read_text())["train"]
    assert (settings["batch_size"], settings["num_epochs"]) == (16, 200)
    assert "Nothing moved" in done.stderr
    assert "--set optim.tower_factor=1" in done.stderr
    assert "Judged by 2 clips, which can show nothing" in done.stderr
    assert "Cannot tell" in done.stderr


def test_several_seeds_give_mean_and_deviation(world: Path, tmp_path: Path) -> None:
    drawn = ("--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=1")
    # What is refused can be asked for again.
    assert "`seed` is -1" in refused("train", *drawn, "--seeds", 2, "--seed", -1, "--out", tmp_path / "runs")
    done = invoked(
        "train",
        *drawn,
        "--tensorboard",
        "--seeds",
        2,
        "--preset",
        "clip4clip-meanp",
        "--out",
        tmp_path / "runs",
        "--json",
    )
    told = json.loads(done.stdout)
    assert told["num_seeds"] == 2
    mean, deviation = told["mean_and_deviation"]["text to video"]["SumR"]
    assert 0 <= mean <= 300
    assert deviation >= 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"seed0", "seed1", "seeds.json", "report.json"}
    assert list((tmp_path / "runs/seed0/tensorboard").glob("events.*"))
    # As after a kill before the second run's first save.
    for path in (tmp_path / "runs/seed1").iterdir():
        if path.name not in ("config.json", "environment.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "ended before its first save" in refused("train", "--resume", tmp_path / "runs/seed1")
    (tmp_path / "runs/report.json").unlink()
    again = invoked("train", "--resume", tmp_path / "runs", "--json")
    assert json.loads(again.stdout) == told == json.loads((tmp_path / "runs/report.json").read_text())
    assert "--resume" in refused("train", *drawn, "--seeds", 2, "--out", tmp_path / "runs")
    for one in (("finetune", "--resume"), ("train", *drawn, "--out", tmp_path / "new", "--start")):
        assert f"several seeds: one is asked for name one: `{tmp_path}/runs/seed0`" in refused(*one, tmp_path / "runs")


def test_what_several_seeds_read_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = RunRequest(dataset="lsmdc", root=Path("data"), out=tmp_path / "runs", clip="clip:ViT-B-32=here.pt")
    keep_seeds(request, seed_runs(request, 1))
    assert [(run.root, run.clip) for run in kept_seeds(request.out) or ()] == [
        (tmp_path / "data", f"clip:ViT-B-32={tmp_path}/here.pt")
    ]


def test_a_run_starts_from_whatever_names_a_checkpoint(world: Path, tmp_path: Path) -> None:
    drawn = ("--dataset", "synthetic", "--root", world, *QUICK, "--set", "num_epochs=1", "--set", "optim.lr=0")
    invoked("train", *drawn, "--start", "tiny-world", "--out", tmp_path / "first")
    invoked("train", *drawn, "--start", tmp_path / "first", "--out", tmp_path / "second")
    first, second = (load_file(tmp_path / name / "best/model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def invoked(*arguments: object, code: int | None = 0) -> Result:
    """The command within this process, as loading torch anew takes longer than all it does here."""
    done = CliRunner().invoke(commands, [str(item) for item in arguments], standalone_mode=False)
    assert done.exception is None, done.stderr
    assert code is None or (done.return_value or 0) == code, done.output
    return done


def refused(*arguments: object) -> str:
    """What a command says that is called wrongly."""
    done = CliRunner().invoke(commands, [str(item) for item in arguments], standalone_mode=False)
    assert isinstance(done.exception, UsageError), done.output
    return f"{done.exception} {done.exception.fix}"

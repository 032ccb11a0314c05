"""Each dataset in miniature, in the layout people have it in, through the commands: trained on, evaluated, verified.

The commands run within the test's process, since loading torch anew for each would take minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from savecli.cli.main import save
from savecli.datasets.expected import EXPECTED
from savecli.datasets.registry import DATASETS, find_dataset
from tests.datasets.miniature import make_miniature

REAL = [name for name in DATASETS if name != "synthetic"]
SMALL = ("--preset", "tiny", "--start", "scratch", "--set", "batch_size=2", "--set", "num_epochs=1")
SPLITS = ("train", "test")
UNALIGNED = ("--set", "model.loss.alignment=null")


def invoked(*arguments: str | Path, code: int = 0) -> Result:
    done = CliRunner().invoke(save, [str(item) for item in arguments], standalone_mode=False)
    assert done.exception is None, done.stderr
    assert (done.return_value or 0) == code, done.output
    return done


@pytest.mark.parametrize("name", REAL)
def test_trains_and_evaluates(tmp_path: Path, name: str) -> None:
    root = make_miniature(name, tmp_path / "data")
    dataset = find_dataset(name).read(root)
    trained = invoked(
        "train", "--dataset", name, "--root", root, "--out", tmp_path / "run", *SMALL, *UNALIGNED, "--json"
    )
    split = "test" if dataset.test is not None else "val"
    scored = invoked(
        "eval", "--checkpoint", tmp_path / "run", "--dataset", name, "--root", root, "--split", split, "--json"
    )
    told = json.loads(scored.stdout)
    expected = getattr(dataset, split)
    assert told["dataset"] == name
    assert told["split"] == expected.name
    assert told["num_clips"] == len(expected.clips)
    assert told["num_captions"] == expected.num_captions
    assert told["num_missing"] == 0
    # No miniature has the published size.
    code = 3 if name in EXPECTED else 0
    verified = invoked("data", "verify", name, "--root", root, "--decode", "--json", code=code)
    splits = json.loads(verified.stdout)["splits"]
    assert [(part["num_clips"], part["num_found"], part["missing"], part["undecodable"]) for part in splits] == [
        (len(part.clips), len(part.clips), [], {}) for part in dataset.splits
    ]
    if dataset.test is not None:
        report = json.loads((tmp_path / "run/report.json").read_text())
        counts = {"num_missing_in_all": 0, "num_unreadable_in_training": 0}
        assert report == {
            **json.loads(trained.stdout),
            **counts,
            "dropped_in_training": dict(dataset.train.dropped or {}) if dataset.train is not None else {},
        }
        assert report["dropped"] == told["dropped"] == dict(expected.dropped or {})
        judges = "the validation split" if dataset.val is not None else "`held out of "
        assert judges in report["selection"]
        # The run ended with what its best checkpoint reaches when it is asked again.
        assert report["results"][0]["rows"][:2] == told["results"][0]["rows"][:2]


def test_what_annotations_hold_and_cannot_be_used_is_told(tmp_path: Path) -> None:
    root = make_miniature("manifest", tmp_path / "data")
    table = root / "manifest.csv"
    header, *rows = table.read_text().splitlines()
    columns = header.split(",")
    rows += [
        ",".join({"video": f"blank-{split}.mp4", "split": split}.get(name, "") for name in columns) for split in SPLITS
    ]
    table.write_text("\n".join([header, *rows]) + "\n")
    trained = invoked("train", "--dataset", "manifest", "--root", root, "--out", tmp_path / "run", *SMALL, *UNALIGNED)
    lost = "of the annotations left out: 1 × empty caption"
    assert f"train: {lost}" in trained.stderr
    assert lost in trained.stdout
    scored = invoked("eval", "--checkpoint", tmp_path / "run", "--dataset", "manifest", "--root", root, "--csv")
    assert "1 × empty caption" in scored.stdout
    assert json.loads((tmp_path / "run/report.json").read_text())["dropped_in_training"]["empty caption"] == 1


def test_what_is_wrong_with_the_data_comes_before_what_the_loss_needs(tmp_path: Path) -> None:
    root = make_miniature("lsmdc", tmp_path / "data")
    for name, found in (
        ("foo", "no dataset"),
        ("msvd", "captions_msvd.json is not there"),
        ("lsmdc", "needs a teacher"),
    ):
        options = ("--dataset", name, "--root", root, "--out", tmp_path / "run", "--set", "batch_size=2")
        done = CliRunner().invoke(save, ["train", *map(str, options)], standalone_mode=False)
        assert found in str(done.exception)
    done = invoked("train", "--dataset", "lsmdc", "--root", root, "--out", tmp_path / "run", *SMALL, *UNALIGNED)
    assert "the towers begin at random and learn at 1e-07" in done.stderr


def test_lost_videos_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    dataset = find_dataset("vatex").read(make_miniature("vatex", tmp_path / "plan"))
    assert dataset.test is not None
    lost = [dataset.test.clips[0].clip_id]
    root = make_miniature("vatex", tmp_path / "data", lost=lost)
    done = invoked("train", "--dataset", "vatex", "--root", root, "--out", tmp_path / "run", *SMALL, *UNALIGNED, code=3)
    assert f"1 of {len(dataset.test.clips)} clips are missing, left out" in done.stderr
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["num_missing"] == 1
    assert report["num_clips"] == len(dataset.test.clips) - 1

"""The model that comes with the package: small, labelled, and good at the one world it knows."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from savecli.cli.world import WorldSize, make_drawn_world
from savecli.core.progress import NoProgress
from tests.cli.conftest import Save


def test_it_is_small_and_says_what_it_is_for() -> None:
    folder = Path(str(resources.files("savecli.model") / "tiny_world"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 15e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "for the drawn world only" in card
    assert "--seed 0" in card


def test_it_finds_new_clips_of_the_drawn_world(save: Save, tmp_path: Path) -> None:
    """A world of a seed unlike any in training; scenes of its test split were in no training split of any seed."""
    world = tmp_path / "world"
    make_drawn_world(world, NoProgress(), size=WorldSize(seed=99, num_train=0, num_val=0, num_test=99))
    done = save.within(
        "eval", "--checkpoint", "tiny-world", "--dataset", "synthetic", "--root", world, "--by", "speech", "--json"
    )
    assert "knows the drawn world only" in done.err
    rows = {(row["direction"], row["group"]): row for row in done.json["results"][0]["rows"]}
    assert done.json["num_clips"] == 99
    assert done.json["precision"] == "fp32"  # as in its card's numbers, whatever the machine is fast in
    # Chance is 1 of 99; by sight alone sound and speech cannot be told from two others.
    assert rows["t2v", None]["recall_at_1"] > 30
    for group in ("vision", "sound", "speech"):
        assert rows["t2v", group]["recall_at_1"] > 20, json.dumps(rows["t2v", group])


def test_nothing_is_lost_between_the_model_and_an_archive_of_it(save: Save, tmp_path: Path) -> None:
    """R@1 of an archive's vectors is that of the model itself on the same clips and captions."""
    world = tmp_path / "world"
    make_drawn_world(world, NoProgress(), size=WorldSize(seed=98, num_train=0, num_val=0, num_test=27))
    rows = [json.loads(line) for line in (world / "manifest.jsonl").read_text().splitlines()]
    labels = tmp_path / "labels.tsv"
    labels.write_text("".join(f"{row['caption']}\t{Path(row['video']).name}\n" for row in rows))
    save.within("index", world / "videos", "--encoder", "tiny-world", "--speech", "subtitles")
    archived = save.within("eval", "--queries", labels, "--json").json
    model = save.within("eval", "--checkpoint", "tiny-world", "--dataset", "synthetic", "--root", world, "--json").json
    by_evidence = {score["evidence"]: score for score in archived["scores"]}
    assert abs(by_evidence["matched"]["recall_at_1"] - model["results"][0]["rows"][0]["recall_at_1"]) <= 3

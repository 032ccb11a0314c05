"""`save eval --queries` on real archives: numbers per kind of evidence, and what is said of bad lines."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from savecli.cli.eval import evaluate
from savecli.core.errors import SaveError
from tests.cli.conftest import Library, Save
from tests.make_clip import make_tiny_clip


def run(*arguments: object) -> Result:
    """The command in this process; its exit code is `return_value`."""
    return CliRunner().invoke(evaluate, list(map(str, arguments)), standalone_mode=False)


def refused(*arguments: object) -> str:
    """All three parts of the error."""
    error = run(*arguments).exception
    assert isinstance(error, SaveError)
    return f"{error.what} | {error.why} | {error.fix}"


@pytest.fixture
def talks(save: Save, library: Library) -> Save:
    library.add("neurology.mp4", "well|stiff person syndrome|is a rare disease", duration_s=4)
    library.add("cooking.mp4", "boil the potatoes|for twenty minutes", duration_s=30, rate_hz=5)
    library.add("ferry.mp4", "", duration_s=2)
    save.index(library.folder)
    return save


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.tsv"
    path.write_text(
        "query\tvideo\tstart\tend\n"
        "stiff person\tneurology.mp4\t0\t4\n"
        "twenty minutes\tcooking.mp4\t10\t40\n"
        "ferry\tferry.mp4\n"
        "stiff potatoes\tcooking.mp4\n"
        "stiff potatoes\tneurology.mp4\n",
        encoding="utf-8",
    )
    return path


def scores(result: Result) -> dict[str, dict[str, Any]]:
    return {score["evidence"]: score for score in json.loads(result.stdout)["scores"]}


def test_each_kind_of_evidence_and_all_together(talks: Save, labels: Path) -> None:
    result = run("--archive", talks.archive, "--queries", labels, "--json")
    assert result.return_value == 0, result.exception
    document = json.loads(result.stdout)
    assert (document["num_videos"], document["num_queries"], document["num_with_spans"]) == (3, 4, 2)
    found = scores(result)
    assert list(found) == ["said", "named", "all"]
    assert found["said"]["recall_at_1"] == 75
    assert found["named"]["recall_at_1"] == 25
    assert found["all"]["recall_at_1"] == 100
    assert (found["said"]["reciprocal_rank"], found["all"]["reciprocal_rank"]) == (0.75, 1)
    # The moment of the talk is all of it; that of cooking is its first clip of 15 s, 5 s of 40 in common.
    assert found["said"]["moment_recall_at_iou_0.3"] == 50
    assert found["named"]["moment_recall_at_iou_0.5"] == 0


def test_sight_is_scored_where_the_archive_has_it(save: Save, library: Library, tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        library.add(f"{colour}.mp4", scenes=(colour,))
    save.index(library.folder, "--encoder", make_tiny_clip(tmp_path / "clip"))
    (tmp_path / "labels.tsv").write_text("something red\tred.mp4\nsomething blue\tblue.mp4\n")
    result = run("--archive", save.archive, "--queries", tmp_path / "labels.tsv", "--json")
    found = scores(result)
    assert list(found) == ["seen", "named", "all"]
    assert found["seen"]["recall_at_5"] == 100
    assert "moment_recall_at_iou_0.3" not in found["seen"]


def test_bad_lines_are_told_and_exit_with_3(talks: Save, tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("potatoes\tcooking.mp4\npotatoes\tcoking.mp4\nno video\n")
    result = run("--archive", talks.archive, "--queries", path)
    assert result.return_value == 3
    assert "line 2: no video `coking.mp4` in the archive; did you mean `cooking.mp4`?" in result.stderr
    assert "line 3: 1 columns" in result.stderr
    assert "1 query · 2 lines left out" in result.stdout
    path.write_text("potatoes\tcoking.mp4\n")
    assert "no query in" in refused("--archive", talks.archive, "--queries", path)


def test_the_forms_hold_the_same_numbers(talks: Save, labels: Path) -> None:
    def form(*flags: str) -> str:
        return run("--archive", talks.archive, "--queries", labels, *flags).stdout

    (said, *_) = csv.DictReader(io.StringIO(form("--csv")))
    assert (said["evidence"], said["recall_at_1"], said["num_queries"]) == ("said", "75.0", "4")
    plain = form().splitlines()
    assert plain[-3].split() == ["said", "75.0", "75.0", "75.0", "0.750", "50.0", "50.0"]
    assert "| said | 75.0 | 75.0 | 75.0 | 0.750 | 50.0 | 50.0 |" in form("--markdown")


def test_a_bare_archive_is_the_one_that_is_taken_without_it(
    talks: Save, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAVE_ARCHIVE", str(talks.archive))
    bare = run("--archive", "--queries", labels, "--json")
    assert bare.return_value == 0, bare.exception
    assert json.loads(bare.stdout)["archive"] == str(talks.archive)


def test_options_that_do_not_go_together(talks: Save, labels: Path) -> None:
    assert "--dataset and --queries do not go together" in refused("--queries", labels, "--dataset", "lsmdc")
    for given in ("--plot=a.png", "--out=a.npz", "--by=speech", "--post=dsl", "--split=val", "--ties=strict"):
        assert f"{given.partition('=')[0]} and --queries do not go together" in refused("--queries", labels, given)
    assert "--archive needs labelled queries" in refused("--archive", talks.archive)
    assert "there is nothing to evaluate" in refused()
    assert "there is no archive" in refused("--archive", "/nowhere/x.save", "--queries", labels)

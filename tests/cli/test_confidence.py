"""What an archive does not hold is not found, and what it holds is: the model of the package on clips new to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from savecli.cli.world import WorldSize, make_drawn_world
from savecli.core.progress import NoProgress
from tests.cli.conftest import Save


@dataclass
class Drawn:
    """An archive of 27 clips of the drawn world; `captions` by file name."""

    save: Save
    captions: dict[str, str]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    top = tmp_path_factory.mktemp("drawn")
    (top / "home").mkdir()
    save = Save(top / "home", top / "test.save")
    make_drawn_world(top / "world", NoProgress(), size=WorldSize(seed=97, num_train=0, num_val=0, num_test=27))
    rows = [json.loads(line) for line in (top / "world" / "manifest.jsonl").read_text().splitlines()]
    save.index(top / "world" / "videos", "--encoder", "tiny-world")
    return Drawn(save, {Path(row["video"]).name: row["caption"] for row in rows})


@pytest.mark.parametrize("query", ["stiff person syndrome", "a goalkeeper's save"])
def test_what_is_not_there_exits_1(drawn: Drawn, query: str) -> None:
    outcome = drawn.save("query", query, code=1)
    assert outcome.out == ""
    assert "no confident match" in outcome.err.lower()


def test_what_is_there_is_found(drawn: Drawn) -> None:
    asked = list(drawn.captions.items())[::6]
    found = [name in {Path(hit["path"]).name for hit in drawn.save.videos(caption)} for name, caption in asked]
    assert sum(found) >= 0.7 * len(asked), list(zip(asked, found, strict=True))


def test_a_background_of_an_older_form_is_missing_and_made_again(drawn: Drawn) -> None:
    (path,) = drawn.save.archive.glob("background_*.npz")
    with np.load(path) as data:
        held = dict(data)
    del held["version"]
    np.savez(path, **held)
    caption = next(iter(drawn.captions.values()))
    assert drawn.save.videos(caption, "--see") == []
    drawn.save.index()
    with np.load(path) as data:
        assert np.allclose(data["best_seen"], held["best_seen"], atol=1e-4)
    assert drawn.save.videos(caption, "--see")

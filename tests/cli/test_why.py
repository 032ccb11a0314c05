"""`save why` and `save query --explain`: what is shown adds up to what was ranked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from savecli.cli.world import WorldSize, make_drawn_world
from savecli.core.progress import NoProgress
from tests.cli.conftest import Library, Save


@dataclass
class Drawn:
    """An archive of the drawn world, by the model that knows it. Tests only read it."""

    save: Save
    captions: list[dict[str, str]]

    def hits(self, group: str) -> list[tuple[str, dict[str, Any]]]:
        """For each caption of a group its video's name and best moment, of those whose video is found first."""
        lines = "".join(f"{row['caption']}\n" for row in self.captions if row["group"] == group)
        videos = [Path(row["video"]).name for row in self.captions if row["group"] == group]
        done = self.save.piped(lines, "--json", "--all", "--limit", "1")
        answers = [json.loads(line)["videos"][0] for line in done.out.splitlines()]
        return [
            (name, hit["moments"][0])
            for name, hit in zip(videos, answers, strict=True)
            if Path(hit["path"]).name == name
        ]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    top = tmp_path_factory.mktemp("drawn")
    (top / "home").mkdir()
    make_drawn_world(top / "world", NoProgress(), size=WorldSize(seed=96, num_train=0, num_val=0, num_test=18))
    save = Save(top / "home", top / "test.save")
    save.index(top / "world/videos", "--encoder", "tiny-world")
    rows = [json.loads(line) for line in (top / "world/manifest.jsonl").read_text().splitlines()]
    return Drawn(save, rows)


def test_what_is_shown_adds_up_to_what_was_ranked(drawn: Drawn) -> None:
    (row, *_) = [row for row in drawn.captions if row["group"] == "speech"]
    shown = drawn.save.within("query", row["caption"], "--all", "--json").json["videos"][0]["moments"][0]
    moment = drawn.save.within("why", "1", "--json").json["videos"][0]["moments"][0]
    explained = moment.pop("explanation")
    assert moment == shown
    assert sum(part["score"] for part in explained["parts"]) * explained["gain"] == pytest.approx(moment["score"])
    assert {part["evidence"]: part["rank"] for part in explained["parts"]} == {
        name: rank for name, rank in moment["ranks"].items() if rank
    }
    similarity = explained["similarity"]
    assert similarity["logit"] == pytest.approx(moment["logit"], abs=1e-3)
    assert similarity["logit"] == pytest.approx((similarity["pooled_logit"] + similarity["frames_logit"]) / 2, abs=1e-5)
    senses = similarity["senses"]
    assert sum(sense["cosine"] for sense in senses.values()) == pytest.approx(similarity["cosine"], abs=1e-5)
    assert {name: sense["share"] for name, sense in senses.items()} == moment["shares"]
    assert all(-1 <= gate <= 1 for sense in senses.values() for layer in sense["gates"] for gate in layer)
    assert moment["start_s"] <= similarity["frame"]["time_s"] < moment["end_s"]
    assert similarity["frame"]["number"] <= similarity["frame"]["num_frames"]


def test_a_person_sees_the_same(drawn: Drawn) -> None:
    (row, *_) = [row for row in drawn.captions if row["group"] == "sound"]
    plain = drawn.save.within("query", row["caption"], "--all", "--limit", "1").out
    explained = drawn.save.within("query", row["caption"], "--all", "--limit", "1", "--explain").out
    assert explained.startswith(plain)
    assert drawn.save.within("why", "1").out == explained
    labels = [line.split()[0] for line in explained.removeprefix(plain).splitlines()]
    assert [label for label in labels if label not in ("said", "missing", "name")] == (
        ["score", "matched", "cosine", "seen", "heard", "logit", "frame"]
    )
    numbers = [line[: line.index(line.split()[1]) + len(line.split()[1])] for line in explained.splitlines()[-3:]]
    assert len({len(number) for number in numbers}) == 1, "numbers end in one column"


def test_a_match_names_the_senses_it_is_from(drawn: Drawn) -> None:
    for group, sense in (("vision", "seen"), ("sound", "heard"), ("speech", "said")):
        right = [moment for _, moment in drawn.hits(group)]
        assert len(right) >= 3, group
        named = [{name for name, share in moment["shares"].items() if share >= 0.2} for moment in right]
        told = sum(sense in names for names in named)
        others = sum(len(names - {"seen", sense}) for names in named)
        assert told >= 0.8 * len(right), group
        assert others <= 0.2 * len(right), group


def test_words_names_and_phrases_are_told_apart(save: Save, library: Library) -> None:
    library.add("neurology.mp4", "stiff person syndrome|it is rare", rate_hz=5)
    save.index(library.folder)
    save.within("query", "the rare elephant syndrome neurology", "--all")
    moment = save.within("why", "1", "--json").json["videos"][0]["moments"][0]
    explained = moment["explanation"]
    assert explained["words"] == {"said": ["rare", "syndrome"], "name": ["neurology"], "neither": ["elephant"]}
    assert explained["similarity"] is None
    score = sum(part["score"] for part in explained["parts"]) * explained["gain"]
    assert score == pytest.approx(moment["score"], abs=1e-5)

    shown = save.within("query", "person syndrome", "--phrase").out
    outcome = save.within("why", "1")
    assert outcome.out == shown
    assert "exactly these words" in outcome.err


def test_what_cannot_be_explained_is_told(save: Save, library: Library) -> None:
    path = library.add("neurology.mp4", "stiff person syndrome", rate_hz=5)
    assert "there is no last query" in save.within("why", "1", code=1).err
    save.index(library.folder)
    save.within("query", "syndrome")
    assert "allowed: 1 to 1" in save.within("why", "2", code=2).err
    save("remove", path)
    assert "hit 1 is not found any more" in save.within("why", "1", code=1).err

    kept = save.home / ".local/state/save/last_query.json"
    kept.write_text(json.dumps({"query": "syndrome", "hits": [[[str(path), 1.5, 2.0]]]}))
    assert "--start=1.50" in save("open", "1", "--print").out, "a file of an older version is read"
    assert "it is not known what was asked" in save.within("why", "1", code=1).err

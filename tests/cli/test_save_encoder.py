"""Archives of a model of ours: a checkpoint of random weights in the real format, through the real command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from savecli.datasets.base import Caption, DatasetClip
from savecli.model.checkpoint import load_checkpoint
from savecli.model.precision import choose_precision, computing
from savecli.training.batches import Collator, inputs_on_device
from savecli.training.files import FileSource
from tests.cli.conftest import Library, Save
from tests.make_checkpoint import make_checkpoint

CPU = torch.device("cpu")
SPEECH = {"red.mp4": "zebra crossing"}


@dataclass
class Indexed:
    """An archive of three videos that are a clip each, and the model it was made with. Tests only read it."""

    save: Save
    folder: Path
    model: Path
    said_of_plan: str


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """With sound and words, with sound, and with neither."""
    top = tmp_path_factory.mktemp("fused")
    for name in ("home", "videos"):
        (top / name).mkdir()
    library, save = Library(top / "videos"), Save(top / "home", top / "test.save")
    library.add("red.mp4", SPEECH["red.mp4"], scenes=("red",), audio="tone")
    library.add("blue.mp4", "", scenes=("blue", "green"), audio="tone")
    library.add("grey.mp4", "", scenes=("grey",))
    model = make_checkpoint(top / "ours")
    return Indexed(save, library.folder, model, save.index(library.folder, "--encoder", model).err)


@contextmanager
def moved_away(folder: Path) -> Iterator[None]:
    """Without the model, for as long as inside."""
    away = folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        away.rename(folder)


def ranks(hits: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Which kinds of evidence each file's moments have."""
    return {
        Path(hit["path"]).name: {name for moment in hit["moments"] for name, rank in moment["ranks"].items() if rank}
        for hit in hits
    }


def models_own(folder: Path, query: str, paths: dict[str, Path]) -> dict[str, float]:
    """By file name, what evaluation computes from the whole files, in the number format of this machine."""
    model, config, _ = load_checkpoint(folder)
    source, collator = FileSource(paths, config, speech=SPEECH), Collator(config)
    with computing(CPU, choose_precision(CPU)):
        arrays = [source.read(DatasetClip(name, (Caption(query),), name)) for name in paths]
        video = model.encode_video(inputs_on_device(collator.inputs(arrays), config, CPU))
    with torch.inference_mode():
        text = model.encode_text(collator.caption_tokens([query]))
        own = model.similarity(text, video._replace(frames=video.frames.float(), pooled=video.pooled.float()))
    return dict(zip(paths, own[0].tolist(), strict=True))


def test_hits_show_the_models_own_similarity(indexed: Indexed) -> None:
    assert f"encoder: save-plus ({indexed.model})" in indexed.said_of_plan
    hits = indexed.save.videos("zebra crossing", "--all")
    shown = {Path(hit["path"]).name: hit["moments"][0]["logit"] for hit in hits}
    own = models_own(indexed.model, "zebra crossing", {path.name: path for path in indexed.folder.glob("*.mp4")})
    assert shown.keys() == own.keys()
    scoring = json.loads((indexed.save.archive / "archive.json").read_text())["encoder"]["scoring"]
    for name, logit in shown.items():
        # As similarities: stored float16 and the exported text side move logits by as much times the scale.
        assert logit / scoring["logit_scale"] == pytest.approx(own[name] / scoring["logit_scale"], abs=1e-3), name
    places = {Path(hit["path"]).name: hit["moments"][0]["ranks"]["matched"] for hit in hits}
    assert sorted(places, key=places.__getitem__) == sorted(shown, key=lambda name: -shown[name])


def test_evidence_is_named_as_what_it_is(indexed: Indexed) -> None:
    found = ranks(indexed.save.videos("zebra crossing", "--all"))
    assert found == {"red.mp4": {"matched", "said"}, "blue.mp4": {"matched"}, "grey.mp4": {"matched"}}

    by_vectors = indexed.save("query", "zebra", "--see", "--all")
    assert "also hold what is heard and said" in by_vectors.err
    assert "matched 1" in by_vectors.out
    assert re.search(r"said \d", by_vectors.out) is None, "the words were not searched"
    labels = indexed.save.home / "labels.tsv"
    labels.write_text(f"zebra crossing\t{indexed.folder / 'red.mp4'}\n")
    scores = indexed.save("eval", "--queries", labels, "--json").json["scores"]
    assert [score["evidence"] for score in scores] == ["matched", "said", "named", "all"]


def test_words_are_found_without_the_model(indexed: Indexed) -> None:
    with moved_away(indexed.model):
        assert ranks(indexed.save.videos("zebra", "--say")) == {"red.mp4": {"said"}}
        assert "nothing to index" in indexed.save.index().err


def test_other_weights_are_refused_for_new_videos(indexed: Indexed, library: Library) -> None:
    library.add("new.mp4", "a lion", scenes=("yellow",))
    with moved_away(indexed.model):
        assert "cannot be opened" in indexed.save.index(library.folder, code=1).err
        make_checkpoint(indexed.model, seed=7)
        refused = indexed.save.index(library.folder, code=1).err
        for path in indexed.model.iterdir():
            path.unlink()
        indexed.model.rmdir()
    assert "are not the ones this archive was made with" in refused
    assert "--rebuild" in refused


def test_words_become_fused_without_losing_transcripts(save: Save, library: Library, indexed: Indexed) -> None:
    library.add("red.mp4", "zebra crossing", scenes=("red",), duration_s=20, rate_hz=5, audio="tone")
    save.index(library.folder)
    (library.folder / "red.srt").unlink()  # were speech looked for again, it would be gone
    save.index(library.folder, "--encoder", indexed.model, "--rebuild")
    assert save("status", "--json").json["encoder"] == str(indexed.model)
    assert ranks(save.videos("zebra crossing", "--all")) == {"red.mp4": {"matched", "said"}}


def test_a_mistyped_model_leaves_no_archive_behind(save: Save, indexed: Indexed) -> None:
    outcome = save.index(indexed.folder, "--encoder", indexed.model.with_name("our"), code=2)
    assert f"did you mean `{indexed.model}`" in outcome.err
    assert not save.archive.exists()

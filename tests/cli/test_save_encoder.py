"""Archives of a model of ours: a checkpoint of random weights in the real format, through the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from savecli.datasets.base import Caption, DatasetClip
from savecli.model.checkpoint import load_checkpoint
from savecli.model.precision import choose_precision, computing
from savecli.training.batches import Collator, inputs_on_device
from savecli.training.files import FileSource
from tests.cli.conftest import Library, Save, kill
from tests.make_checkpoint import make_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("weights") / "ours")


@pytest.fixture
def three(library: Library) -> Library:
    """Clips of one video each, as training takes them: with sound and words, with sound, with neither."""
    library.add("red.mp4", "zebra crossing", scenes=("red",), audio="tone")
    library.add("blue.mp4", "", scenes=("blue", "green"), audio="tone")
    library.add("grey.mp4", "", scenes=("grey",))
    return library


def ranks(hits: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Which kinds of evidence each file's moments have."""
    return {
        Path(hit["path"]).name: {name for moment in hit["moments"] for name, rank in moment["ranks"].items() if rank}
        for hit in hits
    }


def models_own(folder: Path, query: str, paths: dict[str, Path], speech: dict[str, str]) -> dict[str, float]:
    """By file name, what evaluation computes from the whole files, in the number format of this machine."""
    model, config = load_checkpoint(folder)
    source, collator = FileSource(paths, config, speech=speech), Collator(config)
    with computing(CPU, choose_precision(CPU)):
        arrays = [source.read(DatasetClip(name, (Caption(query),), name)) for name in paths]
        video = model.encode_video(inputs_on_device(collator.inputs(arrays), config, CPU))
    with torch.inference_mode():
        text = model.encode_text(collator.caption_tokens([query]))
        own = model.similarity(text, video._replace(frames=video.frames.float(), pooled=video.pooled.float()))
    return dict(zip(paths, own[0].tolist(), strict=True))


@pytest.mark.parametrize("preset", ["save", "save-plus", "save-h"])
def test_hits_show_the_models_own_similarity(save: Save, three: Library, tmp_path: Path, preset: str) -> None:
    folder = make_checkpoint(tmp_path / "weights", preset)
    outcome = save.index(three.folder, "--encoder", folder)
    assert f"encoder: {preset} ({folder})" in outcome.err
    hits = save.videos("zebra crossing", "--all")
    shown = {Path(hit["path"]).name: hit["moments"][0]["logit"] for hit in hits}
    paths = {path.name: path for path in three.folder.glob("*.mp4")}
    own = models_own(folder, "zebra crossing", paths, {"red.mp4": "zebra crossing"})
    assert shown.keys() == own.keys()
    scale = save("status", "--json").json and json.loads((save.archive / "archive.json").read_text())
    scale = scale["encoder"]["scoring"]["logit_scale"]
    for name, logit in shown.items():
        assert logit / scale == pytest.approx(own[name] / scale, abs=1e-3), name
    places = {Path(hit["path"]).name: hit["moments"][0]["ranks"]["matched"] for hit in hits}
    assert sorted(places, key=places.__getitem__) == sorted(shown, key=lambda name: -shown[name])


def test_evidence_is_named_as_what_it_is(save: Save, three: Library, model: Path) -> None:
    save.index(three.folder, "--encoder", model)
    found = ranks(save.videos("zebra crossing", "--all"))
    assert found == {"red.mp4": {"matched", "said"}, "blue.mp4": {"matched"}, "grey.mp4": {"matched"}}
    assert "matched 1" in save("query", "zebra", "--all").out

    by_vectors = save("query", "zebra", "--see", "--all")
    assert "also hold what is heard and said" in by_vectors.err
    assert "said" not in by_vectors.out
    labels = save.home / "labels.tsv"
    labels.write_text(f"zebra crossing\t{three.folder / 'red.mp4'}\n")
    scores = save("eval", "--queries", labels, "--json").json["scores"]
    assert [score["evidence"] for score in scores] == ["matched", "said", "named", "all"]


def test_words_are_found_without_the_model(save: Save, three: Library, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "weights")
    save.index(three.folder, "--encoder", folder)
    assert "nothing to index" in save.index(three.folder, "--encoder", folder).err
    shutil.rmtree(folder)
    assert ranks(save.videos("zebra", "--say")) == {"red.mp4": {"said"}}
    assert save.videos("zebra", "--phrase")


def test_weights_that_changed_are_refused_for_new_videos(save: Save, three: Library, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "weights")
    save.index(three.folder, "--encoder", folder)
    make_checkpoint(folder, seed=7)
    three.add("new.mp4", "a lion", scenes=("yellow",))
    outcome = save.index(three.folder, code=1)
    assert "are not the ones this archive was made with" in outcome.err
    assert "--rebuild" in outcome.err
    save.index(three.folder, "--encoder", folder, "--rebuild")
    assert len(save.videos("zebra", "--all")) == 4


def test_words_become_fused_without_losing_transcripts(save: Save, library: Library, model: Path) -> None:
    library.add("red.mp4", "zebra crossing", scenes=("red",), duration_s=20, rate_hz=5, audio="tone")
    library.add("blue.mp4", "", scenes=("blue",))
    save.index(library.folder)
    refused = save.index(library.folder, "--encoder", model, code=1)
    assert "was indexed with `words`" in refused.err

    (library.folder / "red.srt").unlink()  # were speech looked for again, it would be gone
    process = save.start("index", library.folder, "--encoder", model, "--rebuild")
    while process.poll() is None and not list(save.archive.glob("vectors_*.lance")):
        continue
    kill(process)
    assert ranks(save.videos("zebra")) == {"red.mp4": {"said"}}, "the old archive answers meanwhile"
    save.index()  # no options: it knows what it was doing
    assert save("status", "--json").json["encoder"] == str(model)
    again = save.videos("zebra crossing", "--all")
    assert ranks(again)["red.mp4"] == {"matched", "said"}

    (library.folder / "red.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nzebra crossing\n")
    fresh = Save(save.home, save.archive.with_name("fresh.save"), save.env)
    fresh.index(library.folder, "--encoder", model)
    for one, other in zip(logits(again), logits(fresh.videos("zebra crossing", "--all")), strict=True):
        assert one == pytest.approx(other, abs=0.02), "vectors made again are those made at once"


def logits(hits: list[dict[str, Any]]) -> list[float]:
    """Of every moment, by file and time; grid frames and seeked frames may be neighbours."""
    found = [(hit["path"], moment["start_s"], moment["logit"]) for hit in hits for moment in hit["moments"]]
    return [logit for _, _, logit in sorted(found)]


def test_a_mistyped_model_leaves_no_archive_behind(save: Save, three: Library, model: Path) -> None:
    outcome = save.index(three.folder, "--encoder", model.with_name("our"), code=2)
    assert f"did you mean `{model}`" in outcome.err
    assert not save.archive.exists()

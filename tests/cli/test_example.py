"""`save query` with terms that are added and subtracted, and with examples: pictures, clips, hits of the last query."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from savecli.archive.encoder import load_encoder, reopen_encoder
from savecli.archive.store import Archive, open_archive
from savecli.cli.example import Named, read_examples
from savecli.core.errors import MediaError, SaveError, UsageError
from savecli.model.hub import Hub
from savecli.search.example import Example, like_clip, like_moment, stored_vectors
from savecli.search.filters import Filters
from savecli.search.query import Request, needs_text_encoder, search_videos
from savecli.search.results import Answer
from savecli.search.terms import parse_terms
from savecli.search.text_encoder import load_query_encoder
from tests.cli.conftest import Library, Save
from tests.make_clip import make_tiny_clip
from tests.make_media import make_frame, make_video

WORDS = {
    "red.mp4": "a dog|runs on the beach",
    "crimson.mp4": "the dog|is running",
    "blue.mp4": "a dog sleeps|and sleeps",
    "long.mp4": "a cat",
}


@dataclass
class Indexed:
    """An archive that tests only read."""

    save: Save
    folder: Path

    @property
    def archive(self) -> Archive:
        return open_archive(self.save.archive)


def names(videos: list[dict[str, Any]]) -> list[str]:
    return [Path(video["path"]).name for video in videos]


def spans(videos: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    moments = [moment for video in videos if Path(video["path"]).name == name for moment in video["moments"]]
    return sorted((moment["start_s"], moment["end_s"]) for moment in moments)


def write_picture(path: Path, colour: str, *, codec: str = "png", pix_fmt: str = "rgb24") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 120, pix_fmt
        frame = av.VideoFrame.from_ndarray(make_frame(7, colour), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def fill(library: Library) -> None:
    library.add("red.mp4", WORDS["red.mp4"], scenes=("red",), audio="tone", duration_s=4)
    library.add("crimson.mp4", WORDS["crimson.mp4"], scenes=("red",), duration_s=4)
    library.add("blue.mp4", WORDS["blue.mp4"], scenes=("blue",), duration_s=4)
    library.add("long.mp4", WORDS["long.mp4"], scenes=("green", "yellow", "purple"), duration_s=36, rate_hz=5)


def build(top: Path, *arguments: str) -> Indexed:
    for name in ("home", "videos"):
        (top / name).mkdir()
    save = Save(top / "home", top / "test.save")
    fill(Library(top / "videos"))
    save.index(top / "videos", *arguments)
    return Indexed(save, top / "videos")


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """With a model of ours."""
    return build(tmp_path_factory.mktemp("fused"), "--encoder", "tiny-world")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """Of words alone."""
    return build(tmp_path_factory.mktemp("spoken"), "--encoder", "words")


def ask(indexed: Indexed, *arguments: str, **options: Any) -> Answer:
    """What `save query` finds, without starting it."""
    archive = indexed.archive
    request = Request(text=" ".join(arguments), terms=parse_terms(arguments), show_all=True, **options)
    needs = needs_text_encoder(archive, request)
    encode_text = load_query_encoder(archive, hub=Hub(offline=True)) if needs else None
    return search_videos(archive, request, encode_text=encode_text)


def found(answer: Answer) -> list[str]:
    return [Path(video.path).name for video in answer.videos]


def test_words_are_added_weighed_and_subtracted(spoken: Indexed) -> None:
    assert set(found(ask(spoken, "dog"))) == {"red.mp4", "crimson.mp4", "blue.mp4"}
    asked = spoken.save.within("query", "dog", "-", "the beach", "--json").json
    assert set(names(asked["videos"])) == {"crimson.mp4", "blue.mp4"}, "every `the` would leave out crimson.mp4 too"
    assert asked["query"] == "dog - the beach"
    assert asked["terms"] == [{"text": "dog", "weight": 1.0}, {"text": "the beach", "weight": -1.0}]
    assert found(ask(spoken, "9:beach", "+", "sleeps"))[0] == "red.mp4"
    assert found(ask(spoken, "0.1:beach", "+", "sleeps"))[0] == "blue.mp4"
    assert found(ask(spoken, "sleeps", "-", "sleep")) == []
    assert found(ask(spoken, "crimson", "+", "blue", "-", "blue")) == ["crimson.mp4"], "names of files as well"


def test_a_weight_alone_and_a_sum_with_itself_change_nothing(fused: Indexed) -> None:
    plain = ask(fused, "dog")
    for arguments in (("3:dog",), ("dog", "+", "dog")):
        same = ask(fused, *arguments)
        assert found(same) == found(plain)
        for video, other in zip(same.videos, plain.videos, strict=True):
            assert video.moments[0].confidence == other.moments[0].confidence
            assert video.moments[0].logit == pytest.approx(other.moments[0].logit, abs=1e-3)


def test_a_hit_is_never_like_itself(fused: Indexed) -> None:
    (cat,) = fused.save.within("query", "cat", "--say", "--json").json["videos"]
    start_s = cat["moments"][0]["start_s"]
    like = fused.save.within("query", "--like", "1", "--json").json
    assert like["examples"] == [{"kind": "hit", "name": "1", "weight": 1.0}]
    starts = [start for start, _ in spans(like["videos"], "long.mp4")]
    assert starts, "other moments of the same video may be"
    assert start_s not in starts
    assert {moment["confidence"] for video in like["videos"] for moment in video["moments"]} == {None}
    # The answer is a last query like any other.
    first = like["videos"][0]["path"]
    assert first in fused.save("open", "1", "--print").out
    other = fused.save.within("query", "--like", "1", "--not-in", first, "--limit", "1", "--paths").out
    assert other.count("\n") == 1, "what filters leave out takes no place"
    assert other.strip() != first


def test_a_stored_hit_loads_no_model(fused: Indexed) -> None:
    fused.save.within("query", "dog", "--say")
    script = (
        "import os, sys\n"
        "os._exit = lambda code: None\n"
        "from savecli.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'pandas', 'onnxruntime', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "query", "--like", "1"],
        env=fused.save.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_clip_is_prepared_as_indexing_does_and_never_finds_itself(fused: Indexed, tmp_path: Path) -> None:
    """Of a copy elsewhere, whose words only the archive knows."""
    archive = fused.archive
    record = archive.manifest.encoder
    assert record is not None
    vectors = archive.vector_table(record)
    assert vectors is not None
    encoder = load_encoder(reopen_encoder(record, hub=Hub(offline=True)), hub=Hub(offline=True), device="cpu")
    copy = Path(shutil.copy(fused.folder / "red.mp4", tmp_path / "copy@home.mp4"))
    example = like_clip(archive, copy, None, encoder, name="")
    (clip,) = archive.clip_rows(f"video_id = '{next(iter(example.own_clips)).partition(':')[0]}'")
    stored, _ = stored_vectors(vectors, [clip])
    assert stored is not None
    assert float(example.seen @ stored) > 0.999
    assert "red.mp4" not in found(ask(fused, examples=(example,)))
    # The same moment by its place.
    moment = like_moment(archive, clip.video_id, clip.start_s, clip.end_s)
    np.testing.assert_allclose(moment.seen, stored, atol=1e-6)
    assert moment.own_clips == example.own_clips


def test_clips_and_pictures_from_elsewhere(fused: Indexed, tmp_path: Path) -> None:
    red = write_picture(tmp_path / "red.png", "red")
    like = fused.save.within("query", "--image", red, "--json").json
    assert names(like["videos"])[0] in ("red.mp4", "crimson.mp4")
    assert like["examples"] == [{"kind": "image", "name": str(red), "weight": 1.0}]
    blue = write_picture(tmp_path / "blue.jpg", "blue", codec="mjpeg", pix_fmt="yuvj420p")
    video = make_video(tmp_path / "a@2-3.mkv", duration_s=30, rate_hz=5, scenes=("red", "blue"), audio="tone")
    named = Named(clips=(f"{video}@0:20–25",), images=(f"-0.5:{red}", str(blue)))
    examples = read_examples(fused.archive, named, offline=True)
    assert [example.weight for example in examples] == [-0.5, 1.0, 1.0]
    order = found(ask(fused, examples=examples))
    assert order.index("blue.mp4") < order.index("crimson.mp4")


def test_with_clip_an_example_is_compared_by_what_it_says_only_if_it_says_something(tmp_path: Path) -> None:
    clip = build(tmp_path, "--encoder", make_tiny_clip(tmp_path / "weights"))
    archive = clip.archive
    (spoken_hit,) = ask(clip, "runs", signals=frozenset({"said"}), filters=Filters(inside=("red.mp4",))).videos
    example = like_moment(archive, spoken_hit.video_id, 0.0, 4.0)
    ranks = [moment.ranks for video in ask(clip, examples=(example,)).videos for moment in video.moments]
    assert any(rank.said for rank in ranks)
    assert all(rank.matched is None for rank in ranks)
    (mute,) = read_examples(archive, Named(images=(str(write_picture(tmp_path / "red.png", "red")),)), offline=True)
    for asked in (ask(clip, examples=(mute,)), ask(clip, "dog", examples=(mute,))):
        assert {moment.ranks.said for video in asked.videos for moment in video.moments} == {None}
    with pytest.raises(UsageError, match="cannot be compared by what is said"):
        ask(clip, examples=(mute,), signals=frozenset({"said"}))


def test_spans_leave_out_only_their_own(fused: Indexed) -> None:
    (example,) = read_examples(fused.archive, Named(clips=(f"{fused.folder / 'long.mp4'}@0:01-0:04",)), offline=True)
    answer = ask(fused, examples=(example,))
    starts = [moment.start_s for video in answer.videos if "long" in video.path for moment in video.moments]
    assert starts
    assert min(starts) >= 4


@pytest.mark.parametrize(
    ("named", "error", "what", "fix"),
    [
        (Named(images=("none.png",)), UsageError, "there is no file none.png", "path"),
        (Named(images=("text.png",)), MediaError, "cannot read text.png", "JPEG"),
        (Named(images=("tiles.heic",)), MediaError, "cannot read tiles.heic", "JPEG"),
        (Named(clips=("text.png",)), MediaError, "cannot read text.png", "--image"),
        (Named(clips=("long.mp4",)), UsageError, "longer than a clip", "long.mp4@0:00-0:10"),
        (Named(clips=("long.mp4@0-16",)), UsageError, "longer than a clip", "shorter"),
        (Named(clips=("long.mp4@0:30-0:40",)), UsageError, "ends before the span does", "inside"),
        (Named(clips=("long.mp4@1:20-1:30",)), UsageError, "ends before the span does", "inside"),
        (Named(clips=("long.mp4@9-5",)), UsageError, "is empty", "earlier time first"),
        (Named(clips=("long.mp4@1:99-2:30",)), UsageError, "has no span", "@1:20-1:30"),
        (Named(images=("0:red.png",)), UsageError, "has the weight 0", "another weight"),
    ],
)
def test_examples_that_cannot_be_used_say_why(
    fused: Indexed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: Named,
    error: type[SaveError],
    what: str,
    fix: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    shutil.copy(fused.folder / "long.mp4", tmp_path)
    if named.images == ("tiles.heic",):
        write_tiles(tmp_path / "tiles.heic")
    with pytest.raises(error, match=what) as caught:
        read_examples(fused.archive, named, offline=True)
    assert fix in caught.value.fix


def write_tiles(path: Path) -> None:
    """Two pictures of one size in a file of the brand that phones write."""
    with av.open(str(path), "w", format="mp4", options={"brand": "heic"}) as container:
        streams = [container.add_stream("libx264", rate=1) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(make_frame(0, "red"), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode(None)])


def test_mistakes_at_the_command_get_a_cause_and_a_fix(fused: Indexed, spoken: Indexed, tmp_path: Path) -> None:
    save = Save(tmp_path, fused.save.archive)
    assert "there is no last query" in save.within("query", "--like", "1", code=1).err
    save.within("query", "dog", "--say")
    assert "there is no hit 99" in save.within("query", "--like", "99", code=2).err
    assert "--like" in save.within("query", code=2).err
    refused = spoken.save.within("query", "--like", "1", code=2).err
    assert "cannot be searched by example" in refused
    assert f"--archive {spoken.save.archive}" in refused
    with pytest.raises(UsageError, match="only says what is not wanted"):
        ask(spoken, "-", "beach")
    with pytest.raises(UsageError, match="there is nothing to look for"):
        ask(spoken, "?!", "-", "beach")
    with pytest.raises(UsageError, match="a phrase has no example"):
        ask(fused, "dog", is_phrase=True, examples=(Example("hit", "1", np.ones(512, np.float32), "f1"),))

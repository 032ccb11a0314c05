"""What a copy of a dataset lacks."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from savecli.core.progress import NoProgress
from savecli.core.records import Span
from savecli.datasets.asr import Transcripts
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.expected import EXPECTED
from savecli.datasets.locate import Located
from savecli.datasets.registry import DATASETS
from savecli.datasets.verify import verify
from tests.datasets.miniature import SAMPLES


def located(dataset: Dataset, missing: tuple[str, ...] = ()) -> Located:
    ids = [clip.clip_id for split in dataset.splits for clip in split.clips]
    return Located({clip_id: Path(f"{clip_id}.mp4") for clip_id in ids if clip_id not in missing}, missing)


@pytest.fixture
def msrvtt() -> Dataset:
    return DATASETS["msrvtt-9k"].read(SAMPLES / "msrvtt-9k")


def test_counts(msrvtt: Dataset) -> None:
    def check(path: Path, span: Span | None) -> str | None:
        return "no moov atom" if path.stem == "video9771" else None

    transcripts = Transcripts({"video9770": "hello", "video9771": ""}, unknown=("video123.wav",))
    found = verify(msrvtt, located(msrvtt, ("video0", "video7020")), check, transcripts=transcripts)
    train, test = found.splits
    assert (train.num_clips, train.num_found, train.missing) == (6, 5, ("video0",))
    assert (test.num_clips, test.num_found, test.missing) == (4, 3, ("video7020",))
    assert (test.undecodable, test.num_usable) == ({"video9771": "no moov atom"}, 2)
    assert train.dropped == {"empty caption": 1, "caption of an unknown clip": 1}
    assert (train.num_with_transcript, test.num_with_transcript, found.num_unknown_transcripts) == (0, 1, 1)
    assert found.is_decoded
    assert not found.is_complete


def test_sizes_are_compared_with_the_published_ones(msrvtt: Dataset) -> None:
    found = verify(msrvtt, located(msrvtt))
    assert found.splits[1].mismatches == (
        "test 1k-A has 4 clips, the published split 1,000",
        "test 1k-A has 4 captions, the published split 1,000",
    )
    assert found.absent == ()
    assert verify(replace(msrvtt, train=None), located(msrvtt)).absent == ("train",)


def test_a_whole_copy_is_complete() -> None:
    clips = tuple(DatasetClip(f"clip{number}", (Caption(f"caption {number}"),), media="") for number in range(1000))
    dataset = Dataset("manifest", None, None, Split("test", clips))
    found = verify(dataset, located(dataset), lambda path, span: None)
    assert found.is_complete
    assert found.splits[0].mismatches == ()
    # The wrong split of LSMDC, as some score it.
    assert verify(replace(dataset, name="lsmdc"), located(dataset)).absent == ("train", "val")


def test_sentences_of_several_clips_are_ties(msrvtt: Dataset) -> None:
    assert msrvtt.test is not None
    first, *others = msrvtt.test.clips
    twin = replace(others[0], captions=(Caption(first.captions[0].text.upper()),))
    test = replace(msrvtt.test, clips=(first, twin, *others[1:]))
    found = verify(replace(msrvtt, test=test), located(msrvtt))
    assert found.splits[1].duplicate_captions == {first.captions[0].text: (first.clip_id, twin.clip_id)}
    assert verify(msrvtt, located(msrvtt)).splits[1].duplicate_captions == {}


def test_a_file_is_opened_once() -> None:
    clips = tuple(DatasetClip(f"a#{number}", (Caption("caption"),), media="a.mp4") for number in range(3))
    dataset = Dataset("manifest", Split("train", clips), None, None)
    lock, opened, skipped = threading.Lock(), [], []

    def check(path: Path, span: Span | None) -> str:
        with lock:
            opened.append(path)
        return "broken"

    class Listener(NoProgress):
        def skip(self, path: Path, reason: str) -> None:
            skipped.append((path, reason))

    files = Located({clip.clip_id: Path("a.mp4") for clip in clips}, ())
    found = verify(dataset, files, check, num_threads=2, progress=Listener())
    assert (opened, skipped) == ([Path("a.mp4")], [(Path("a.mp4"), "broken")])
    assert found.splits[0].num_usable == 0


def test_each_span_of_a_file_is_checked() -> None:
    spans = (None, Span(0.0, 1.0), Span(500.0, 510.0))
    clips = tuple(DatasetClip(f"a#{number}", (Caption("caption"),), "a.mp4", span) for number, span in enumerate(spans))
    files = Located({clip.clip_id: Path("a.mp4") for clip in clips}, ())

    def check(path: Path, span: Span | None) -> str | None:
        return "too late" if span is not None and span.start_s > 2 else None

    found = verify(Dataset("manifest", Split("train", clips), None, None), files, check)
    assert found.splits[0].undecodable == {"a#2": "too late"}


def test_expected_sizes_name_known_datasets() -> None:
    assert set(EXPECTED) <= set(DATASETS)

"""Every reader on its sample, and the odd cases of each dataset."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from savecli.core.errors import UsageError
from savecli.datasets.base import Dataset, Split
from savecli.datasets.registry import DATASETS
from tests.datasets.miniature import SAMPLES

# Clips and captions of train, val and test; whether the test is ranked with several captions a clip.
SIZES = {
    "msrvtt-9k": ((6, 12), None, (4, 4), False),
    "msrvtt-7k-1ka": ((6, 12), None, (4, 4), False),
    "msrvtt-7k": ((6, 12), (2, 4), (2, 4), True),
    "vatex": ((6, 12), (2, 4), (2, 4), True),
    "charades": ((6, 6), None, (4, 4), False),
    "lsmdc": ((6, 6), (2, 2), (2, 2), False),
    "msvd": ((6, 12), (2, 4), (2, 4), True),
    "didemo": ((6, 6), (2, 2), (2, 2), False),
    "activitynet": ((6, 6), None, (4, 4), False),
    "manifest": ((4, 5), (2, 2), (3, 3), False),
    "synthetic": ((6, 6), (2, 2), (2, 2), False),
}


@pytest.fixture
def sample(tmp_path: Path):
    """Copies a sample into the test's folder, to be changed there."""
    return lambda name: shutil.copytree(SAMPLES / name, tmp_path / name)


def read(root: Path, name: str | None = None) -> Dataset:
    return DATASETS[name or root.name].read(root)


def split(split: Split | None) -> Split:
    assert split is not None
    return split


def texts(split: Split | None) -> dict[str, list[str]]:
    assert split is not None
    return {clip.clip_id: [caption.text for caption in clip.captions] for clip in split.clips}


@pytest.mark.parametrize("name", DATASETS)
def test_a_sample_is_read_whole(name: str) -> None:
    dataset = read(SAMPLES / name)
    *sizes, is_grouped = SIZES[name]
    parts = (dataset.train, dataset.val, dataset.test)
    found = [(len(part.clips), part.num_captions) if part else None for part in parts]
    assert (dataset.name, found) == (name, sizes)
    assert split(dataset.test).is_grouped == is_grouped
    assert dataset.asr_files == (SAMPLES / name / "asr.json",)
    ids = [clip.clip_id for part in dataset.splits for clip in part.clips]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("manifest", "synthetic")])
def test_annotations_may_lie_in_a_folder_of_their_own(name: str, tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / name, tmp_path / "Annotations")
    (tmp_path / "VideoData").mkdir()
    dataset = read(tmp_path, name)
    assert texts(dataset.test) == texts(read(SAMPLES / name).test)
    assert dataset.video_folders == (tmp_path / "VideoData",)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("manifest", "synthetic")])
def test_windows_files_are_the_same(name: str, sample) -> None:
    root = sample(name)
    for path in root.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(root).splits == read(SAMPLES / name).splits


def test_1ka_takes_the_sentence_of_its_list() -> None:
    assert texts(read(SAMPLES / "msrvtt-9k").test)["video9770"] == ["a teacher explains how tides come about"]
    assert len(texts(read(SAMPLES / "msrvtt-9k").train)["video0"]) == 2


def test_only_a_split_of_one_caption_a_clip_is_ranked_by_the_diagonal() -> None:
    for dataset in (read(SAMPLES / name) for name in SIZES):
        assert all(part.is_grouped or part.num_captions == len(part.clips) for part in dataset.splits)
    assert split(read(SAMPLES / "msrvtt-9k").train).is_grouped


def test_unusable_captions_are_counted() -> None:
    train = split(read(SAMPLES / "msrvtt-9k").train)
    assert train.dropped == {"empty caption": 1, "caption of an unknown clip": 1}
    # Captions of clips that the data file names but no split uses are not unknown.
    assert split(read(SAMPLES / "msrvtt-7k").train).dropped == train.dropped


def test_7k_1ka_needs_no_list_of_its_first_clips(sample) -> None:
    root = sample("msrvtt-7k-1ka")
    listed = texts(read(root).train)
    (root / "MSRVTT_train.7k.csv").unlink()
    assert texts(read(root).train) == listed
    assert split(read(root).train).dropped["clip without caption"] == 7010 - 6


def test_the_official_split_may_be_listed_as_ids(sample) -> None:
    root = sample("msrvtt-7k")
    before = read(root)
    for name, part in (("val", before.val), ("test", before.test)):
        (root / f"MSRVTT_full_split_{name}.csv").unlink()
        ids = [clip.clip_id for clip in split(part).clips]
        (root / f"{name}_list_full.txt").write_text("\n".join(ids))
    assert read(root).splits == before.splits


def test_evaluation_alone_needs_no_training_files(sample) -> None:
    root = sample("msrvtt-9k")
    (root / "MSRVTT_train.9k.csv").unlink()
    (root / "MSRVTT_data.json").unlink()
    dataset = read(root)
    assert (dataset.train, len(split(dataset.test).clips)) == (None, 4)


def test_both_layouts_of_vatex_are_one_dataset() -> None:
    lists, tables = read(SAMPLES / "vatex"), read(SAMPLES / "vatex-csv", "vatex")
    assert [texts(part) for part in lists.splits] == [texts(part) for part in tables.splits]


def test_vatex_captions_may_be_in_two_languages(sample) -> None:
    root = sample("vatex")
    before = read(root)
    captions = json.loads((root / "ref_captions.json").read_text())
    (root / "ref_captions.json").unlink()
    both = {clip_id: {"enCap": sentences, "chCap": ["…"]} for clip_id, sentences in captions.items()}
    (root / "vatex_data.json").write_text(json.dumps(both))
    assert read(root).splits == before.splits


def test_ids_with_file_endings_are_the_same_ids(sample) -> None:
    root = sample("vatex")
    before = read(root)
    path = root / "test_list.txt"
    path.write_text("".join(f"{clip_id}.mp4\n" for clip_id in path.read_text().split()))
    assert read(root).test == before.test


def test_charades_captions_are_scripts_with_their_commas() -> None:
    captions = texts(read(SAMPLES / "charades").train)
    assert captions["AXE7P"] == ['A person opens a drawer, takes out a "lucky" coin and laughs.']


def test_lsmdc_keeps_quotes_and_takes_the_public_test() -> None:
    dataset = read(SAMPLES / "lsmdc")
    train = texts(dataset.train)
    assert train["0002_The_Long_Thaw_00.05.10.500-00.05.12.750"] == ['"Wait" is written on the frosted glass.']
    assert split(dataset.test).name == "test public 1000"
    assert split(dataset.test).clips[0].media == "3004_SALT_ROAD_00.08.10.500-00.08.12.750"


def test_lsmdc_does_not_test_on_another_split(sample) -> None:
    root = sample("lsmdc")
    (root / "LSMDC16_challenge_1000_publictect.csv").unlink()
    assert read(root).test is None


def test_a_second_sentence_counts_in_training_only(sample) -> None:
    root = sample("lsmdc")
    for name in ("LSMDC16_annos_training.csv", "LSMDC16_challenge_1000_publictect.csv"):
        path = root / name
        first = path.read_text().split("\n")[0].split("\t")
        path.write_text(path.read_text() + "\t".join([*first[:5], "Once more."]) + "\n")
    dataset = read(root)
    assert [len(clip.captions) for clip in split(dataset.train).clips][:2] == [2, 1]
    assert [len(clip.captions) for clip in split(dataset.test).clips] == [1, 1]
    assert split(dataset.test).dropped == {"repeated id": 1, "further caption of a clip": 1}


def test_a_clip_of_two_splits_stays_in_the_one_reported_on(sample) -> None:
    root = sample("msvd")
    (train, test) = (root / "train_list.txt", root / "test_list.txt")
    train.write_text(train.read_text() + test.read_text())
    dataset = read(root)
    assert split(dataset.train).dropped == {"clip of another split": 2}
    assert (len(split(dataset.train).clips), len(split(dataset.test).clips)) == (6, 2)


@pytest.mark.parametrize("protocol", [0, 2])
def test_msvd_may_be_pickled(protocol: int, sample) -> None:
    root = sample("msvd")
    before = read(root)
    path = root / "captions_msvd.json"
    words = {key: [text.split() for text in sentences] for key, sentences in json.loads(path.read_text()).items()}
    path.unlink()
    plain = defaultdict(list, words)
    (root / "raw-captions.pkl").write_bytes(pickle.dumps(plain, protocol=protocol))
    assert read(root).splits == before.splits


def test_a_pickle_runs_nothing(sample, tmp_path: Path) -> None:
    root = sample("msvd")
    (root / "captions_msvd.json").unlink()
    (root / "raw-captions.pkl").write_bytes(pickle.dumps({"a": [tmp_path.touch]}))
    with pytest.raises(UsageError, match=r"raw-captions\.pkl: expected a pickled .*; found something else: it names"):
        read(root)


def test_didemo_joins_sentences_and_cuts_the_endings_of_keys() -> None:
    dataset = read(SAMPLES / "didemo")
    clip = split(dataset.train).clips[0]
    assert clip.clip_id == "10000001@N00_2408598493_274c77d26a"
    assert clip.media == "10000001@N00_2408598493_274c77d26a.avi"
    assert [caption.text for caption in clip.captions] == [
        "a red kite climbs over the dunes somebody flies a kite at the beach"
    ]


def test_activitynet_makes_paragraphs() -> None:
    clip = split(read(SAMPLES / "activitynet").test).clips[0]
    assert clip.clip_id == "v_hV5cDn-7iSy"
    assert [caption.text for caption in clip.captions] == [
        "A teacher explains how tides come about. Someone talks about the moon and the sea."
    ]


def test_paragraphs_count_their_empty_sentences(sample) -> None:
    root = sample("activitynet")
    path = root / "val_1.json"
    value = json.loads(path.read_text())
    ids = list(value)
    value[ids[0]]["sentences"][1] = " "
    value[ids[1]]["sentences"] = [""]
    path.write_text(json.dumps(value))
    test = split(read(root).test)
    assert test.dropped == {"empty caption": 2, "clip without caption": 1}
    assert test.dropped_names == {"empty caption": tuple(ids[:2]), "clip without caption": (ids[1],)}
    assert texts(test)[ids[0]] == ["A teacher explains how tides come about."]


def test_paragraphs_of_unlisted_clips_are_counted(sample) -> None:
    root = sample("activitynet")
    path = root / "train_ids.json"
    unlisted, *ids = json.loads(path.read_text())
    path.write_text(json.dumps(ids))
    train = split(read(root).train)
    assert train.dropped_names == {"caption of an unknown clip": (unlisted, unlisted)}

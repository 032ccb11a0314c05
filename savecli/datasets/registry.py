"""Every dataset by its name: how it is read, how its folder looks, where people get it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.datasets.activitynet import read_activitynet
from savecli.datasets.base import Dataset, DatasetKind
from savecli.datasets.charades import read_charades
from savecli.datasets.didemo import read_didemo
from savecli.datasets.lsmdc import read_lsmdc
from savecli.datasets.manifest import read_manifest
from savecli.datasets.msrvtt import read_msrvtt_7k, read_msrvtt_7k_1ka, read_msrvtt_9k
from savecli.datasets.msvd import read_msvd
from savecli.datasets.vatex import read_vatex


def find_dataset(name: str) -> DatasetKind:
    """The dataset of this name.

    Raises:
        UsageError: there is none; the nearest name and all names are given.
    """
    if name in DATASETS:
        return DATASETS[name]
    near = difflib.get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.4)
    raise UsageError(
        f"there is no dataset {name!r}",
        why=f"known are {', '.join(DATASETS)}",
        fix=f"did you mean `{near[0]}`?" if near else "your own videos are the dataset `manifest`",
    )


def _read_synthetic(root: Path) -> Dataset:
    return replace(read_manifest(root), name="synthetic")


_MSRVTT_SOURCE = (
    "the official site is gone; the zip that the authors of Frozen in Time (Oxford) host is what people use: "
    "github.com/m-bain/frozen-in-time. "
    "Lists and captions are msrvtt_data.zip of github.com/ArrowLuo/CLIP4Clip. 8,811 of the 10,000 videos have sound"
)

_KINDS = (
    DatasetKind(
        name="msrvtt-9k",
        read=read_msrvtt_9k,
        layout=(
            "MSRVTT_train.9k.csv            video_id\n"
            "MSRVTT_JSFUSION_test.csv       key,vid_key,video_id,sentence\n"
            "MSRVTT_data.json               {videos: [{video_id}], sentences: [{video_id, caption}]}\n"
            "videos/video0.mp4 …"
        ),
        source=_MSRVTT_SOURCE,
    ),
    DatasetKind(
        name="msrvtt-7k-1ka",
        read=read_msrvtt_7k_1ka,
        layout=(
            "MSRVTT_train.7k.csv            video_id; without it video0 to video7009\n"
            "MSRVTT_JSFUSION_test.csv       key,vid_key,video_id,sentence\n"
            "MSRVTT_data.json               {videos: [{video_id}], sentences: [{video_id, caption}]}\n"
            "videos/video0.mp4 …"
        ),
        source=_MSRVTT_SOURCE,
    ),
    DatasetKind(
        name="msrvtt-7k",
        read=read_msrvtt_7k,
        layout=(
            "MSRVTT_full_split_val.csv      key,video_id,sentence, a row a caption; or val_list_full.txt\n"
            "MSRVTT_full_split_test.csv     the same; or test_list_full.txt\n"
            "MSRVTT_data.json               {videos: [{video_id}], sentences: [{video_id, caption}]}\n"
            "videos/video0.mp4 …"
        ),
        source=f"{_MSRVTT_SOURCE}. The lists of val and test are those of github.com/ruc-aimc-lab/TeachCLIP",
    ),
    DatasetKind(
        name="vatex",
        read=read_vatex,
        layout=(
            "train_list.txt, val_list.txt, test_list.txt   an id a line\n"
            "ref_captions.json                             {id: [caption]}\n"
            "or: VATEX_train.csv, VATEX_val.csv, VATEX_test.csv with VATEX_data.json, in the form of MSR-VTT\n"
            "videos/ID_000122_000132.mp4 …"
        ),
        source=(
            "captions from eric-xw.github.io/vatex-website; the videos are on YouTube and vanish: in 2023, 1,335 "
            "of the 1,500 test clips were left"
        ),
    ),
    DatasetKind(
        name="charades",
        read=read_charades,
        layout=(
            "Charades_v1_train.csv, Charades_v1_test.csv   id,…,script,… (eleven columns)\nCharades_v1_480/ID.mp4 …"
        ),
        source="prior.allenai.org/projects/charades: annotations, and videos scaled to 480p",
    ),
    DatasetKind(
        name="lsmdc",
        read=read_lsmdc,
        layout=(
            "LSMDC16_annos_training.csv, LSMDC16_annos_val.csv   six columns with tabs between, no header\n"
            "LSMDC16_challenge_1000_publictect.csv               the same; the test\n"
            "videos/FILM/CLIP.avi …"
        ),
        source=(
            "sites.google.com/site/describingmovies: by a form to the Max Planck Institute for Informatics; "
            "nobody may pass it on"
        ),
    ),
    DatasetKind(
        name="msvd",
        read=read_msvd,
        layout=(
            "train_list.txt, val_list.txt, test_list.txt   an id a line\n"
            "captions_msvd.json or raw-captions.pkl        {id: [caption]} or {id: [[word]]}\n"
            "YouTubeClips/ID_33_46.avi …"
        ),
        source=(
            "clips from the University of Texas at Austin (YouTubeClips.tar); lists and captions are "
            "msvd_data.zip of github.com/ArrowLuo/CLIP4Clip"
        ),
    ),
    DatasetKind(
        name="didemo",
        read=read_didemo,
        layout=(
            "train_list.txt, val_list.txt, test_list.txt          a video a line; without them all videos of the JSON\n"
            "train_data.json, val_data.json, test_data.json       [{video, description, times}]\n"
            "videos/KEY.mp4 …"
        ),
        source="github.com/LisaAnne/LocalizingMoments: annotations, and how to get the videos, which are Flickr's",
    ),
    DatasetKind(
        name="activitynet",
        read=read_activitynet,
        layout=(
            "train_ids.json, val_ids.json   [v_id]; without them all videos of the captions\n"
            "train.json, val_1.json         {v_id: {duration, timestamps, sentences}}\n"
            "videos/v_ID.mp4 …"
        ),
        source="cs.stanford.edu/people/ranjaykrishna/densevid: captions; activity-net.org: videos, by a form",
    ),
    DatasetKind(
        name="manifest",
        read=read_manifest,
        layout=(
            "manifest.csv or manifest.jsonl   video,caption and, where wanted, start_s,end_s,split,clip_id,group\n"
            "asr.json                         where wanted: [{key, text}]\n"
            "the videos, where the column `video` says, seen from the manifest"
        ),
        source="your own videos",
    ),
    DatasetKind(
        name="synthetic",
        read=_read_synthetic,
        layout=("manifest.jsonl   video,caption,split,clip_id,group\nasr.json         [{key, text}]\nvideos/…"),
        source="made on the spot: save data make synthetic --out DIR",
    ),
)

DATASETS: Mapping[str, DatasetKind] = {kind.name: kind for kind in _KINDS}

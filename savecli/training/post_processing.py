"""The bank of captions that Querybank Normalisation needs, compared with the gallery in the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from savecli.core.errors import UsageError
from savecli.datasets.base import Caption, Split
from savecli.model.checkpoint import Checkpoint
from savecli.training.records import Evaluation
from savecli.training.report import Querybank
from savecli.training.session import evaluate_checkpoint

# What Querybank Normalisation (CVPR 2022) takes for cosines.
COSINE_BETA = 20.0
# A larger bank costs more time than it changes; the report says how many there were.
MOST_CAPTIONS = 10_000
# No caption of a dataset names such a group.
_BANK = "\0bank"


def with_bank(split: Split, train: Split | None, *, seed: int = 0) -> Split:
    """The split with captions of the training split spread over its clips; `without_bank` takes them apart again.

    Raises:
        UsageError: there is no training split.
    """
    if train is None or not train.num_captions:
        raise UsageError(
            "querybank normalisation needs captions of the training split",
            why="this dataset has none here",
            fix="leave `--post qb` out",
        )
    texts = sorted({caption.text for clip in train.clips for caption in clip.captions})
    chosen = np.random.default_rng(seed).permutation(len(texts))[:MOST_CAPTIONS]
    bank = [Caption(texts[number], _BANK) for number in sorted(chosen)]
    clips = tuple(
        replace(clip, captions=(*clip.captions, *bank[number :: len(split.clips)]))
        for number, clip in enumerate(split.clips)
    )
    return replace(split, clips=clips)


def without_bank(evaluation: Evaluation, *, logit_scale: float) -> tuple[Evaluation, Querybank]:
    """The evaluation of the split itself, and the bank, from an evaluation of `with_bank`.

    Args:
        logit_scale: what the model's cosines were multiplied by.
    """
    is_bank = np.array([group == _BANK for group in evaluation.groups])

    def kept(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(text for text, is_left_out in zip(texts, is_bank, strict=True) if not is_left_out)

    own = replace(
        evaluation,
        captions=kept(evaluation.captions),
        groups=kept(evaluation.groups),
        video_of_caption=evaluation.video_of_caption[~is_bank],
        similarity=evaluation.similarity[~is_bank],
    )
    return own, Querybank(evaluation.similarity[is_bank], beta=COSINE_BETA / logit_scale)


def evaluate_with_bank(checkpoint: Checkpoint, name: str, root: Path, **options: Any) -> tuple[Evaluation, Querybank]:
    """As `evaluate_checkpoint`, and the bank beside it, without encoding a clip twice.

    Args:
        options: those of `evaluate_checkpoint`.

    Raises:
        UsageError: as `evaluate_checkpoint`, and for the training split, which the bank would be made of itself.
    """
    if options.get("split") == "train":
        raise UsageError(
            "querybank normalisation cannot judge the training split",
            why="its bank is made of that split's captions",
            fix="choose another with `--split`, or leave `--post qb` out",
        )
    found = evaluate_checkpoint(
        checkpoint, name, root, changed=lambda split, dataset: with_bank(split, dataset.train), **options
    )
    return without_bank(found, logit_scale=float(checkpoint.model.logit_scale.detach().exp()))

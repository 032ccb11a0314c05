"""Evaluations made without a model."""

from __future__ import annotations

import numpy as np

from savecli.training.records import Evaluation

GROUPS = ("vision", "sound", "speech")


def built_evaluation(
    *, num_clips: int = 12, captions_each: int = 1, signal: float = 1.0, seed: int = 0, grouped: bool | None = None
) -> Evaluation:
    """Random similarities in which the true clips stand out by `signal`; every third caption is of the same group."""
    rng = np.random.default_rng(seed)
    video_of_caption = np.repeat(np.arange(num_clips), captions_each)
    similarity = rng.normal(size=(len(video_of_caption), num_clips)).astype(np.float32)
    similarity[np.arange(len(video_of_caption)), video_of_caption] += signal
    gates = rng.uniform(-1, 1, (num_clips, 2, 2)).astype(np.float32)
    gates[::3] = np.nan
    return Evaluation(
        dataset="built",
        split="test",
        clip_ids=tuple(f"clip{number}" for number in range(num_clips)),
        captions=tuple(f"caption {number}" for number in range(len(video_of_caption))),
        groups=tuple(GROUPS[number % 3] for number in range(len(video_of_caption))),
        video_of_caption=video_of_caption,
        is_grouped=captions_each > 1 if grouped is None else grouped,
        similarity=similarity,
        num_with_audio=num_clips // 2,
        num_with_speech=num_clips // 4,
        num_missing=2,
        gates={"audio": gates},
    )

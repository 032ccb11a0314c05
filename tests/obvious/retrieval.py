"""The published retrieval numbers (README, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Said = dict[str, Any]
RECALL_AT = (1, 5, 10)


def recalls(ranks: Sequence[int]) -> Said:
    """Of 0-based ranks."""
    return {f"R{k}": 100 * sum(rank < k for rank in ranks) / len(ranks) for k in RECALL_AT}


def square(scores: np.ndarray) -> Said:
    """Of `(N, N)`, whose diagonal is right; a tied row gives all places of the tied block."""
    places = []
    for row, own in zip(scores, scores.diagonal(), strict=True):
        places += [place for place, score in enumerate(sorted(row, reverse=True)) if score == own]
    median = float(np.median(places)) + 1
    return {**recalls(places), "MR": median, "MedianR": median, "MeanR": float(np.mean(places)) + 1, "cols": places}


def both_ways(scores: np.ndarray) -> Said:
    return {"kind": "square", "t2v": square(scores), "v2t": square(scores.T)}


def best_captions(scores: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """`(V, V)`: for each video, its highest score with the captions of each video."""
    return np.stack([own.max(axis=0) for own in np.split(scores, np.cumsum(counts)[:-1])], axis=1)


def text_ranks(scores: np.ndarray, counts: Sequence[int], *, ties: str) -> list[int]:
    """The 0-based place of each caption's own video; it comes `first`, `last` or by column `index` in its block."""
    ranks = []
    for row, own in zip(scores, np.repeat(np.arange(len(counts)), counts), strict=True):
        tied = [column for column, score in enumerate(row) if score == row[own]]
        place = {"first": 0, "last": len(tied) - 1, "index": tied.index(own)}[ties]
        ranks.append(sum(score > row[own] for score in row) + place)
    return ranks


def text_to_video(ranks: Sequence[int]) -> Said:
    return {**recalls(ranks), "MedianR": sorted(ranks)[(len(ranks) - 1) // 2] + 1.0, "MeanR": float(np.mean(ranks)) + 1}


def grouped(scores: np.ndarray, counts: Sequence[int]) -> Said:
    """Of `(T, V)`, captions grouped by video."""
    ranks = {ties: text_ranks(scores, counts, ties=ties) for ties in ("first", "last", "index")}
    said = {ties: text_to_video(own) for ties, own in ranks.items()}
    spread = {"Std_Rank": float(np.std(ranks["index"])), "MR": said["index"]["MedianR"]}
    return {
        "kind": "multi",
        "captions_per_video": list(counts),
        "t2v": said["index"] | spread,
        "v2t": square(best_captions(scores, counts)),
        "t2v_optimistic": said["first"],
        "t2v_pessimistic": said["last"],
        "t2v_ties_by_column_index": said["index"],
        "has_ties": ranks["first"] != ranks["last"],
    }


def padded_captions(scores: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """`(V, most captions, V)`, filled with minus infinity."""
    out = np.full((len(counts), max(counts), len(counts)), -np.inf, scores.dtype)
    for video, own in enumerate(np.split(scores, np.cumsum(counts)[:-1])):
        out[video, : len(own)] = own
    return out

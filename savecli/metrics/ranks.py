"""Where each query's true item stands, and what to make of ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal

import numpy as np
import numpy.typing as npt

from savecli.metrics.scores import Direction, P, Scores

# How a true item counts that others equal: behind them, before them, or as the published systems' code does.
TieRule = Literal["strict", "optimistic", "reference"]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Captions:
    """Which video each text belongs to.

    Args:
        video_of_text: `(num_texts,)` int.
        is_grouped: the protocol for several captions a video; decides how `reference` counts ties and medians.
    """

    video_of_text: Ints
    is_grouped: bool


def one_caption_each(num_videos: int) -> Captions:
    """The square protocol: text n belongs to video n."""
    return Captions(np.arange(num_videos), is_grouped=False)


def grouped_captions(video_of_text: Sequence[int] | Ints) -> Captions:
    """The protocol of several captions a video, also where each has one: every text is a query, videos are looked for
    by the best of their captions."""
    return Captions(np.asarray(video_of_text, np.int64), is_grouped=True)


@dataclass(frozen=True, eq=False)
class Ranks(Generic[P]):
    """What every tie rule needs to know of each query; arrays are `(num_queries,)` int.

    Args:
        num_above: items that score higher than the true one.
        num_tied: items that score the same, the true one included.
        num_tied_before: those of them that stand before it in the gallery.
    """

    direction: Direction
    processing: P
    num_items: int
    num_above: Ints
    num_tied: Ints
    num_tied_before: Ints
    is_grouped: bool

    @property
    def is_ordered_reference(self) -> bool:
        """Whether the reference sorts each text's videos once, instead of counting every tied place."""
        return self.is_grouped and self.direction == "t2v"

    def has_lower_median(self, ties: TieRule) -> bool:
        """Whether the median of an even number of ranks is the lower of the middle two, as in the reference."""
        return ties == "reference" and self.is_ordered_reference

    def places(self, ties: TieRule) -> tuple[Ints, Ints]:
        """1-based ranks, and the query each belongs to.

        `reference` gives a tied query all places of its block, so there may be more ranks than queries; with grouped
        captions and texts as queries, the place that the order of the gallery gives it.
        """
        queries = np.arange(len(self.num_above))
        if ties == "strict":
            return self.num_above + self.num_tied, queries
        if ties == "optimistic":
            return self.num_above + 1, queries
        if self.is_ordered_reference:
            return self.num_above + self.num_tied_before + 1, queries
        first = np.cumsum(self.num_tied) - self.num_tied
        within = np.arange(self.num_tied.sum()) - np.repeat(first, self.num_tied)
        return np.repeat(self.num_above, self.num_tied) + within + 1, np.repeat(queries, self.num_tied)


def ranks(scores: Scores[P], captions: Captions) -> Ranks[P]:
    """Where each query's true item stands; memory is bounded by the scores' blocks, whatever the size.

    With videos as queries an item is a video too: the best-scoring one of its captions stands for it.

    Raises:
        ValueError: a similarity is NaN, captions and scores differ in size, or a video has no caption to be found by.
    """
    truth, starts, order, num_items = _truth(scores, captions)
    num_above, num_tied, num_before = (np.zeros(scores.num_queries, np.int64) for _ in range(3))
    places = np.arange(num_items)
    for rows, values in scores.blocks():
        if starts is not None:
            values = np.maximum.reduceat(values if order is None else values[:, order], starts, axis=1)
        own = truth[rows, None]
        true_score = np.take_along_axis(values, own, axis=1)
        num_above[rows] = (values > true_score).sum(axis=1)
        is_tied = values == true_score
        num_tied[rows] = is_tied.sum(axis=1)
        num_before[rows] = (is_tied & (places < own)).sum(axis=1)
    return Ranks(scores.direction, scores.processing, num_items, num_above, num_tied, num_before, captions.is_grouped)


def _truth(scores: Scores[P], captions: Captions) -> tuple[Ints, Ints | None, Ints | None, int]:
    """Each query's true item; for videos as queries where each video's texts start, in which order, and how many."""
    video_of_text = captions.video_of_text
    texts, videos = scores.num_queries, scores.num_items
    if scores.direction == "v2t":
        texts, videos = videos, texts
    if video_of_text.shape != (texts,) or not texts or video_of_text.min() < 0 or video_of_text.max() >= videos:
        raise ValueError(f"{len(video_of_text)} captions do not fit {texts} texts and {videos} videos")
    if scores.direction == "t2v":
        return video_of_text, None, None, videos
    order = np.argsort(video_of_text, kind="stable")
    present, starts = np.unique(video_of_text[order], return_index=True)
    if len(present) < videos:
        raise ValueError(f"{videos - len(present)} of {videos} videos have no caption to be found by")
    is_sorted = bool((order == np.arange(texts)).all())
    return np.arange(videos), starts, None if is_sorted else order, videos

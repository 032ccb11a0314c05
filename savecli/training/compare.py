"""Whether one system is better than another on the same clips and captions, or only luckier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savecli.core.errors import UsageError
from savecli.metrics.ranks import TieRule
from savecli.metrics.report import RECALL_AT, Interval
from savecli.metrics.scores import Direction
from savecli.training.records import Evaluation
from savecli.training.report import clip_of_query, ranks_in
from savecli.training.resampling import Samples, clip_hits, interval_of, resampled_recalls

# Enough for a p-value of 0.001 to be told from 0.002.
NUM_RESAMPLES = 5000
_DIRECTIONS: tuple[Direction, ...] = ("t2v", "v2t")


@dataclass(frozen=True)
class Difference:
    """One measure of both systems.

    Args:
        measure: `R@1`, `R@5`, `R@10` or `SumR`.
        direction: None is the sum over both.
        difference: second minus first.
        interval: of the difference.
        p_value: two-sided, of no difference.
    """

    direction: Direction | None
    measure: str
    first: float
    second: float
    difference: float
    interval: Interval
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two systems on one split; both were asked the same queries.

    Args:
        selections: how the epoch of each was chosen; "" unknown.
        precisions: what each computed in; "" unknown.
    """

    dataset: str
    split: str
    num_clips: int
    num_captions: int
    num_missing: int
    ties: TieRule
    names: tuple[str, str]
    selections: tuple[str, str]
    precisions: tuple[str, str]
    differences: tuple[Difference, ...]


def compare(
    first: Evaluation,
    second: Evaluation,
    *,
    names: tuple[str, str] = ("A", "B"),
    selections: tuple[str, str] = ("", ""),
    ties: TieRule = "strict",
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> Comparison:
    """Second minus first, by a paired bootstrap: both systems are scored on the same clips, drawn anew each time.

    It tells how far the choice of test clips matters, not how far another seed of the training would.

    Raises:
        UsageError: they are of other clips, captions or protocols.
    """
    _check_same(first, second, names)
    rng = np.random.default_rng(seed)
    num_clips = len(first.clip_ids)
    hits = [
        clip_hits(
            ranks_in(evaluation, direction),
            clip_of_query(evaluation, direction),
            num_clips=num_clips,
            ties=ties,
            ks=RECALL_AT,
        )
        for direction in _DIRECTIONS
        for evaluation in (first, second)
    ]
    seen = [100.0 * item.found.sum(axis=0) / item.listed.sum() for item in hits]
    drawn = resampled_recalls(hits, rng, num_resamples=num_resamples)
    differences: list[Difference] = []
    for number, direction in enumerate(_DIRECTIONS):
        a, b = 2 * number, 2 * number + 1
        moved = drawn[b] - drawn[a]
        for column, k in enumerate(RECALL_AT):
            pair = float(seen[a][column]), float(seen[b][column])
            differences.append(_difference(direction, f"R@{k}", pair, moved[:, column]))
        pair = float(seen[a].sum()), float(seen[b].sum())
        differences.append(_difference(direction, "SumR", pair, moved.sum(axis=1)))
    total = float(seen[0].sum() + seen[2].sum()), float(seen[1].sum() + seen[3].sum())
    moved = (drawn[1] - drawn[0] + drawn[3] - drawn[2]).sum(axis=1)
    differences.append(_difference(None, "SumR", total, moved))
    return Comparison(
        dataset=first.dataset,
        split=first.split,
        num_clips=num_clips,
        num_captions=len(first.captions),
        num_missing=first.num_missing,
        ties=ties,
        names=names,
        selections=selections,
        precisions=(first.precision, second.precision),
        differences=tuple(differences),
    )


def _difference(direction: Direction | None, measure: str, pair: tuple[float, float], moved: Samples) -> Difference:
    # Sums of percents that are equal on paper differ in their last digits.
    moved = moved.round(9)
    tail = min(int((moved <= 0).sum()), int((moved >= 0).sum()))
    return Difference(
        direction=direction,
        measure=measure,
        first=pair[0],
        second=pair[1],
        difference=pair[1] - pair[0],
        interval=interval_of(moved),
        # A draw is never rarer than one in all of them, the real one included.
        p_value=min(1.0, 2 * (tail + 1) / (len(moved) + 1)),
    )


def _check_same(first: Evaluation, second: Evaluation, names: tuple[str, str]) -> None:
    def refuse(why: str) -> UsageError:
        return UsageError(
            f"{names[0]} and {names[1]} cannot be compared",
            why=why,
            fix="evaluate both on the same split of the same files",
        )

    for what in ("dataset", "split", "is_grouped"):
        values = getattr(first, what), getattr(second, what)
        if values[0] != values[1]:
            raise refuse(f"{what}: {values[0]!r} and {values[1]!r}")
    for what, ours, theirs in (
        ("clips", first.clip_ids, second.clip_ids),
        ("captions", first.captions, second.captions),
    ):
        if ours != theirs:
            others = sorted(set(ours) ^ set(theirs))
            differing = f"the first that only one has is {others[0]!r}" if others else "their order differs"
            raise refuse(f"{len(ours)} and {len(theirs)} {what}; {differing}")
    if not np.array_equal(first.video_of_caption, second.video_of_caption):
        raise refuse("captions belong to other clips")
    for name, evaluation in zip(names, (first, second), strict=True):
        if not np.isfinite(evaluation.similarity).all():
            raise refuse(f"similarities of {name} are not numbers")

"""From an evaluation to the numbers that are reported, with all that must stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from savecli.core.errors import SaveError
from savecli.metrics.ranks import Captions, Ints, Ranks, TieRule, ranks
from savecli.metrics.report import RECALL_AT, Interval, RecallIntervals, Report, SumOfRecalls, Table, sum_of_recalls
from savecli.metrics.report import report as numbers_of
from savecli.metrics.scores import (
    Direction,
    Inductive,
    P,
    Raw,
    Scores,
    Transductive,
    dual_softmax,
    querybank_normalised,
    raw_scores,
    reversed_scores,
)
from savecli.training.records import Evaluation
from savecli.training.resampling import Resampled, clip_hits, interval_of, resampled

# Of dual softmax, where similarities are logits.
DUAL_SOFTMAX_TEMPERATURE = 3.0
# How often the clips are drawn anew for an interval.
NUM_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class About:
    """What a number means nothing without.

    Args:
        num_clips: size of the gallery.
        is_grouped: the protocol of several captions a clip.
        num_with_audio, num_with_speech: clips of the gallery; None for a model that does not hear, or read speech.
        num_missing: clips of the split that could not be scored; a smaller gallery is an easier one.
        num_unreadable: those of them whose files are there and cannot be decoded; None unknown.
        dropped: what the annotation files hold and cannot be used, with the reason and how often.
        num_repeated_captions: captions whose text stands before in the split, which tie in the reverse direction.
        selection: how the epoch was chosen; "" unknown.
        checkpoint: what was scored, as the user named it; "" unknown.
        precision: what the model computed in; "" unknown.
    """

    dataset: str
    split: str
    num_clips: int
    num_captions: int
    is_grouped: bool
    num_with_audio: int | None
    num_with_speech: int | None
    num_missing: int
    num_repeated_captions: int
    ties: TieRule
    selection: str = ""
    checkpoint: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    precision: str = ""
    num_unreadable: int | None = None


class RowName(NamedTuple):
    """Which queries a row counts: of a direction, and of a group unless it is ""."""

    direction: Direction
    group: str = ""

    @property
    def key(self) -> str:
        return f"{self.direction} {self.group}".rstrip()


@dataclass(frozen=True)
class Section:
    """The numbers of one kind of scores; raw and post-processed ones never share a table.

    Args:
        names: of the table's rows, in order.
        intervals: by key of the row; empty when none were asked for.
        sum_both: SumR over both directions; None where only one is scored.
    """

    names: tuple[RowName, ...]
    table: Table[Raw] | Table[Inductive] | Table[Transductive]
    intervals: Mapping[str, RecallIntervals]
    sum_both: SumOfRecalls | None
    sum_both_interval: Interval | None

    @property
    def processing(self) -> Raw | Inductive | Transductive:
        return self.rows[self.names[0].key].processing  # type: ignore[no-any-return]

    @property
    def rows(self) -> Mapping[str, Report[Any]]:
        return self.table.rows


@dataclass(frozen=True)
class EvaluationReport:
    """All tables of an evaluation; the raw one comes first."""

    about: About
    sections: tuple[Section, ...]


@dataclass(frozen=True, eq=False)
class Querybank:
    """Captions of the training split compared with the gallery.

    Args:
        similarity: `(N, V)` logits.
        beta: of these logits; Querybank Normalisation takes 20 for cosines.
    """

    similarity: npt.NDArray[np.float32]
    beta: float


def report_of(
    evaluation: Evaluation,
    *,
    ties: TieRule = "strict",
    intervals: bool = True,
    seed: int = 0,
    by_group: bool = False,
    with_dual_softmax: bool = False,
    querybank: Querybank | None = None,
    selection: str = "",
    checkpoint: str = "",
) -> EvaluationReport:
    """The numbers of a split, raw first; post-processed ones in sections of their own.

    Args:
        intervals: also where recall and ranks would lie, were the clips drawn anew.
        by_group: also rows for the captions of each group; none where no caption has a group.
        querybank: adds a section for texts as queries, which the bank is made of.

    Raises:
        SaveError: a similarity is not a number.
    """
    if not np.isfinite(evaluation.similarity).all():
        raise SaveError(
            f"the similarities of {evaluation.split} are not numbers",
            why="the model's weights have diverged",
            fix="evaluate an earlier checkpoint",
        )
    work = _Work(evaluation, ties, np.random.default_rng(seed) if intervals else None, by_group)
    texts = raw_scores(evaluation.similarity)
    clips = reversed_scores(texts)
    sections = [_section(work, texts, clips)]
    if with_dual_softmax:
        both = (dual_softmax(scores, temperature=DUAL_SOFTMAX_TEMPERATURE) for scores in (texts, clips))
        sections.append(_section(work, *both))
    if querybank is not None:
        bank = raw_scores(querybank.similarity)
        sections.append(_section(work, querybank_normalised(texts, bank, beta=querybank.beta)))
    return EvaluationReport(_about(evaluation, ties, selection, checkpoint), tuple(sections))


def ranks_in(evaluation: Evaluation, direction: Direction) -> Ranks[Raw]:
    """Where each query's true item stands in raw similarities."""
    texts = raw_scores(evaluation.similarity)
    return ranks(texts if direction == "t2v" else reversed_scores(texts), captions_of(evaluation))


def captions_of(evaluation: Evaluation) -> Captions:
    """Which clip each caption tells of, by the split's protocol."""
    return Captions(evaluation.video_of_caption, is_grouped=evaluation.is_grouped)


def clip_of_query(evaluation: Evaluation, direction: Direction) -> Ints:
    """The clip that each query tells of, or is."""
    return evaluation.video_of_caption if direction == "t2v" else np.arange(len(evaluation.clip_ids))


def groups_in(evaluation: Evaluation) -> tuple[str, ...]:
    """The groups that captions name; empty when none does."""
    found = dict.fromkeys(evaluation.groups)
    known = [name for name in ("vision", "sound", "speech") if name in found]
    return (*known, *(name for name in found if name and name not in known))


class _Work(NamedTuple):
    """What every section is made with; `rng` is None without intervals."""

    evaluation: Evaluation
    ties: TieRule
    rng: np.random.Generator | None
    by_group: bool


def _section(work: _Work, *scores: Scores[P]) -> Section:
    captions = captions_of(work.evaluation)
    held = {RowName(item.direction): ranks(item, captions) for item in scores}
    whole = tuple(held)
    if work.by_group:
        texts = held[RowName("t2v")]
        labels = np.asarray(work.evaluation.groups)
        held |= {RowName("t2v", name): _some(texts, labels == name) for name in groups_in(work.evaluation)}
    rows = {name.key: numbers_of(item, ties=work.ties) for name, item in held.items()}
    intervals, both = _intervals(work, held, whole)
    has_both = len(whole) == 2
    table: Any = Table(rows)
    return Section(
        names=tuple(held),
        table=table,
        intervals=intervals,
        sum_both=sum_of_recalls(*(rows[name.key] for name in whole)) if has_both else None,
        sum_both_interval=both if has_both else None,
    )


def _some(held: Ranks[P], is_kept: npt.NDArray[np.bool_]) -> Ranks[P]:
    """The ranks of some queries, in the whole gallery."""
    return replace(
        held,
        num_above=held.num_above[is_kept],
        num_tied=held.num_tied[is_kept],
        num_tied_before=held.num_tied_before[is_kept],
    )


def _intervals(
    work: _Work, held: Mapping[RowName, Ranks[Any]], whole: tuple[RowName, ...]
) -> tuple[dict[str, RecallIntervals], Interval | None]:
    """By row, and of the sum over the whole directions, whose clips are drawn together."""
    if work.rng is None:
        return {}, None
    evaluation, labels = work.evaluation, np.asarray(work.evaluation.groups)
    samples: dict[RowName, Resampled] = {}
    for names in (whole, *((name,) for name in held if name not in whole)):
        hits = []
        for name in names:
            clips = clip_of_query(evaluation, name.direction)
            clips = clips[labels == name.group] if name.group else clips
            num_clips = len(evaluation.clip_ids)
            hits.append(clip_hits(held[name], clips, num_clips=num_clips, ties=work.ties, ks=RECALL_AT))
        drawn = resampled(hits, work.rng, num_resamples=NUM_RESAMPLES)
        samples |= dict(zip(names, drawn, strict=True))
    by_row = {
        name.key: RecallIntervals(
            {k: interval_of(item.recalls[:, column]) for column, k in enumerate(RECALL_AT)},
            interval_of(item.recalls.sum(axis=1)),
            interval_of(item.medians),
            interval_of(item.means),
        )
        for name, item in samples.items()
    }
    total = np.sum([samples[name].recalls.sum(axis=1) for name in whole], axis=0)
    return by_row, interval_of(total)


def _known(evaluation: Evaluation, signal: str, count: int) -> int | None:
    """The count, unless the model takes no notice of the signal: then nobody looked for it."""
    return count if count or signal in evaluation.gates else None


def _about(evaluation: Evaluation, ties: TieRule, selection: str, checkpoint: str) -> About:
    return About(
        dataset=evaluation.dataset,
        split=evaluation.split,
        num_clips=len(evaluation.clip_ids),
        num_captions=len(evaluation.captions),
        is_grouped=evaluation.is_grouped,
        num_with_audio=_known(evaluation, "audio", evaluation.num_with_audio),
        num_with_speech=_known(evaluation, "speech", evaluation.num_with_speech),
        num_missing=evaluation.num_missing,
        num_repeated_captions=len(evaluation.captions) - len(set(evaluation.captions)),
        ties=ties,
        selection=selection,
        checkpoint=checkpoint,
        dropped=evaluation.dropped,
        precision=evaluation.precision,
        num_unreadable=evaluation.num_unreadable,
    )

"""From candidates to ranked videos: ranks are fused, neighbouring clips merged, moments grouped by video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from savecli.archive.schema import ClipRow
from savecli.core.records import Span
from savecli.search.candidates import Candidates
from savecli.search.confidence import Level, confidence_of, joint_level, words_level
from savecli.search.matching import QueryTerms, coverage, evidence, match_spans, matched_terms
from savecli.search.results import Moment, Ranks
from savecli.search.senses import SenseShare, shares_of
from savecli.search.snippets import make_snippet

# Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): score = sum of 1 / (K + rank). K and the weights are
# chosen by measurement (`benchmarks/confidence.py`); docs/search.md gives the reasons.
RRF_K = 10
# Evidence that is not believed in itself must not outvote evidence that is: its rank counts for less.
VECTOR_WEIGHT = {Level.HIGH: 1.0, Level.MEDIUM: 0.6, Level.LOW: 0.2}
# One word of many tells next to nothing, where the nearest vector is at least near.
WORDS_WEIGHT = {Level.HIGH: 1.0, Level.MEDIUM: 0.6, Level.LOW: 0.05}

MAX_MOMENTS_PER_VIDEO = 3
# A moment of more clips than this is a passage, not a moment.
MAX_CLIPS_PER_MOMENT = 4


@dataclass(frozen=True)
class Part:
    """What one kind of evidence adds to a clip's score.

    Args:
        evidence: where from; a query has either `matched` or `seen`, as in `Ranks`.
        rank: 1-based place among all that it proposed.
        weight: what a first place adds.
        terms: of the query, those that were found in what is said, or in the name.
    """

    evidence: Literal["matched", "seen", "said", "name"]
    rank: int
    level: Level
    weight: float
    terms: frozenset[str] = frozenset()

    @property
    def score(self) -> float:
        """What the place adds; `weight` at the first."""
        return self.weight * (RRF_K + 1) / (RRF_K + self.rank)


@dataclass(frozen=True)
class Basis:
    """Where the score of a moment comes from: its best clip, and the first of equals.

    Args:
        terms: of the query, those that are said in the moment.
        gain: how many times the score of that clip the moment has, as its clips together are believed more.
    """

    clip_id: str
    span: Span
    parts: tuple[Part, ...]
    terms: frozenset[str]
    gain: float


@dataclass(frozen=True)
class ScoredClip:
    """A candidate clip with all its evidence. `matched` are the query terms its words hold, `logit` as in `Moment`."""

    clip: ClipRow
    ranks: Ranks
    parts: tuple[Part, ...]
    matched: frozenset[str]
    logit: float | None = None
    senses: tuple[SenseShare, ...] = ()

    @cached_property
    def score(self) -> float:
        """What all kinds of evidence add."""
        return sum(part.score for part in self.parts)

    @cached_property
    def level(self) -> Level:
        """How far all kinds of evidence together can be believed."""
        return joint_level(part.level for part in self.parts)


@dataclass(frozen=True)
class ScoredMoment:
    """A moment before its snippet is cut, which is done only for what is shown. `text` is all that is said in it."""

    moment: Moment
    level: Level
    text: str
    matched: frozenset[str]

    def with_snippet(self, query: QueryTerms) -> Moment:
        """The moment with the passage that matches best, unless it has one already."""
        if self.moment.snippet is not None:
            return self.moment
        matches = match_spans(self.text, query) if self.matched else ()
        return replace(self.moment, snippet=make_snippet(self.text, matches))


@dataclass(frozen=True)
class ScoredVideo:
    """A video with its best moments, best first."""

    video_id: str
    score: float
    level: Level
    moments: tuple[ScoredMoment, ...]


def fuse_ranks(*orders: Sequence[str]) -> list[str]:
    """Ids of all `orders`, by reciprocal rank fusion; ties by the order in which they came."""
    scores: dict[str, float] = defaultdict(float)
    for order in orders:
        for rank, name in enumerate(order, start=1):
            scores[name] += 1 / (RRF_K + rank)
    return sorted(scores, key=lambda name: -scores[name])


def score_clips(candidates: Candidates, clips: Iterable[ClipRow], query: QueryTerms) -> list[ScoredClip]:
    """Every candidate clip with its ranks, levels and fused score.

    Args:
        candidates: what each kind of evidence proposed.
        clips: rows of all of them; of those found by their words with the text.
        query: the terms asked for.
    """
    said_order = fuse_ranks([clip.clip_id for clip in candidates.said.clips], candidates.meant.clip_ids)
    places = _Places(
        seen=candidates.seen.places(),
        said={clip_id: rank for rank, clip_id in enumerate(said_order, start=1)},
        named={video_id: rank for rank, video_id in enumerate(candidates.named, start=1)},
        seen_level=dict(zip(candidates.seen.clip_ids, candidates.seen.levels, strict=True)),
        meant_level=dict(zip(candidates.meant.clip_ids, candidates.meant.levels, strict=True)),
        logits=dict(zip(candidates.seen.clip_ids, candidates.seen.logits, strict=False)),
    )
    return [_scored_clip(clip, candidates, places, query) for clip in clips]


@dataclass(frozen=True)
class _Places:
    """What was proposed, by clip id; `named` by video id. Ranks are 1-based."""

    seen: Mapping[str, int]
    said: Mapping[str, int]
    named: Mapping[str, int]
    seen_level: Mapping[str, Level]
    meant_level: Mapping[str, Level]
    logits: Mapping[str, float]


def _scored_clip(clip: ClipRow, candidates: Candidates, places: _Places, query: QueryTerms) -> ScoredClip:
    seen, said = places.seen.get(clip.clip_id), places.said.get(clip.clip_id)
    named = places.named.get(clip.video_id)
    in_words = matched_terms(clip.text, query) if said is not None else frozenset()
    in_name = matched_terms(candidates.named[clip.video_id], query) if named is not None else frozenset()
    parts: list[Part] = []
    if seen is not None:
        level = places.seen_level[clip.clip_id]
        parts.append(Part("matched" if candidates.is_fused else "seen", seen, level, VECTOR_WEIGHT[level]))
    if said is not None:
        level = words_level(coverage(in_words, query), evidence(in_words, query))
        level = max(level, places.meant_level.get(clip.clip_id, Level.LOW))
        parts.append(Part("said", said, level, WORDS_WEIGHT[level], in_words))
    if named is not None:
        # What the name leaves out may be said: "stiff person" in neurology-03.mp4.
        together = in_words | in_name
        level = words_level(coverage(together, query), evidence(together, query))
        parts.append(Part("name", named, level, WORDS_WEIGHT[level], in_name))
    is_fused = candidates.is_fused
    ranks = Ranks(matched=seen if is_fused else None, seen=None if is_fused else seen, said=said, named=named)
    cosines = candidates.seen.senses.get(clip.clip_id)
    senses = shares_of(cosines) if cosines is not None and is_fused else ()
    return ScoredClip(clip, ranks, tuple(parts), in_words, places.logits.get(clip.clip_id), senses)


def contenders(clips: Iterable[ScoredClip], *, limit: int) -> set[str]:
    """Ids of the videos that can be among the best `limit`, or the best `limit` that are believed.

    The score of a video is that of one of its clips, unless neighbouring clips are merged: a video where that may
    happen stays in.
    """
    by_video = _by_video(clips)
    best = {video_id: max(clip.score for clip in members) for video_id, members in by_video.items()}
    believed = {
        video_id: max(clip.score for clip in members if clip.level > Level.LOW)
        for video_id, members in by_video.items()
        if any(clip.level > Level.LOW for clip in members)
    }
    kept = {video_id for video_id, members in by_video.items() if _may_merge(members)}
    for scores in (best, believed):
        kept.update(sorted(scores, key=lambda video_id: (-scores[video_id], video_id))[:limit])
    return kept


def _may_merge(clips: Sequence[ScoredClip]) -> bool:
    joining = {clip.clip.clip_idx for clip in clips if clip.level > Level.LOW or clip.matched}
    return any(idx + 1 in joining or idx - 1 in joining for idx in (clip.clip.clip_idx for clip in clips))


def _by_video(clips: Iterable[ScoredClip]) -> dict[str, list[ScoredClip]]:
    by_video: dict[str, list[ScoredClip]] = defaultdict(list)
    for clip in clips:
        by_video[clip.clip.video_id].append(clip)
    return by_video


def group_by_video(clips: Iterable[ScoredClip], query: QueryTerms) -> list[ScoredVideo]:
    """Videos by their best moment, best first; equal scores by video id, so that the order is stable."""
    videos = [_scored_video(video_id, members, query) for video_id, members in _by_video(clips).items()]
    return sorted(videos, key=lambda video: (-video.score, video.video_id))


def _scored_video(video_id: str, clips: list[ScoredClip], query: QueryTerms) -> ScoredVideo:
    found = [_moment(group, query) for group in _moment_groups(clips, query)]
    # What is believed comes first: a first place among clips that all do not match may score higher than it.
    found.sort(key=lambda scored: (scored.level == Level.LOW, -scored.moment.score, scored.moment.start_s))
    return ScoredVideo(video_id, found[0].moment.score, found[0].level, tuple(found[:MAX_MOMENTS_PER_VIDEO]))


def _moment_groups(clips: list[ScoredClip], query: QueryTerms) -> list[list[ScoredClip]]:
    """Runs of neighbouring clips around each of the best ones; every clip in one run.

    A neighbour joins when it is convincing by itself or says words of the query that the run lacks.
    """
    free = {clip.clip.clip_idx: clip for clip in clips}
    groups: list[list[ScoredClip]] = []
    for seed in sorted(clips, key=lambda clip: (-clip.score, clip.clip.clip_idx)):
        if seed.clip.clip_idx not in free:
            continue
        group = [free.pop(seed.clip.clip_idx)]
        while len(group) < MAX_CLIPS_PER_MOMENT:
            matched = frozenset().union(*(clip.matched for clip in group))
            around = (group[0].clip.clip_idx - 1, group[-1].clip.clip_idx + 1)
            joining = [
                free[idx]
                for idx in around
                if idx in free and (free[idx].level > Level.LOW or query.content & free[idx].matched - matched)
            ]
            if not joining:
                break
            best = max(joining, key=lambda clip: (clip.score, -clip.clip.clip_idx))
            del free[best.clip.clip_idx]
            group = sorted([*group, best], key=lambda clip: clip.clip.clip_idx)
        groups.append(group)
    return groups


def _moment(group: list[ScoredClip], query: QueryTerms) -> ScoredMoment:
    text = " ".join(clip.clip.text for clip in group if clip.clip.text)
    matched = frozenset().union(*(clip.matched for clip in group))
    level = max(clip.level for clip in group)
    best = max(group, key=lambda clip: (clip.score, -clip.clip.clip_idx))
    gain = 1.0
    together = words_level(coverage(matched, query), evidence(matched, query)) if matched else Level.LOW
    if together > level:
        said = max((part for clip in group for part in clip.parts if part.evidence == "said"), key=_score)
        gain += (WORDS_WEIGHT[together] / said.weight - 1) * said.score / best.score
        level = together
    moment = Moment(
        start_s=group[0].clip.start_s,
        end_s=group[-1].clip.end_s,
        score=round(best.score * gain, 6),
        confidence=confidence_of(level),
        ranks=_best_ranks(clip.ranks for clip in group),
        logit=max((clip.logit for clip in group if clip.logit is not None), default=None),
        senses=best.senses,
        basis=Basis(best.clip.clip_id, Span(best.clip.start_s, best.clip.end_s), best.parts, matched, gain),
    )
    return ScoredMoment(moment, level, text, matched)


def _score(part: Part) -> float:
    return part.score


def _best_ranks(ranks: Iterable[Ranks]) -> Ranks:
    ranks = list(ranks)

    def best(places: Iterable[int | None]) -> int | None:
        return min((place for place in places if place is not None), default=None)

    return Ranks(
        matched=best(rank.matched for rank in ranks),
        seen=best(rank.seen for rank in ranks),
        said=best(rank.said for rank in ranks),
        named=best(rank.named for rank in ranks),
    )

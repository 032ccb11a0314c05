"""One search over all kinds of evidence: candidates of each, the model's own similarity, ranks fused by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from savecli.archive.calibration import read_calibration
from savecli.archive.schema import ClipRow, VideoRow
from savecli.archive.store import Archive
from savecli.search.candidates import (
    Candidates,
    Compared,
    Signal,
    by_cosine,
    clips_by_words,
    compared_clips,
    fetch_clips,
    nearest_clips,
    num_candidates,
    videos_by_name,
)
from savecli.search.exact import proposal_by_logits
from savecli.search.example import QueryVector, QueryVectors
from savecli.search.filters import Eligible
from savecli.search.matching import QueryTerms
from savecli.search.rank import ScoredClip, ScoredVideo, contenders, group_by_video, score_clips
from savecli.search.terms import Term

# Clips found by their words that are compared by vectors as well.
NUM_WORDS_COMPARED = 20
# Clips found by the vectors of their words whose words are read before they are scored.
NUM_MEANT_READ = 20
_NAMES_PER_VIDEO = 5
_MIN_NAMES = 50
# Videos completed beyond those asked for, as some are taken out that nobody can see.
_SPARE = 5


@dataclass(frozen=True, kw_only=True)
class HybridQuery:
    """What to look for.

    Args:
        terms: to be found as words; none for a query by example.
        vectors: to be found by.
        matching: the same words as index terms.
        signals: kinds of evidence to use.
        limit: videos asked for.
        is_judged: whether the archive's calibration says what its cosines are worth.
    """

    terms: Sequence[Term]
    vectors: QueryVectors
    matching: QueryTerms
    signals: frozenset[Signal]
    limit: int
    is_judged: bool


@dataclass(frozen=True)
class Found:
    """Videos, best first, and their files by content."""

    videos: list[ScoredVideo]
    files: Mapping[str, list[VideoRow]]


def search_hybrid(archive: Archive, query: HybridQuery, eligible: Eligible) -> Found:
    """The videos that may be among the best `limit`, in their order, and perhaps more.

    Candidates are scored by their ids first. Only then are rows read, of the few that can come to be shown.
    """
    if eligible.is_nobody:
        return Found([], {})
    candidates = find_candidates(archive, query, eligible)
    read = _read_meant(archive, query, candidates)
    scored = score_clips(candidates, _known_clips(candidates, read), query.matching)
    for limit in (query.limit + _SPARE, len(scored)):
        videos = contenders(scored, limit=limit)
        found = _complete(archive, scored, query, eligible, videos)
        if len(found.videos) >= query.limit or len(found.files) == len(videos):
            break
    return found


def _complete(
    archive: Archive, scored: Sequence[ScoredClip], query: HybridQuery, eligible: Eligible, videos: set[str]
) -> Found:
    """Some videos with their files and moments; without those that nobody can see."""
    scored = [clip for clip in scored if clip.clip.video_id in videos]
    files_read = archive.pool.submit(eligible.files, archive, videos)
    unread = [clip.clip.clip_id for clip in scored if clip.clip.is_bare]
    rows = {clip.clip_id: clip for clip in fetch_clips(archive, unread)}
    files = files_read.result()
    complete = [
        replace(clip, clip=rows.get(clip.clip.clip_id, clip.clip))
        for clip in scored
        # A clip without a video row belongs to a video that is being written at this moment.
        if clip.clip.video_id in files
    ]
    return Found(group_by_video([clip for clip in complete if not clip.clip.is_bare], query.matching), files)


def find_candidates(archive: Archive, query: HybridQuery, eligible: Eligible) -> Candidates:
    """What each kind of evidence proposes; they are asked side by side."""
    encoder = archive.manifest.encoder
    table = archive.vector_table(encoder)
    scoring = encoder.scoring if encoder is not None else None
    candidates = Candidates(is_fused=encoder is not None and encoder.is_fused)
    count = num_candidates(query.limit)
    seen = query.vectors.seen if "seen" in query.signals else None
    # A model of ours makes no vector of words alone.
    meant = query.vectors.said if "said" in query.signals and scoring is None else None
    near = archive.pool.submit(_nearest, table, "seen", seen, eligible, count, with_frames=scoring is not None)
    near_words = archive.pool.submit(_nearest, table, "said", meant, eligible, count)
    of_names = archive.pool.submit(_named, archive, query, eligible)
    of_words = Compared()
    if "said" in query.signals:
        candidates.said = clips_by_words(archive, query.terms, eligible, count=count // 2)
    if scoring is not None and seen is not None and table is not None:
        best = [clip.clip_id for clip in candidates.said.clips[:NUM_WORDS_COMPARED]]
        of_words = compared_clips(table, "seen", best, with_frames=True)
    calibration = read_calibration(archive, encoder) if query.is_judged and encoder is not None else None
    candidates.named = of_names.result()
    if meant is not None:
        candidates.meant = by_cosine(near_words.result(), meant.judged, "said", calibration)
    if seen is not None and scoring is None:
        candidates.seen = by_cosine(near.result(), seen.judged, "seen", calibration)
    elif seen is not None and scoring is not None:
        compared = near.result().joined(of_words)
        candidates.seen = proposal_by_logits(compared, seen.unit, scoring, calibration, judged=seen.judged)
    return candidates


def _named(archive: Archive, query: HybridQuery, eligible: Eligible) -> Mapping[str, str]:
    count = max(_MIN_NAMES, _NAMES_PER_VIDEO * query.limit)
    return videos_by_name(archive, query.terms, eligible, count=count) if "named" in query.signals else {}


def _nearest(
    table: Any | None,
    column: str,
    vector: QueryVector | None,
    eligible: Eligible,
    count: int,
    *,
    with_frames: bool = False,
) -> Compared:
    if table is None or vector is None:
        return Compared()
    return nearest_clips(table, column, vector.unit, eligible, count=count, with_frames=with_frames)


def _read_meant(archive: Archive, query: HybridQuery, candidates: Candidates) -> list[ClipRow]:
    """Rows of the best clips by vectors of words that may say words of the query without being found by them.

    That is so where more clips hold words of the query than `find_candidates` asks for.
    """
    found = {clip.clip_id for clip in candidates.said.clips}
    # Where terms are subtracted, a clip may be missing because it holds them, and its words are no evidence.
    if len(found) < num_candidates(query.limit) // 2 or any(term.weight < 0 for term in query.terms):
        return []
    best = candidates.meant.clip_ids[:NUM_MEANT_READ]
    return fetch_clips(archive, [clip_id for clip_id in best if clip_id not in found])


def _known_clips(candidates: Candidates, read: Sequence[ClipRow]) -> list[ClipRow]:
    """A row of every candidate: as it was read with its words, or bare. A name alone points at the beginning."""
    rows = {clip.clip_id: clip for clip in (*candidates.said.clips, *read)}
    wanted = [*candidates.seen.clip_ids, *candidates.meant.clip_ids, *(f"{video}:0" for video in candidates.named)]
    return list({**{clip_id: ClipRow.bare(clip_id) for clip_id in wanted}, **rows}.values())

"""One search over all kinds of evidence: candidates of each, the model's own similarity, ranks fused by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from savecli.archive.calibration import read_calibration
from savecli.archive.schema import ClipRow, VideoRow
from savecli.archive.store import Archive, VectorTables
from savecli.search.candidates import (
    Candidates,
    Signal,
    by_cosine,
    clips_by_words,
    fetch_clips,
    nearest_clips,
    num_candidates,
    videos_by_name,
)
from savecli.search.exact import proposal_by_logits
from savecli.search.example import QueryVector, QueryVectors
from savecli.search.filters import Eligible
from savecli.search.matching import QueryTerms
from savecli.search.rank import ScoredVideo, contenders, group_by_video, score_clips
from savecli.search.terms import Term

# Clips found by their words whose vectors are looked at as well, where these did not find them.
NUM_WORDS_COMPARED = 20
# Videos completed for each that is asked for, as some are taken out that nobody can see.
_SPARE = 3

Nearest = Mapping[str, npt.NDArray[np.float32]]
_NONE_NEAR: Nearest = {}


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
    scored = score_clips(candidates, _known_clips(candidates), query.matching)
    videos = contenders(scored, limit=_SPARE * query.limit)
    scored = [clip for clip in scored if clip.clip.video_id in videos]
    with ThreadPoolExecutor(2) as pool:
        files_read = pool.submit(eligible.files, archive, videos)
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
    count = num_candidates(query.limit)
    encoder = archive.manifest.encoder
    tables = archive.vector_tables(encoder)
    candidates = Candidates(is_fused=encoder is not None and encoder.is_fused)
    # A model of ours makes no vector of words alone.
    seen = query.vectors.seen if "seen" in query.signals else None
    meant = query.vectors.said if "said" in query.signals and encoder is not None and encoder.scoring is None else None
    with ThreadPoolExecutor(4) as pool:
        near = pool.submit(_nearest, tables, "seen", seen, eligible, count)
        near_words = pool.submit(_nearest, tables, "said", meant, eligible, count)
        if "named" in query.signals:
            named = pool.submit(videos_by_name, archive, query.terms, eligible, count=count)
        if "said" in query.signals:
            candidates.said = clips_by_words(archive, query.terms, eligible, count=count // 2)
        if "named" in query.signals:
            candidates.named = named.result()
    if encoder is None or tables is None:
        return candidates
    calibration = read_calibration(archive, encoder) if query.is_judged else None
    if meant is not None:
        candidates.meant = by_cosine(near_words.result(), meant.judged, "said", calibration)
    if seen is not None and encoder.scoring is None:
        candidates.seen = by_cosine(near.result(), seen.judged, "seen", calibration)
    elif seen is not None and encoder.scoring is not None:
        by_words = [clip.clip_id for clip in candidates.said.clips[:NUM_WORDS_COMPARED]]
        candidates.seen = proposal_by_logits(
            tables,
            near.result(),
            by_words,
            seen.unit,
            encoder.scoring,
            calibration,
            judged=seen.judged,
            count=count // 2,
        )
    return candidates


def _nearest(
    tables: VectorTables | None, column: str, vector: QueryVector | None, eligible: Eligible, count: int
) -> Nearest:
    if tables is None or vector is None:
        return _NONE_NEAR
    return nearest_clips(tables, column, vector.unit, eligible, count=count)


def _known_clips(candidates: Candidates) -> list[ClipRow]:
    """A row of every candidate: as it was read with its words, or bare. A name alone points at the beginning."""
    rows = {clip.clip_id: clip for clip in candidates.said.clips}
    wanted = [*candidates.seen.clip_ids, *candidates.meant.clip_ids, *(f"{video}:0" for video in candidates.named)]
    return list({**{clip_id: ClipRow.bare(clip_id) for clip_id in wanted}, **rows}.values())

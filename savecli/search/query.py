"""One query over sight, speech and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from savecli.archive.calibration import read_calibration
from savecli.archive.paths import real_path
from savecli.archive.plan import is_gone
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.core.errors import UsageError
from savecli.search.candidates import (
    Candidates,
    clips_by_vector,
    clips_by_words,
    fetch_clips,
    is_searchable,
    nearest_clips,
    num_candidates,
    videos_by_name,
)
from savecli.search.confidence import Level
from savecli.search.exact import proposal_by_logits
from savecli.search.filters import Eligible, Filters, eligible_videos
from savecli.search.matching import QueryTerms, query_terms
from savecli.search.phrase import find_phrase
from savecli.search.rank import ScoredVideo, group_by_video, score_clips
from savecli.search.results import Answer, VideoHit

EncodeText = Callable[[Sequence[str]], npt.NDArray[np.float32]]
Signal = Literal["seen", "said", "named"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks.

    Args:
        text: the query; with `is_phrase` the exact words.
        limit: videos at most.
        signals: kinds of evidence to use; `seen` stands for the vectors, also where these hold more than sight.
        show_all: also videos whose match is not believable.
    """

    text: str
    limit: int = 10
    signals: frozenset[Signal] = frozenset({"seen", "said", "named"})
    is_phrase: bool = False
    show_all: bool = False
    filters: Filters = field(default_factory=Filters)


def needs_text_encoder(archive: Archive, request: Request) -> bool:
    """Whether answering takes the encoder's text side; phrases and archives of words alone do without.

    So does what is said in an archive of a model of ours, which makes no vectors of words alone.
    """
    encoder = archive.manifest.encoder
    if request.is_phrase or encoder is None or encoder.dimension == 0:
        return False
    return encoder.scoring is None or "seen" in request.signals


def search_videos(archive: Archive, request: Request, *, encode_text: EncodeText | None = None) -> Answer:
    """Ranked videos with their moments.

    Args:
        archive: where to look.
        request: what for.
        encode_text: the encoder's text side, `(N, D)` unit vectors; required when `needs_text_encoder` says so.

    Raises:
        UsageError: the query holds nothing to look for, or asks for evidence the archive does not have.
    """
    _check(archive, request)
    eligible = eligible_videos(archive, request.filters)
    query = query_terms(request.text, language=archive.manifest.language)
    if request.is_phrase:
        found = find_phrase(archive, request.text, eligible, limit=request.limit)
    else:
        found = _search_hybrid(archive, request, query, eligible, encode_text)
    believable = found if request.show_all else [_believable(video) for video in found if video.level > Level.LOW]
    shown = believable[: request.limit] or found[:1]
    files = eligible.files(archive, [video.video_id for video in shown])
    hits = [_hit(video, query, files[video.video_id], rank) for rank, video in enumerate(shown, start=1)]
    return Answer(
        query=request.text,
        encoder=archive.manifest.encoder.name if archive.manifest.encoder else "words",
        videos=tuple(hits) if believable else (),
        best=hits[0] if hits and not believable else None,
        notes=_notes(archive, request),
    )


def _search_hybrid(
    archive: Archive, request: Request, query: QueryTerms, eligible: Eligible, encode_text: EncodeText | None
) -> list[ScoredVideo]:
    candidates = _candidates(archive, request, eligible, encode_text)
    rows = {clip.clip_id: clip for clip in candidates.said.clips}
    wanted = {*candidates.seen.clip_ids, *candidates.meant.clip_ids}
    wanted |= {f"{video_id}:0" for video_id in candidates.named}  # a name alone points at the beginning
    rows |= {clip.clip_id: clip for clip in fetch_clips(archive, sorted(wanted - rows.keys()))}
    files = eligible.files(archive, {clip.video_id for clip in rows.values()})
    titles = {video_id: " ".join(file.title for file in members) for video_id, members in files.items()}
    # A clip without a video row belongs to a video that is being written at this moment.
    clips = [clip for clip in rows.values() if clip.video_id in files]
    return group_by_video(score_clips(candidates, clips, titles, query), query)


def _candidates(archive: Archive, request: Request, eligible: Eligible, encode_text: EncodeText | None) -> Candidates:
    candidates = Candidates()
    count = num_candidates(request.limit)
    if "said" in request.signals:
        candidates.said = clips_by_words(archive, request.text, eligible, count=count)
    if "named" in request.signals:
        candidates.named = videos_by_name(archive, request.text, eligible, count=count)
    encoder = archive.manifest.encoder
    tables = archive.vector_tables(encoder)
    if encoder is not None and tables is not None and encode_text is not None:
        vector = encode_text([request.text])[0]
        calibration = read_calibration(archive, encoder)
        candidates.is_fused = encoder.is_fused
        if "seen" in request.signals and encoder.scoring is None:
            candidates.seen = clips_by_vector(tables, "seen", vector, eligible, calibration, count=count)
        elif "seen" in request.signals and encoder.scoring is not None:
            nearest = nearest_clips(tables, "seen", vector, eligible, count=count)
            by_words = [clip.clip_id for clip in candidates.said.clips]
            candidates.seen = proposal_by_logits(tables, nearest, by_words, vector, encoder.scoring, calibration)
        if "said" in request.signals and encoder.scoring is None:  # a model of ours makes no vector of words alone
            candidates.meant = clips_by_vector(tables, "said", vector, eligible, calibration, count=count)
    return candidates


def _check(archive: Archive, request: Request) -> None:
    if not is_searchable(request.text):
        raise UsageError(
            "there is nothing to look for", why=f"the query is {request.text!r}", fix='save query "a dog on a beach"'
        )
    encoder = archive.manifest.encoder
    if request.signals == {"seen"} and (encoder is None or encoder.dimension == 0):
        raise UsageError(
            "this archive cannot be searched by sight",
            why="it was indexed with the encoder `words`, which looks at no pictures",
            fix=f"save models pull clip && save index --encoder clip --rebuild --archive {archive.folder}",
        )


def _notes(archive: Archive, request: Request) -> tuple[str, ...]:
    encoder = archive.manifest.encoder
    if request.signals == {"seen"} and encoder is not None and encoder.is_fused and not request.is_phrase:
        senses = " and ".join(sense for sense in encoder.senses if sense != "seen")
        return (f"This archive's vectors also hold what is {senses}: a match need not be one of sight.",)
    return ()


def _believable(video: ScoredVideo) -> ScoredVideo:
    """The video without the moments that only have company."""
    return replace(video, moments=tuple(moment for moment in video.moments if moment.level > Level.LOW))


def _hit(video: ScoredVideo, query: QueryTerms, files: Sequence[VideoRow], rank: int) -> VideoHit:
    paths = [str(real_path(file.path)) for file in files]
    there = [path for path in paths if not is_gone(Path(path))]
    shown = there[0] if there else paths[0]
    return VideoHit(
        rank=rank,
        path=shown,
        root=str(real_path(files[paths.index(shown)].root)),
        video_id=video.video_id,
        score=video.score,
        moments=tuple(moment.with_snippet(query) for moment in video.moments),
        also_at=tuple(path for path in paths if path != shown),
        is_available=bool(there),
    )

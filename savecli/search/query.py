"""One query over sight, speech and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.archive.paths import real_path
from savecli.archive.plan import is_gone
from savecli.archive.schema import VideoRow
from savecli.archive.store import Archive
from savecli.core.errors import SaveError, UsageError
from savecli.search.candidates import Signal, is_searchable
from savecli.search.confidence import Level
from savecli.search.example import Example, QueryVectors, check_vectors, query_vectors
from savecli.search.filters import Filters, eligible_videos
from savecli.search.hybrid import Found, HybridQuery, search_hybrid
from savecli.search.matching import QueryTerms, query_terms
from savecli.search.phrase import find_phrase
from savecli.search.rank import ScoredVideo
from savecli.search.results import Answer, VideoHit
from savecli.search.terms import Term, wanted_text

EncodeText = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks.

    Args:
        text: the query as it was typed; with `is_phrase` the exact words.
        terms: what the text adds and subtracts; empty for plain text.
        examples: what answers should be like, by vectors alone; there may be no text then.
        limit: videos at most.
        signals: kinds of evidence to use; `seen` stands for the vectors, also where these hold more than sight.
        show_all: also videos whose match is not believable.
    """

    text: str
    terms: tuple[Term, ...] = ()
    examples: tuple[Example, ...] = ()
    limit: int = 10
    signals: frozenset[Signal] = frozenset({"seen", "said", "named"})
    is_phrase: bool = False
    show_all: bool = False
    filters: Filters = field(default_factory=Filters)

    @property
    def weighted(self) -> tuple[Term, ...]:
        """The terms; plain text is one."""
        return self.terms or ((Term(self.text),) if self.text else ())


def needs_text_encoder(archive: Archive, request: Request) -> bool:
    """Whether answering takes the encoder's text side; phrases and archives of words alone do without."""
    return bool(request.weighted) and _takes_vectors(archive, request) and not _lacks_vectors(archive)


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
    own = frozenset[str]().union(*(example.own_clips for example in request.examples))
    eligible = replace(eligible_videos(archive, request.filters), own_clips=own)
    query = query_terms(wanted_text(request.weighted), language=archive.manifest.language)
    if request.is_phrase:
        phrases = find_phrase(archive, request.text, eligible, limit=request.limit)
        files = eligible.files(archive, [video.video_id for video in phrases])
        found = Found([video for video in phrases if video.video_id in files], files)
    else:
        vectors = query_vectors(request.weighted, request.examples, encode_text)
        found = search_hybrid(archive, _hybrid_query(request, query, vectors), eligible)
    videos = found.videos
    shows_all = request.show_all or bool(request.examples)
    believable = videos if shows_all else [_believable(video) for video in videos if video.level > Level.LOW]
    shown = believable[: request.limit] or videos[:1]
    hits = [_hit(video, query, found.files[video.video_id], rank) for rank, video in enumerate(shown, start=1)]
    if request.examples:
        hits = [_unjudged(hit) for hit in hits]
    return Answer(
        query=request.text,
        encoder=archive.manifest.encoder.name if archive.manifest.encoder else "words",
        videos=tuple(hits) if believable else (),
        best=hits[0] if hits and not believable else None,
        notes=_notes(archive, request),
        terms=request.terms,
        examples=request.examples,
    )


def _takes_vectors(archive: Archive, request: Request) -> bool:
    """Whether vectors are evidence; a model of ours makes none of words alone."""
    encoder = archive.manifest.encoder
    if request.is_phrase or encoder is None or encoder.dimension == 0:
        return False
    return encoder.scoring is None or "seen" in request.signals


def _lacks_vectors(archive: Archive) -> bool:
    """Whether an archive has no table of vectors, be it of an older version, or its first run was killed at once."""
    return archive.vector_table(archive.manifest.encoder) is None


def _hybrid_query(request: Request, matching: QueryTerms, vectors: QueryVectors) -> HybridQuery:
    return HybridQuery(
        terms=() if request.examples else request.weighted,
        vectors=vectors,
        matching=matching,
        signals=request.signals,
        limit=request.limit,
        # What texts have with clips says nothing of what clips have with each other: examples are not judged.
        is_judged=not request.examples,
    )


def _check(archive: Archive, request: Request) -> None:
    if request.examples:
        _check_examples(archive, request)
    elif not is_searchable(wanted_text(request.weighted) or request.text):
        raise UsageError(
            "there is nothing to look for", why=f"the query is {request.text!r}", fix='save query "a dog on a beach"'
        )
    if not any(weight > 0 for weight in _weights(request)):
        raise UsageError(
            "the query only says what is not wanted",
            why="all of its terms are subtracted",
            fix="say what to look for first: save query dog - beach",
        )
    if request.signals == {"seen"}:
        check_vectors(archive, "by sight")


def _weights(request: Request) -> Iterator[float]:
    yield from (term.weight for term in request.weighted)
    yield from (example.weight for example in request.examples)


def _check_examples(archive: Archive, request: Request) -> None:
    check_vectors(archive, "by example")
    if request.is_phrase:
        raise UsageError(
            "a phrase has no example", why="--phrase looks for exact words alone", fix="leave out one of the two"
        )
    encoder = archive.manifest.encoder
    assert encoder is not None, "an archive with vectors has an encoder"
    if any(example.encoder != encoder.fingerprint for example in request.examples):
        raise SaveError(
            "the example cannot be compared with this archive any more",
            why="the archive was given another encoder since the example was made",
            fix="run the query again",
        )
    has_words = encoder.scoring is None and all(part.said is not None for part in request.examples)
    if "seen" not in request.signals and not has_words:
        raise UsageError(
            "the example cannot be compared by what is said",
            why="a picture or a clip without words says nothing, and vectors that hold all senses cannot be told apart",
            fix="leave out --say",
        )


def _notes(archive: Archive, request: Request) -> tuple[str, ...]:
    encoder = archive.manifest.encoder
    if _takes_vectors(archive, request) and _lacks_vectors(archive):
        return (f"Only words were searched, as vectors are not complete: save index --archive {archive.folder}",)
    if request.signals == {"seen"} and encoder is not None and encoder.is_fused and not request.is_phrase:
        senses = " and ".join(sense for sense in encoder.senses if sense != "seen")
        return (f"This archive's vectors also hold what is {senses}: a match need not be one of sight.",)
    return ()


def _believable(video: ScoredVideo) -> ScoredVideo:
    """The video without the moments that only have company."""
    return replace(video, moments=tuple(moment for moment in video.moments if moment.level > Level.LOW))


def _unjudged(hit: VideoHit) -> VideoHit:
    """The hit without a confidence."""
    return replace(hit, moments=tuple(replace(moment, confidence=None) for moment in hit.moments))


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

"""Why a moment was found: what each kind of evidence adds to its score, and what a model's similarity is made of.

Nothing here is a second formula: ranks, levels and weights are those that the moment was ranked by, the logit is
computed by `savecli.search.exact`, and what the senses add was kept when the clip was encoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from savecli.archive.analyzer import terms
from savecli.archive.manifest import EncoderRecord
from savecli.archive.store import Archive
from savecli.search.contributions import Contributions, SenseContribution, read_contributions
from savecli.search.exact import exact_logits, frame_logit
from savecli.search.example import query_vectors
from savecli.search.matching import QueryTerms, query_terms
from savecli.search.rank import Basis
from savecli.search.results import Answer, Moment
from savecli.search.senses import SenseCosines, SenseShare, shares_of
from savecli.search.terms import wanted_text

if TYPE_CHECKING:
    from savecli.search.query import EncodeText, Request

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BestFrame:
    """The frame that is most like the query; `number` counts from 1, `time_s` is seconds from the video's start."""

    number: int
    num_frames: int
    time_s: float
    cosine: float


@dataclass(frozen=True)
class Similarity:
    """What query and clip have in common in the encoder's space.

    Args:
        cosine: with the clip's pooled vector; the sum of what the senses add.
        pooled_logit, frames_logit: the two halves of the model's similarity, which is their mean; None where there is
            no such half.
        senses: none where the archive does not know, or the model has one sense only.
    """

    cosine: float
    logit: float | None
    pooled_logit: float | None
    frames_logit: float | None
    frame: BestFrame | None
    senses: tuple[SenseShare, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a moment was found.

    Args:
        is_judged: whether the levels mean anything; they do not where a query holds examples.
        words: that were looked for, in the query's order, by where they were found: `said`, `name`, or neither.
        similarity: None where the clip was not compared by vectors.
    """

    basis: Basis
    is_judged: bool
    words: Mapping[str, tuple[str, ...]]
    similarity: Similarity | None


def explain_answer(archive: Archive, request: Request, answer: Answer, encode_text: EncodeText | None) -> Answer:
    """The answer with an explanation of every moment; a phrase, which is there or is not, has none.

    Args:
        answer: of `search_videos` to that request.
        encode_text: as for `search_videos`.
    """
    seen = query_vectors(request.weighted, request.examples, encode_text).seen
    vector = None if seen is None else seen.unit
    # Neither examples nor sight alone look for words, so none of them is missing.
    looks_for_words = not request.examples and not request.signals.isdisjoint(("said", "named"))
    wanted = wanted_text(request.weighted) if looks_for_words else ""
    query = query_terms(wanted, language=archive.manifest.language)
    bases = [moment.basis for hit in answer.videos for moment in hit.moments if moment.basis is not None]
    similarities = {} if vector is None else _similarities(archive, bases, vector)

    def explained(moment: Moment) -> Moment:
        basis = moment.basis
        if basis is None:
            return moment
        words = _found_words(wanted, basis, query)
        return replace(
            moment, explanation=Explanation(basis, not request.examples, words, similarities.get(basis.clip_id))
        )

    videos = tuple(replace(hit, moments=tuple(map(explained, hit.moments))) for hit in answer.videos)
    return replace(answer, videos=videos)


def sense_shares(held: Contributions, vector: Vector) -> tuple[SenseShare, ...]:
    """What each sense of a clip adds to its cosine with a query `(D,)`; none for a sense it does not have."""
    heard = None if held.audio is None else float(held.audio.vector @ vector)
    said = None if held.speech is None else float(held.speech.vector @ vector)
    gates = {"heard": _gates(held.audio), "said": _gates(held.speech)}
    shares = shares_of(SenseCosines(float(held.pooled @ vector), heard, said))
    return tuple(replace(share, gates=gates.get(share.sense, ())) for share in shares)


def _gates(part: SenseContribution | None) -> tuple[tuple[float, float], ...]:
    return () if part is None else tuple((float(attention), float(feed)) for attention, feed in part.gates)


def _similarities(archive: Archive, bases: Iterable[Basis], vector: Vector) -> dict[str, Similarity]:
    """By clip id, of those that were compared by vectors."""
    encoder = archive.manifest.encoder
    table = archive.vector_table(encoder)
    if table is None or encoder is None:
        return {}
    held = read_contributions(table, _compared(bases))
    return {clip_id: _similarity(of_clip, vector, encoder) for clip_id, of_clip in held.items()}


def _compared(bases: Iterable[Basis | None]) -> set[str]:
    """Ids of the clips that were compared by vectors."""
    return {
        basis.clip_id
        for basis in bases
        if basis is not None and any(part.evidence in ("matched", "seen") for part in basis.parts)
    }


def _similarity(held: Contributions, vector: Vector, encoder: EncoderRecord) -> Similarity:
    scoring, senses = encoder.scoring, sense_shares(held, vector) if encoder.is_fused else ()
    cosines = held.frames @ vector
    pooled = held.pooled @ vector
    frame = None
    if len(cosines):
        best = int(cosines.argmax())
        frame = BestFrame(best + 1, len(cosines), float(held.frame_s[best]), float(cosines[best]))
    if scoring is None:
        return Similarity(float(pooled), None, None, None, frame, senses)
    return Similarity(
        cosine=float(pooled),
        logit=float(exact_logits(pooled[None], [cosines], scoring)[0]),
        pooled_logit=float(scoring.logit_scale * pooled),
        frames_logit=frame_logit(cosines, scoring) if scoring.kind == "joint" else None,
        frame=frame,
        senses=senses,
    )


def _found_words(text: str, basis: Basis, query: QueryTerms) -> dict[str, tuple[str, ...]]:
    """Words of the query by where they were found; of those found nowhere only the ones with meaning."""
    named = frozenset[str]().union(*(part.terms for part in basis.parts if part.evidence == "name"))
    found: dict[str, list[str]] = {"said": [], "name": [], "neither": []}
    for word in dict.fromkeys(text.split()):
        of_word = frozenset(terms(word, language=query.language))
        if of_word & basis.terms:
            found["said"].append(word)
        if of_word & named:
            found["name"].append(word)
        if of_word & query.content - basis.terms - named:
            found["neither"].append(word)
    return {place: tuple(words) for place, words in found.items()}

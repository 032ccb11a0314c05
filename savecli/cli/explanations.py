"""How the parts of a score look: a column of numbers with what each means, or a record for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from savecli.cli.render import clock

if TYPE_CHECKING:
    from savecli.search.explain import Explanation, Similarity
    from savecli.search.senses import SenseShare

# Label, number and remark of a line; a label that is part of the one above begins with a space.
_Row = tuple[str, str, str]


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Aligned lines, without an indent."""
    rows = [*_score_rows(explanation), *_similarity_rows(explanation.similarity)]
    label_width = max(len(label) for label, _, _ in rows)
    number_width = max(len(number) for _, number, _ in rows)
    for label, number, remark in rows:
        yield f"{label:<{label_width}}  {number:>{number_width}}  {remark}".rstrip()


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The same as a record."""
    basis = explanation.basis
    return {
        "clip": {"start_s": round(basis.span.start_s, 3), "end_s": round(basis.span.end_s, 3)},
        "parts": [
            {
                "evidence": part.evidence,
                "rank": part.rank,
                "level": part.level.name.lower() if explanation.is_judged else None,
                "weight": part.weight,
                "score": _rounded(part.score),
            }
            for part in basis.parts
        ],
        "gain": _rounded(basis.gain),
        "words": {place: list(words) for place, words in explanation.words.items()},
        "similarity": explanation.similarity and _similarity_json(explanation.similarity),
    }


def _score_rows(explanation: Explanation) -> Iterator[_Row]:
    basis, words = explanation.basis, explanation.words
    total = sum(part.score for part in basis.parts) * basis.gain
    yield "score", f"{total:.3f}", f"of {clock(basis.span.start_s)}–{clock(basis.span.end_s)}"
    for part in basis.parts:
        level = f"{part.level.name.lower()}, " if explanation.is_judged else ""
        remark = f"rank {part.rank}, {level}weight {part.weight:g}"
        if part.evidence in ("said", "name") and words[part.evidence]:
            remark += f": {', '.join(words[part.evidence])}"
        yield f"  {part.evidence}", f"{part.score:.3f}", remark
    if basis.gain != 1:
        yield "  together", f"× {basis.gain:.3g}", "its clips together are believed more"
    if words["neither"]:
        yield "  missing", "", ", ".join(words["neither"])


def _similarity_rows(similarity: Similarity | None) -> Iterator[_Row]:
    if similarity is None:
        return
    yield "cosine", f"{similarity.cosine:.3f}", "of the query and the whole clip"
    for share in similarity.senses:
        yield f"  {share.sense}", f"{share.cosine:.3f}", _sense_remark(share)
    if similarity.logit is not None:
        halves = ""
        if similarity.frames_logit is not None:
            halves = f": mean of whole clip {similarity.pooled_logit:.2f} and frames {similarity.frames_logit:.2f}"
        yield "logit", f"{similarity.logit:.2f}", f"the model's own similarity{halves}"
    if similarity.frame is not None:
        frame = similarity.frame
        remark = f"best frame, at {clock(frame.time_s)} ({frame.number} of {frame.num_frames})"
        yield "frame", f"{frame.cosine:.3f}", remark


def _sense_remark(share: SenseShare) -> str:
    percent = f"{100 * share.share:.0f} %"
    gates = ", ".join(f"{attention:.2f} {feed_forward:.2f}" for attention, feed_forward in share.gates)
    return f"{percent}; gates {gates}" if gates else percent


def _similarity_json(similarity: Similarity) -> dict[str, Any]:
    frame = similarity.frame
    return {
        "cosine": _rounded(similarity.cosine),
        "logit": _rounded(similarity.logit),
        "pooled_logit": _rounded(similarity.pooled_logit),
        "frames_logit": _rounded(similarity.frames_logit),
        "frame": frame
        and {
            "number": frame.number,
            "num_frames": frame.num_frames,
            "time_s": _rounded(frame.time_s),
            "cosine": _rounded(frame.cosine),
        },
        "senses": {
            share.sense: {
                "cosine": _rounded(share.cosine),
                "share": _rounded(share.share),
                "gates": [[_rounded(gate) for gate in layer] for layer in share.gates],
            }
            for share in similarity.senses
        },
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)

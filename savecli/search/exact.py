"""The second stage: a model's own similarity of a query and each candidate, from what the archive keeps of the clips.

The first stage proposes some hundreds of clips by their pooled embedding and by their words. A model of the SAVE family
looks at every frame as well, which no vector index does; for so few clips that is a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from savecli.archive.calibration import Calibration
from savecli.archive.manifest import ScoringRecord
from savecli.archive.packing import PackedClip, num_packed, packed_products, split_clip
from savecli.archive.store import VectorTables, rows_of_clips, vectors_in
from savecli.search.candidates import Proposal, levels_of
from savecli.search.senses import SenseCosines

Vectors = npt.NDArray[np.float32]
_NO_FRAMES = np.zeros(0, np.float32)


def exact_logits(pooled: Vectors, frames: Sequence[Vectors] | None, scoring: ScoringRecord) -> Vectors:
    """`(N,)`: what `SaveModel.similarity` gives for a text and N clips, in numpy (golden data §4, `logits`).

        (1/tau) log sum_f exp(tau s <t, z_f>)      over the frames f of a clip
        s <t, z>                                   pooled
        the mean of both                           joint

    tau is our `temperature`, s our `logit_scale`.

    Args:
        pooled: `(N,)` cosines of the text with the pooled embeddings.
        frames: by clip, `(F,)` cosines with its frames, whose number may differ; a clip without frames gets -inf. Not
            needed by `pooled` scoring.
    """
    scale = scoring.logit_scale
    of_pooled = scale * pooled
    if scoring.kind == "pooled":
        return np.asarray(of_pooled, dtype=np.float32)
    assert frames is not None, "joint scoring looks at frames"
    of_frames = [frame_logit(cosines, scoring) for cosines in frames]
    return np.asarray((np.array(of_frames, np.float32) + of_pooled) / 2, dtype=np.float32)


def frame_logit(cosines: Vectors, scoring: ScoringRecord) -> float:
    """A clip's smooth maximum over its frames `(F,)`; -inf without any."""
    if not len(cosines):
        return -np.inf
    exponents = scoring.temperature * scoring.logit_scale * cosines
    # The largest is taken out before the exponential, so that it is finite at any scale.
    largest = float(exponents.max())
    return (largest + float(np.log(np.exp(exponents - largest).sum()))) / scoring.temperature


def proposal_by_logits(
    tables: VectorTables,
    nearest: Mapping[str, Vectors],
    others: Iterable[str],
    text: Vectors,
    scoring: ScoringRecord,
    calibration: Calibration | None,
    *,
    judged: Vectors | None = None,
    count: int | None = None,
) -> Proposal:
    """Clips by the model's own similarity, best first; equal ones by id.

    Args:
        nearest: pooled embeddings by clip id, what the first stage found by vectors.
        others: ids of what it found by words; those without vectors are left out.
        text: `(D,)` unit, the query.
        judged: as `by_cosine`.
        count: look at the frames of so many only, those with the nearest pooled embeddings; the others have no place.
    """
    pooled = {**nearest, **_pooled_of(tables.vectors, set(others) - nearest.keys())}
    if not pooled:
        return Proposal()
    kept = sorted(pooled)
    vectors = np.stack([pooled[clip_id] for clip_id in kept])
    cosines = vectors @ text
    if count is not None and len(kept) > count:
        best = np.sort(np.argpartition(-cosines, count)[:count])
        kept, vectors, cosines = [kept[idx] for idx in best], vectors[best], cosines[best]
    whole = dict(zip(kept, cosines.tolist(), strict=True))
    clips = _packed_clips(tables.frames, kept, len(text))
    frames = None
    if scoring.kind == "joint":
        held = _products({clip_id: clip.frames for clip_id, clip in clips.items()}, whole, text)
        frames = [held.get(clip_id, _NO_FRAMES) for clip_id in kept]
    logits = exact_logits(cosines, frames, scoring)
    levels = levels_of(cosines if judged is None else vectors @ judged, "seen", calibration)
    order = np.argsort(-logits, kind="stable")
    # The levels come from pooled cosines, which do not order the clips as the model does; ranks weigh by level, so a
    # clip must be at least as believable as those behind it.
    from_last = accumulate((levels[idx] for idx in reversed(order)), max)
    return Proposal(
        tuple(kept[idx] for idx in order),
        tuple(reversed(tuple(from_last))),
        tuple(float(logits[idx]) for idx in order),
        _sense_cosines(clips, whole, text),
    )


def _pooled_of(table: Any, clip_ids: set[str]) -> Mapping[str, Vectors]:
    if not clip_ids:
        return {}
    rows = rows_of_clips(table, clip_ids, ["clip_id", "seen"], where="seen IS NOT NULL")
    return dict(zip(rows.column("clip_id").to_pylist(), vectors_in(rows, "seen"), strict=True))


def _packed_clips(table: Any, clip_ids: Iterable[str], dimension: int) -> Mapping[str, PackedClip]:
    rows = rows_of_clips(table, clip_ids, ["clip_id", "packed"])
    pairs = zip(rows.column("clip_id").to_pylist(), rows.column("packed").to_pylist(), strict=True)
    return {clip_id: split_clip(packed, dimension) for clip_id, packed in pairs}


def _sense_cosines(
    clips: Mapping[str, PackedClip], pooled: Mapping[str, float], text: Vectors
) -> Mapping[str, SenseCosines]:
    """What of the cosine with its pooled embedding each sense of a clip has added."""
    audio = _products({clip_id: clip.audio for clip_id, clip in clips.items()}, pooled, text)
    speech = _products({clip_id: clip.speech for clip_id, clip in clips.items()}, pooled, text)

    def added(products: Mapping[str, Vectors], clip_id: str) -> float | None:
        return float(products[clip_id][0]) if clip_id in products else None

    return {clip_id: SenseCosines(pooled[clip_id], added(audio, clip_id), added(speech, clip_id)) for clip_id in clips}


def _products(packed: Mapping[str, bytes], pooled: Mapping[str, float], text: Vectors) -> Mapping[str, Vectors]:
    """Products of the text with the packed vectors of each clip that has some.

    Args:
        pooled: the cosine of the text with each clip's pooled embedding.
    """
    some = {clip_id: data for clip_id, data in packed.items() if data}
    if not some:
        return {}
    counts = [num_packed(data, len(text)) for data in some.values()]
    base = np.repeat(np.array([pooled[clip_id] for clip_id in some], np.float32), counts)
    products = packed_products(b"".join(some.values()), base, text)
    return dict(zip(some, np.split(products, np.cumsum(counts)[:-1]), strict=True))

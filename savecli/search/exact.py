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
from savecli.archive.store import VectorTables, sql_in
from savecli.search.candidates import Proposal, levels_of

Vectors = npt.NDArray[np.float32]


def exact_logits(
    text: Vectors, pooled: Vectors, frames: Sequence[Vectors] | None, scoring: ScoringRecord
) -> npt.NDArray[np.float32]:
    """`(N,)`: what `SaveModel.similarity` gives for a text and N clips, in numpy (golden data §4, `logits`).

        (1/tau) log sum_f exp(tau s <t, z_f>)      over the frames f of a clip
        s <t, z>                                   pooled
        the mean of both                           joint

    tau is our `temperature`, s our `logit_scale`.

    Args:
        text: `(D,)` unit.
        pooled: `(N, D)` unit.
        frames: by clip, `(F, D)` unit, numbers of frames may differ; a clip without frames gets -inf. Not needed by
            `pooled` scoring.
    """
    scale, tau = scoring.logit_scale, scoring.temperature
    of_pooled = scale * (pooled @ text)
    if scoring.kind == "pooled":
        return np.asarray(of_pooled, dtype=np.float32)
    assert frames is not None, "joint scoring looks at frames"
    logits = np.full(len(pooled), -np.inf, np.float32)
    ends = np.cumsum([len(rows) for rows in frames])
    if len(ends) and ends[-1]:
        exponents = tau * scale * (np.concatenate(frames).astype(np.float32) @ text)
        for idx, values in enumerate(np.split(exponents, ends[:-1])):
            if len(values):
                # The largest is taken out before the exponential, so that it is finite at any scale.
                largest = values.max()
                per_frame = (largest + np.log(np.exp(values - largest).sum())) / tau
                logits[idx] = (per_frame + of_pooled[idx]) / 2
    return logits


def proposal_by_logits(
    tables: VectorTables,
    nearest: Mapping[str, Vectors],
    others: Iterable[str],
    text: Vectors,
    scoring: ScoringRecord,
    calibration: Calibration | None,
) -> Proposal:
    """Clips by the model's own similarity, best first; equal ones by id.

    Args:
        nearest: pooled embeddings by clip id, what the first stage found by vectors.
        others: ids of what it found by words; those without vectors are left out.
        text: `(D,)` unit, the query.
    """
    pooled = {**nearest, **_pooled_of(tables.vectors, set(others) - nearest.keys())}
    if not pooled:
        return Proposal()
    kept = sorted(pooled)
    vectors = np.stack([pooled[clip_id] for clip_id in kept])
    frames = None
    if scoring.kind == "joint":
        held = _frames_of(tables.frames, set(kept), dimension=len(text))
        none = np.zeros((0, len(text)), np.float32)
        frames = [held.get(clip_id, none) for clip_id in kept]
    logits = exact_logits(text, vectors, frames, scoring)
    levels = levels_of(vectors @ text, vectors, "seen", calibration)
    order = np.argsort(-logits, kind="stable")
    # The levels come from pooled cosines, which do not order the clips as the model does; ranks weigh by level, so a
    # clip must be at least as believable as those behind it.
    from_last = accumulate((levels[idx] for idx in reversed(order)), max)
    return Proposal(
        tuple(kept[idx] for idx in order),
        tuple(reversed(tuple(from_last))),
        tuple(float(logits[idx]) for idx in order),
    )


def _pooled_of(table: Any, clip_ids: set[str]) -> Mapping[str, Vectors]:
    if not clip_ids:
        return {}
    rows = _rows(table, clip_ids, "seen IS NOT NULL", ["clip_id", "seen"])
    values = rows.column("seen").combine_chunks()
    if not len(values):
        return {}
    vectors = np.asarray(values.flatten(), dtype=np.float32).reshape(len(values), -1)
    return dict(zip(rows.column("clip_id").to_pylist(), vectors, strict=True))


def _frames_of(table: Any, clip_ids: set[str], *, dimension: int) -> Mapping[str, Vectors]:
    rows = _rows(table, clip_ids, None, ["clip_id", "embeddings"])
    return {
        clip_id: np.frombuffer(data, np.float16).reshape(-1, dimension).astype(np.float32)
        for clip_id, data in zip(rows.column("clip_id").to_pylist(), rows.column("embeddings").to_pylist(), strict=True)
    }


def _rows(table: Any, clip_ids: set[str], condition: str | None, columns: list[str]) -> Any:
    """Columns of the clips as an arrow table; through `video_id`, which is indexed where `clip_id` is not."""
    videos = {clip_id.rpartition(":")[0] for clip_id in clip_ids}
    where = f"{sql_in('video_id', videos)} AND {sql_in('clip_id', clip_ids)}"
    return table.search().where(f"{where} AND {condition}" if condition else where).select(columns).to_arrow()

"""The second stage: a model's own similarity of a query and each candidate, from what the archive keeps of the clips.

The first stage proposes some hundreds of clips by their pooled embedding and by their words. A model of the SAVE family
looks at every frame as well, which no vector index does; for so few clips that is a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from savecli.archive.calibration import Calibration
from savecli.archive.manifest import ScoringRecord
from savecli.archive.packing import PackedClip, num_packed, packed_products, split_clip
from savecli.search.candidates import Compared, Proposal, levels_of
from savecli.search.senses import SenseCosines

Vectors = npt.NDArray[np.float32]


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
    compared: Compared,
    text: Vectors,
    scoring: ScoringRecord,
    calibration: Calibration | None,
    *,
    judged: Vectors | None = None,
) -> Proposal:
    """Clips by the model's own similarity, best first; equal ones by id.

    Args:
        compared: by their pooled embeddings, with their frames.
        text: `(D,)` unit, the query.
        judged: as `by_cosine`.
    """
    if not compared.clip_ids:
        return Proposal()
    by_id = sorted(range(len(compared.clip_ids)), key=compared.clip_ids.__getitem__)
    compared = compared.rows(by_id)
    cosines = compared.vectors @ text
    clips = [split_clip(packed, len(text)) if packed else PackedClip(b"") for packed in compared.packed]
    frames = _products([clip.frames for clip in clips], cosines, text) if scoring.kind == "joint" else None
    logits = exact_logits(cosines, frames, scoring)
    levels = levels_of(cosines if judged is None else compared.vectors @ judged, "seen", calibration)
    order = np.argsort(-logits, kind="stable").tolist()
    # The levels come from pooled cosines, which do not order the clips as the model does; ranks weigh by level, so a
    # clip must be at least as believable as those behind it.
    from_last = accumulate((levels[idx] for idx in reversed(order)), max)
    return Proposal(
        tuple(compared.clip_ids[idx] for idx in order),
        tuple(reversed(tuple(from_last))),
        tuple(float(logits[idx]) for idx in order),
        dict(zip(compared.clip_ids, _sense_cosines(clips, cosines, text), strict=True)),
    )


def _sense_cosines(clips: Sequence[PackedClip], pooled: Vectors, text: Vectors) -> list[SenseCosines]:
    """What of the cosine with its pooled embedding each sense of a clip has added."""
    audio = _products([clip.audio for clip in clips], pooled, text)
    speech = _products([clip.speech for clip in clips], pooled, text)
    parts = zip(pooled.tolist(), audio, speech, strict=True)
    return [SenseCosines(whole, *(float(part[0]) if len(part) else None for part in added)) for whole, *added in parts]


def _products(packed: Sequence[bytes], pooled: Vectors, text: Vectors) -> list[Vectors]:
    """Products of the text with the packed vectors of each clip, of whom some have none.

    Args:
        pooled: `(N,)`, the cosine of the text with each clip's pooled embedding.
    """
    counts = [num_packed(data, len(text)) for data in packed]
    products = packed_products(b"".join(packed), np.repeat(pooled, counts), text)
    return np.split(products, np.cumsum(counts)[:-1])

"""SAVE and AVIGATE from features on: representation, similarity, objective (README, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from tests.obvious.blocks import State, fusion, resampler

System = Literal["save", "avigate"]
RESAMPLER = {"save": "Audio_Resampler", "avigate": "transformer_Fusion"}
HEAD_WIDTH = 64


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().sum(dim=-1, keepdim=True).sqrt()


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    mask = mask.to(x.dtype)
    return (x * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Represented:
    """What is made of a batch: `frames` and `pooled` are compared with text; the rest is on the way to them."""

    resampled: torch.Tensor
    visual: torch.Tensor
    heard: torch.Tensor
    heard_gates: tuple[torch.Tensor, torch.Tensor]
    said: torch.Tensor | None
    said_gates: tuple[torch.Tensor, torch.Tensor] | None
    frames: torch.Tensor
    pooled: torch.Tensor
    visual_pooled: torch.Tensor


def represented(state: State, io: Mapping[str, torch.Tensor], system: System) -> Represented:
    """Of `visual_output`, `audio_output`, `asr_output` (SAVE) and `video_mask`."""
    heads = io["visual_output"].shape[-1] // HEAD_WIDTH
    resampled = resampler(state, f"{RESAMPLER[system]}.resblocks", io["audio_output"], heads)[-1]
    visual = io["visual_output"] + state["frame_position_embeddings.weight"][: io["visual_output"].shape[1]]
    heard, *heard_gates = fusion(state, "transformerClip.resblocks", visual, resampled, heads)
    said, said_gates, mixed = None, None, 0.05 * heard[-1] + 0.95 * visual
    if system == "save":
        spoken, *gates = fusion(state, "transformerClip_ASR.resblocks", visual, io["asr_output"], heads)
        said, said_gates = spoken[-1], (gates[0], gates[1])
        mixed = 0.5 * heard[-1] + 0.5 * said + visual
    frames, mask = unit(mixed), io["video_mask"]
    return Represented(
        resampled=resampled,
        visual=visual,
        heard=heard[-1],
        heard_gates=(heard_gates[0], heard_gates[1]),
        said=said,
        said_gates=said_gates,
        frames=frames,
        pooled=unit(masked_mean(frames, mask)),
        visual_pooled=unit(masked_mean(unit(visual), mask)),
    )


def frame_similarity(
    text: torch.Tensor, frames: torch.Tensor, mask: torch.Tensor, scale: torch.Tensor, tau: float
) -> torch.Tensor:
    """`(T, B)`; overflows where the reference does, if the numbers are float32."""
    cosine = torch.einsum("td,bfd->tbf", text, frames)
    return (torch.exp(tau * scale * cosine) * mask.to(cosine.dtype)).sum(dim=-1).log() / tau


def similarity(
    text: torch.Tensor,
    frames: torch.Tensor,
    pooled: torch.Tensor,
    mask: torch.Tensor,
    scale: torch.Tensor,
    tau: float,
) -> torch.Tensor:
    """`(T, B)`, of unit vectors."""
    return (frame_similarity(text, frames, mask, scale, tau) + scale * text @ pooled.T) / 2


def cross_entropy(logits: torch.Tensor) -> torch.Tensor:
    return -torch.stack([row.log_softmax(dim=0)[place] for place, row in enumerate(logits)]).mean()


def pearson_distances(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """One minus the correlation, for each pair of rows."""
    ours, theirs = (x - x.mean(dim=1, keepdim=True) for x in (ours, theirs))
    return 1 - (unit(ours) * unit(theirs)).sum(dim=1)


def distilled(
    student: torch.Tensor, teacher: torch.Tensor, kept: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The distances of the kept rows, and those of the columns."""
    ours, theirs = (scale * side[kept][:, kept] for side in (student, teacher))
    return (
        pearson_distances(ours.softmax(dim=1), theirs.softmax(dim=1)),
        pearson_distances(ours.T.softmax(dim=1), theirs.T.softmax(dim=1)),
    )


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The numbers of the objective."""

    tau: float = 1.0
    beta: float = 0.2
    delta: float = 0.1
    distill_scale: float = 5.0


def objective(
    state: State, io: Mapping[str, torch.Tensor], system: System, constants: Constants
) -> dict[str, torch.Tensor]:
    """The losses and what they are made of, under the names of the golden data; `sequence_output` is `(N, 1, D)`."""
    seen = represented(state, io, system)
    text, scale = unit(io["sequence_output"][:, 0]), state["clip.logit_scale"].exp()
    plain = similarity(text, seen.frames, seen.pooled, io["video_mask"], scale, constants.tau)
    looks = seen.visual_pooled
    margin = (constants.beta * (1 - (text @ text.T + looks @ looks.T) / 2)).clamp(max=constants.delta).detach()
    margin = margin * (1 - torch.eye(len(margin), dtype=margin.dtype))
    logits = plain + scale * margin
    out = {"logits_without_margin": plain, "margin": margin, "logits_with_margin": logits}
    out |= {"loss_t2v": cross_entropy(logits), "loss_v2t": cross_entropy(logits.T)}
    out["sim_loss"] = out["total_loss"] = (out["loss_t2v"] + out["loss_v2t"]) / 2
    if system == "save":
        out["v2a_sim"] = unit(unit(seen.visual).mean(dim=1)) @ unit(unit(seen.resampled).mean(dim=1)).T
        teacher = unit(io["teacher_video"]) @ unit(io["teacher_audio"]).T
        kept = io["audio_mask"].bool()
        rows, columns = distilled(out["v2a_sim"], teacher, kept, constants.distill_scale)
        out |= {"distill_rows": rows, "distill_cols": columns, "distill_loss": rows.mean() + columns.mean()}
        out["total_loss"] = out["sim_loss"] + out["distill_loss"]
    return out

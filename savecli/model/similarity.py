"""How alike captions and videos are: per frame, pooled, and both; always in float32.

Every function takes encodings that were made without the other side, so each is encoded once.
"""

from __future__ import annotations

import torch

from savecli.model.blocks import masked_mean, unit


def pooled_embedding(frames: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """`(B, D)` unit mean of `(B, F, D)` over the real frames; zeros for a video that has none."""
    return unit(masked_mean(frames, mask))


def pooled_logits(text: torch.Tensor, pooled: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """`(T, B)`: `s <t, z>` of unit texts `(T, D)` and pooled embeddings `(B, D)` (golden data §4, `sim_global`)."""
    with torch.autocast(text.device.type, enabled=False):
        return scale * (text @ pooled.T)


def frame_logits(
    text: torch.Tensor,
    frames: torch.Tensor,
    scale: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
) -> torch.Tensor:
    """`(T, B)`: a smooth maximum of the similarities of each text to a video's frames (golden data §4, `sim_local`).

        (1/tau) log sum_f exp(tau s <t, z_f>)      over the real frames f

    tau is our `temperature`, s our `scale`. It is a sum, not a mean: equal frames add `log(F)/tau`. The largest term is
    taken out before the exponential, so that it is finite at any scale.

    Args:
        text: `(T, D)` unit.
        frames: `(B, F, D)` unit.
        mask: `(B, F)`, True = real. A video without a real frame gets -inf: it is found last, whatever the text.
    """
    with torch.autocast(text.device.type, enabled=False):
        similarity = torch.einsum("td,bfd->tbf", text, frames)
        exponents = temperature * scale * similarity
        if mask is None:
            return torch.logsumexp(exponents, dim=-1) / temperature
        has_frames = mask.any(dim=-1)
        # Where no frame is real all are summed and the sum is thrown away: -inf throughout has no gradient.
        counted = mask | ~has_frames.unsqueeze(-1)
        logits = torch.logsumexp(exponents.masked_fill(~counted, -torch.inf), dim=-1) / temperature
        return logits.masked_fill(~has_frames, -torch.inf)


def joint_logits(
    text: torch.Tensor,
    frames: torch.Tensor,
    pooled: torch.Tensor,
    scale: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
) -> torch.Tensor:
    """`(T, B)`: the mean of `frame_logits` and `pooled_logits` (golden data §4, `logits`)."""
    per_frame = frame_logits(text, frames, scale, mask=mask, temperature=temperature)
    return (per_frame + pooled_logits(text, pooled, scale)) / 2

"""What training minimises: the contrastive loss with an adaptive margin, and the alignment of sound with sight."""

from __future__ import annotations

import torch
from torch.nn import functional

from savecli.model.config import AlignmentKind

# Below it a variance is rounding: its root has no usable gradient.
_TINY = 1e-24
# In place of -inf, whose difference to itself is NaN; its exponential is 0.
_LOWEST = -1e30


def adaptive_margin(
    text: torch.Tensor, visual: torch.Tensor, *, margin_scale: float, margin_limit: float
) -> torch.Tensor:
    """`(N, N)` margins of a batch of pairs; no gradient flows into them (golden data §5; AVIGATE's adaptive margin).

        m_ij = min(beta (1 - (<t_i, t_j> + <w_i, w_j>) / 2), delta),  m_ii = 0

    The less alike two pairs are, the further they are to be apart. beta is our `margin_scale`,
    delta our `margin_limit`.

    Args:
        text: `(N, D)` unit vectors t.
        visual: `(N, D)` unit vectors w of the pictures alone, before fusion.
    """
    with torch.no_grad(), torch.autocast(text.device.type, enabled=False):
        alike = (text @ text.T + visual @ visual.T) / 2
        margin = (margin_scale * (1 - alike)).clamp(max=margin_limit)
        return margin.masked_fill(torch.eye(len(margin), dtype=torch.bool, device=margin.device), 0.0)


def contrastive_loss(logits: torch.Tensor) -> torch.Tensor:
    """The mean over both directions of the cross-entropy of `(N, N)` logits whose diagonal matches (§5, `L_sim`)."""
    logits = logits.float() if logits.dtype != torch.float64 else logits
    truth = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)) / 2


def alignment_loss(
    student: torch.Tensor,
    teacher: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    kind: AlignmentKind = "pearson",
    scale: float = 5.0,
) -> torch.Tensor:
    """How far the clips' sights and sounds are from being as alike as a teacher sees them (golden data §5, `L_dis`).

    Rows and columns of clips without sound are left out, both matrices are multiplied by `scale`, each row and each
    column becomes a distribution p (student's) or q (teacher's), and

        pearson      1 - correlation of p and q       the published form, "soft-ALBEF"
        kl           sum q log(q / p)
        mse          sum (p - q)^2
        huber        sum of Huber's function of p - q
        contrastive  -log p of the clip's own sound   no teacher: the hard form

    is averaged over the rows, over the columns, and both are added. Fewer than two clips with sound have nothing to be
    told apart from: 0, with zero gradients.

    Args:
        student: `(N, N)` cosines, rows sights u_i, columns sounds a_j (P).
        teacher: the same of the teacher's vectors (T); not used by `contrastive`.
        mask: `(N,)` True = has sound.
    """
    if teacher is None and kind != "contrastive":
        raise ValueError(f"the alignment `{kind}` needs a teacher's similarities")
    with torch.autocast(student.device.type, enabled=False):
        rows = _row_distances(student, teacher, mask, kind, scale)
        columns = _row_distances(student.T, None if teacher is None else teacher.T, mask, kind, scale)
        count = mask.sum()
        loss = torch.where(mask, rows + columns, 0.0).sum() / count.clamp(min=1)
        return torch.where(count >= 2, loss, torch.zeros_like(loss))


def _row_distances(
    student: torch.Tensor, teacher: torch.Tensor | None, mask: torch.Tensor, kind: AlignmentKind, scale: float
) -> torch.Tensor:
    """`(N,)`; shapes stay as they are whatever the mask, so that nothing waits for the device."""
    columns = mask | ~mask.any()  # without any sound: finite, and thrown away by the caller
    log_p = _log_distribution(student, columns, scale)
    if teacher is None or kind == "contrastive":
        return -torch.diagonal(log_p)
    log_q = _log_distribution(teacher.detach(), columns, scale)
    p, q = log_p.exp() * columns, log_q.exp() * columns
    if kind == "kl":
        return (q * (log_q - log_p).masked_fill(~columns, 0.0)).sum(dim=-1)
    if kind == "mse":
        return (p - q).square().sum(dim=-1)
    if kind == "huber":
        return functional.huber_loss(p, q, reduction="none").sum(dim=-1)
    return 1 - _correlation(p, q, columns.to(p.dtype))


def _log_distribution(similarity: torch.Tensor, columns: torch.Tensor, scale: float) -> torch.Tensor:
    """Row-wise log-softmax over the kept columns; the others hold a number that is used nowhere."""
    return functional.log_softmax((scale * similarity).masked_fill(~columns, _LOWEST), dim=-1)


def _correlation(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Pearson's, of the rows of x and y over the positions of weight 1; 0 where a row is constant."""
    count = weights.sum()
    x = (x - (x * weights).sum(dim=-1, keepdim=True) / count) * weights
    y = (y - (y * weights).sum(dim=-1, keepdim=True) / count) * weights
    return (x * y).sum(dim=-1) / (_norm(x) * _norm(y))


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum(dim=-1).clamp(min=_TINY).sqrt()

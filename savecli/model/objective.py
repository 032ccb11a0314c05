"""The training objective of a batch of pairs, from encodings; apart from the model, so that a trainer of several
processes can gather the encodings first."""

from __future__ import annotations

import torch

from savecli.model.config import AlignmentKind
from savecli.model.losses import adaptive_margin, alignment_loss, contrastive_loss
from savecli.model.records import AlignmentVectors, Losses, TeacherVectors


class Objective:
    """`L = L_contrastive + weight * L_alignment` (golden data §5).

    The contrastive loss is of the logits S' = S + s m, where m is the adaptive margin and s the logit scale, which gets
    a gradient through both.

    Args:
        alignment: form of the alignment loss, or None for none.
        alignment_scale: factor of the cosines before their softmax.
    """

    def __init__(
        self,
        *,
        margin_scale: float,
        margin_limit: float,
        alignment: AlignmentKind | None,
        alignment_weight: float,
        alignment_scale: float,
    ) -> None:
        self.margin_scale = margin_scale
        self.margin_limit = margin_limit
        self.alignment = alignment
        self.alignment_weight = alignment_weight
        self.alignment_scale = alignment_scale

    def __call__(
        self,
        logits: torch.Tensor,
        scale: torch.Tensor,
        *,
        text: torch.Tensor,
        visual: torch.Tensor,
        alignment: AlignmentVectors | None,
        teacher: TeacherVectors | None = None,
    ) -> Losses:
        """The losses of `(N, N)` logits without margin, rows captions, whose diagonal matches.

        Args:
            text: `(N, D)` unit captions.
            visual: `(N, D)` unit pooled frames before fusion.

        Raises:
            ValueError: the alignment needs a teacher and none was given.
        """
        margin = None
        if self.margin_scale:
            margin = adaptive_margin(text, visual, margin_scale=self.margin_scale, margin_limit=self.margin_limit)
            logits = logits + scale * margin
        contrastive = contrastive_loss(logits)
        aligned = self._alignment(alignment, teacher, contrastive)
        return Losses(contrastive + self.alignment_weight * aligned, contrastive, aligned, logits, margin)

    def _alignment(
        self, vectors: AlignmentVectors | None, teacher: TeacherVectors | None, like: torch.Tensor
    ) -> torch.Tensor:
        if self.alignment is None or vectors is None:
            return torch.zeros_like(like)
        with torch.autocast(like.device.type, enabled=False):
            student = vectors.visual @ vectors.audio.T
            taught = None if teacher is None else _teacher_similarity(teacher)
        return alignment_loss(student, taught, vectors.has_audio, kind=self.alignment, scale=self.alignment_scale)


def _teacher_similarity(teacher: TeacherVectors) -> torch.Tensor:
    """`(N, N)` cosines, rows pictures, columns sounds."""
    video = torch.nn.functional.normalize(teacher.video.float(), dim=-1)
    audio = torch.nn.functional.normalize(teacher.audio.float(), dim=-1)
    return video @ audio.T

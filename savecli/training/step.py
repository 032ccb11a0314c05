"""One step's gradients: exact for the whole batch, however many pieces and processes it is computed in.

The loss compares every caption with every clip, so it cannot be summed over pieces. But it sees only the embeddings,
which are small: pieces are encoded first, the loss of all embeddings gives the gradient of each, and each piece is
encoded once more to carry its part back into the weights (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup", section 3). Several processes gather the embeddings of all of them in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from savecli.core.errors import SaveError
from savecli.model.blocks import unit
from savecli.model.precision import Precision
from savecli.model.records import AlignmentVectors, TeacherVectors, VideoEncoding
from savecli.model.save_model import SaveModel
from savecli.model.teachers import aligned_where_taught
from savecli.training.batches import TrainingBatch
from savecli.training.workers import Workers

# What to do when training has diverged.
LESS_RISK = (
    "begin a new run with a lower rate, e.g. `--set optim.lr=5e-5`, or with `--set precision=fp32`; "
    "if an epoch was done before, `--start RUN` begins from the best"
)


class StepLosses(NamedTuple):
    """What a step's log holds: the loss of the whole batch and its parts, and the mean openness of the gates."""

    total: float
    contrastive: float
    alignment: float
    audio_gate: float | None
    speech_gate: float | None


class Embeddings(NamedTuple):
    """What the loss sees of `N` pairs. `visual` and `audio` are None for a model that does not hear.

    Args:
        text: `(N, D)`.
        frames: `(N, F, D)`.
        pooled, visual_pooled, visual, audio: `(N, D)`.
        mask: `(N, F)` bool.
        has_audio: `(N,)` bool.
    """

    text: torch.Tensor
    frames: torch.Tensor
    pooled: torch.Tensor
    visual_pooled: torch.Tensor
    visual: torch.Tensor | None
    audio: torch.Tensor | None
    mask: torch.Tensor
    has_audio: torch.Tensor


def backward(
    model: SaveModel,
    batch: TrainingBatch,
    *,
    chunk_size: int,
    precision: Precision,
    workers: Workers,
) -> StepLosses:
    """The losses of all processes' batches together; every parameter that takes part has its whole gradient afterwards.

    The result does not depend on `chunk_size`, but for rounding. The model must be deterministic (no dropout).

    Args:
        batch: this process's part, on the model's device.
        chunk_size: pairs that are encoded at once; the memory for activations is theirs.

    Raises:
        SaveError: the loss is not finite. No gradient has been computed then.
    """
    rows = [slice(start, start + chunk_size) for start in range(0, len(batch.captions), chunk_size)]
    in_one = len(rows) == 1
    gates: list[tuple[float | None, float | None]] = []
    pieces = []
    for part in rows:
        with torch.set_grad_enabled(in_one):
            piece, openness = _encoded(model, batch.part(part), precision)
        pieces.append(piece)
        gates.append(openness)
    leaves = _leaves(_joined(pieces))
    teacher = _gathered_teacher(batch, workers)
    losses, gradients, scale_gradient = _embedding_gradients(model, leaves, teacher, workers)
    for part, piece in zip(rows, pieces, strict=True):
        if not in_one:
            piece, _ = _encoded(model, batch.part(part), precision)
        _carry_back(piece, [None if gradient is None else gradient[part] for gradient in gradients])
    workers.sum_gradients(parameter for parameter in model.parameters() if parameter is not model.logit_scale)
    # Every process has computed the whole loss, hence the scale's whole gradient.
    model.logit_scale.grad = scale_gradient
    return StepLosses(*losses, *(_mean(column) for column in zip(*gates, strict=True)))


def _encoded(
    model: SaveModel, batch: TrainingBatch, precision: Precision
) -> tuple[Embeddings, tuple[float | None, float | None]]:
    device = batch.captions.device.type
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        video = model.encode_video(batch.inputs)
        text = unit(model.text.features(batch.captions))
    if batch.taught is not None:
        video = aligned_where_taught(video, batch.taught)
    elif _needs_teacher(model) and video.alignment is not None:
        nobody = torch.zeros_like(video.alignment.has_audio)
        video = video._replace(alignment=video.alignment._replace(has_audio=nobody))
    openness = tuple(
        None if found is None else float(found.attention.detach().abs().mean())
        for found in (video.audio_gates, video.speech_gates)
    )
    return _embeddings(text, video, hears=model.audio is not None), cast("tuple[float | None, float | None]", openness)


def _embeddings(text: torch.Tensor, video: VideoEncoding, *, hears: bool) -> Embeddings:
    """The same fields for every piece: one in which no clip has sound has zeros that count for nothing."""
    visual = audio = None
    has_audio = torch.zeros(len(text), dtype=torch.bool, device=text.device)
    if video.alignment is not None:
        visual, audio, has_audio = video.alignment
    elif hears:
        visual = audio = torch.zeros_like(video.visual_pooled)
    return Embeddings(text, video.frames, video.pooled, video.visual_pooled, visual, audio, video.mask, has_audio)


def _joined(pieces: Sequence[Embeddings]) -> Embeddings:
    if len(pieces) == 1:
        return pieces[0]
    return Embeddings._make(None if fields[0] is None else torch.cat(fields) for fields in zip(*pieces, strict=True))


def _leaves(embeddings: Embeddings) -> Embeddings:
    """The same numbers, as the beginning of a graph of their own."""
    fields = (
        field.detach().requires_grad_() if field is not None and field.is_floating_point() else field
        for field in embeddings
    )
    return Embeddings._make(fields)


def _embedding_gradients(
    model: SaveModel, leaves: Embeddings, teacher: TeacherVectors | None, workers: Workers
) -> tuple[tuple[float, float, float], list[torch.Tensor | None], torch.Tensor]:
    """The losses, the gradient of each field of `leaves`, and that of the logit scale."""
    every = Embeddings._make(None if field is None else workers.gathered(field) for field in leaves)
    alignment = None
    # A batch that the teacher knows nothing of has nothing to be aligned by.
    is_aligned = teacher is not None or not _needs_teacher(model)
    if is_aligned and every.visual is not None and every.audio is not None:
        alignment = AlignmentVectors(every.visual, every.audio, every.has_audio)
    video = VideoEncoding(every.frames, every.pooled, every.mask, every.visual_pooled, alignment)
    losses = model.losses(every.text, video, teacher)
    values = tuple(float(part.detach()) for part in (losses.total, losses.contrastive, losses.alignment))
    if not torch.isfinite(losses.total):
        raise SaveError(
            "the loss is not finite",
            why=f"total {values[0]}, contrastive {values[1]}, alignment {values[2]}",
            fix=LESS_RISK,
        )
    floating = [field for field in leaves if field is not None and field.requires_grad]
    # The scale takes part even when frozen: then there is nothing to differentiate.
    scale = model.logit_scale
    found = list(torch.autograd.grad(losses.total, [*floating, scale], allow_unused=True))
    scale_gradient = found.pop()
    by_field = iter(found)
    gradients = [next(by_field) if field is not None and field.requires_grad else None for field in leaves]
    return cast("tuple[float, float, float]", values), gradients, scale_gradient


def _needs_teacher(model: SaveModel) -> bool:
    return model.objective.alignment not in (None, "contrastive")


def _gathered_teacher(batch: TrainingBatch, workers: Workers) -> TeacherVectors | None:
    """All processes' vectors; those of a process whose clips the teacher does not know are zeros, which count nothing.

    None where it knows no clip of any process.
    """
    taught, device = batch.taught, batch.captions.device
    width = workers.largest(0 if taught is None else taught.vectors.video.shape[1], device)
    if not width:
        return None
    zeros = torch.zeros(len(batch.captions), width, device=device)
    own = TeacherVectors(zeros, zeros) if taught is None else taught.vectors
    return TeacherVectors(*(workers.gathered(vector) for vector in own))


def _carry_back(piece: Embeddings, gradients: Sequence[torch.Tensor | None]) -> None:
    pairs = [
        (field, gradient)
        for field, gradient in zip(piece, gradients, strict=True)
        if field is not None and gradient is not None and field.requires_grad
    ]
    if pairs:
        torch.autograd.backward([field for field, _ in pairs], [gradient for _, gradient in pairs])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

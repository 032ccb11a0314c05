"""The optimiser of the published systems, and which parameters learn how fast (golden data §6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypedDict

import torch
from torch import nn
from torch.optim import Optimizer

from savecli.model.save_model import SaveModel

LOGIT_SCALE_MAX = math.log(100)  # CLIP's own bound

_CLIP_EPS = 1e-6
_WEIGHT_DECAY = 0.2


class Group(TypedDict):
    """Parameters with one learning rate and one weight decay."""

    params: list[nn.Parameter]
    lr: float
    weight_decay: float


class PublishedAdam(Optimizer):
    """Adam as CLIP4Clip, AVIGATE and SAVE were trained with: no bias correction, and every tensor by itself.

    Each tensor counts its own steps k, and only those in which it has a gradient. A step clips the tensor's gradient to
    norm `max_norm`, and moves it by lr_k (m / (sqrt(v) + eps) + weight_decay * p). lr_k rises from 0 over the first
    `warmup` of `num_steps`, then follows the half cosine that began at step 0: it does not restart after the warmup,
    and the very first step moves nothing.

    Args:
        groups: as of `parameter_groups`.
        num_steps: of the whole training.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        *,
        num_steps: int,
        warmup: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        max_norm: float = 1.0,
    ) -> None:
        self.num_steps = num_steps
        self.warmup = warmup
        self.betas = betas
        self.eps = eps
        self.max_norm = max_norm
        super().__init__([dict(group) for group in groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every tensor that has a gradient, which is scaled in place; the loss that `closure` gives."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"])
        return loss

    def rate(self, step: int) -> float:
        """The part of its learning rate that a tensor's step `step`, counted from 0, uses."""
        done = step / self.num_steps
        return done / self.warmup if done < self.warmup else (1 + math.cos(math.pi * done)) / 2

    def _update(self, parameter: nn.Parameter, lr: float, weight_decay: float) -> None:
        gradient = parameter.grad
        assert gradient is not None
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        gradient.mul_(_clip_factor(torch.linalg.vector_norm(gradient), self.max_norm))
        state["mean"].lerp_(gradient, 1 - self.betas[0])
        state["square"].mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        update = state["mean"] / (state["square"].sqrt() + self.eps) + weight_decay * parameter
        parameter.sub_(lr * self.rate(state["step"]) * update)
        state["step"] += 1


@torch.no_grad()
def clip_together(parameters: Iterable[nn.Parameter], *, max_norm: float = 1.0) -> torch.Tensor:
    """The norm of all gradients together, which are scaled in place so that it is at most `max_norm`."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm: torch.Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in gradients]))
    factor = _clip_factor(norm, max_norm)
    for gradient in gradients:
        gradient.mul_(factor)
    return norm


@torch.no_grad()
def bound_logit_scale(logit_scale: nn.Parameter) -> None:
    """Keep the logit scale within CLIP's bound; after every step."""
    logit_scale.clamp_(max=LOGIT_SCALE_MAX)


def parameter_groups(
    model: SaveModel,
    *,
    lr: float,
    tower_factor: float,
    query_factor: float = 100.0,
    weight_decay: float = _WEIGHT_DECAY,
    decays: Callable[[str, nn.Parameter], bool] | None = None,
) -> list[Group]:
    """All parameters that learn, each in one group.

    Args:
        lr: of what is trained from scratch.
        tower_factor: of it for the pretrained towers and the logit scale; the published `coef_lr`.
        query_factor: of it for the resampler's queries.
        decays: whether a parameter of this name decays; None is the published rule.
    """
    rates = {id(parameter): lr for parameter in model.parameters()}
    rates |= {id(parameter): lr * tower_factor for parameter in _pretrained(model)}
    if model.head.resampler is not None:
        rates[id(model.head.resampler.queries)] = lr * query_factor
    groups: dict[tuple[float, float], Group] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = weight_decay if (decays or _decays_as_published)(name, parameter) else 0.0
        rate = rates[id(parameter)]
        groups.setdefault((rate, decay), Group(params=[], lr=rate, weight_decay=decay))["params"].append(parameter)
    return list(groups.values())


def decays_as_usual(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a matrix of weights: norms, biases, embeddings and the scale do not decay."""
    is_embedding = any(part in name for part in ("embedding", "positions", "queries"))
    return parameter.ndim >= 2 and not is_embedding


def _decays_as_published(name: str, parameter: nn.Parameter) -> bool:
    """Biases alone do not decay: norms' weights, embeddings and the scale do."""
    return name.rpartition(".")[2] not in ("bias", "in_proj_bias")


def _pretrained(model: SaveModel) -> Iterator[nn.Parameter]:
    yield model.logit_scale
    for module in (model.vision, model.text):
        yield from module.parameters()
    if model.audio is not None:
        yield from model.audio.encoder.parameters()
        yield from model.audio.norm.parameters()


def _clip_factor(norm: torch.Tensor, max_norm: float) -> torch.Tensor:
    return (max_norm / (norm + _CLIP_EPS)).clamp(max=1.0)

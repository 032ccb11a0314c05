"""The optimiser and what the training loop does around it (README, section 6), in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

LOGIT_SCALE = "clip.logit_scale"


@dataclass(frozen=True)
class Schedule:
    """Of the learning rate."""

    t_total: int
    warmup: float

    def factor(self, step: int) -> float:
        done = step / self.t_total
        return done / self.warmup if done < self.warmup else (1 + math.cos(math.pi * done)) / 2


@dataclass
class Trajectory:
    """One parameter on its way."""

    value: torch.Tensor
    lr: float
    decay: float
    steps: int = 0
    mean: torch.Tensor = field(init=False)
    square: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.value), torch.zeros_like(self.value)

    def step(self, gradient: torch.Tensor, schedule: Schedule) -> float:
        """The learning rate used."""
        gradient = gradient * shrunk(float(gradient.norm()))
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.98 * self.square + 0.02 * gradient**2
        lr = self.lr * schedule.factor(self.steps)
        self.value = self.value - lr * (self.mean / (self.square.sqrt() + 1e-6) + self.decay * self.value)
        self.steps += 1
        return lr


def shrunk(norm: float) -> float:
    """What a gradient of this norm is multiplied with."""
    return min(1.0, 1 / (norm + 1e-6))


def updated(
    parameters: Mapping[str, Trajectory], gradients: Mapping[str, torch.Tensor], schedule: Schedule, *, loop: bool
) -> tuple[dict[str, float], float]:
    """The rates used by name, and the norm of all gradients together; with the clipping and clamping of the `loop`."""
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients.values()))
    factor = shrunk(norm) if loop else 1.0
    rates = {name: parameters[name].step(factor * gradient, schedule) for name, gradient in gradients.items()}
    if loop and LOGIT_SCALE in parameters:
        parameters[LOGIT_SCALE].value = parameters[LOGIT_SCALE].value.clamp(max=math.log(100))
    return rates, norm

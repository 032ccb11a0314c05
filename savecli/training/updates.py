"""A step of either optimiser behind one call: gradients bounded, weights moved, the scale kept in its bounds."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import AdamW

from savecli.core.errors import SaveError
from savecli.model.save_model import SaveModel
from savecli.training.config import OptimConfig
from savecli.training.optim import (
    PublishedAdam,
    bound_logit_scale,
    clip_together,
    decays_as_usual,
    parameter_groups,
)
from savecli.training.step import LESS_RISK


class Updates:
    """Moves a model's weights.

    Args:
        num_steps: of the whole training, which the schedule is stretched over.
    """

    def __init__(self, model: SaveModel, config: OptimConfig, *, num_steps: int) -> None:
        self._model = model
        self._config = config
        self._num_steps = max(num_steps, 1)
        self._num_done = 0
        self._optimizer = self._built()
        self._lrs = [group.get("lr", 0.0) for group in self._optimizer.param_groups]

    @property
    def lr(self) -> float:
        """The rate of what is trained from scratch, at the next step."""
        return self._config.lr * self._share()

    def step(self) -> float:
        """Use the gradients and drop them; their norm before it was bounded.

        Raises:
            SaveError: a gradient is not finite. The weights are as they were.
        """
        norm = clip_together(self._model.parameters(), max_norm=self._config.max_norm)
        if not torch.isfinite(norm):
            raise SaveError(
                "a gradient is not finite",
                why=f"the norm of all is {float(norm)}, though the loss is finite",
                fix=LESS_RISK,
            )
        if self._config.kind == "adamw":
            share = self._share()
            for group, lr in zip(self._optimizer.param_groups, self._lrs, strict=True):
                group["lr"] = lr * share
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        bound_logit_scale(self._model.logit_scale)
        self._num_done += 1
        return float(norm)

    def state(self) -> dict[str, Any]:
        """All that `load` needs."""
        return {"optimizer": self._optimizer.state_dict(), "num_done": self._num_done}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._num_done = state["num_done"]

    def _built(self) -> torch.optim.Optimizer:
        config = self._config
        is_published = config.kind == "published"
        groups = parameter_groups(
            self._model,
            lr=config.lr,
            tower_factor=config.tower_factor,
            query_factor=config.query_factor,
            weight_decay=config.weight_decay,
            decays=None if is_published else decays_as_usual,
        )
        if is_published:
            return PublishedAdam(
                groups,
                num_steps=self._num_steps,
                warmup=config.warmup,
                betas=config.betas,
                eps=config.eps,
                max_norm=config.max_norm,
            )
        fused = next(self._model.parameters()).device.type in ("cpu", "cuda")
        return AdamW([dict(group) for group in groups], betas=config.betas, eps=config.eps, fused=fused)

    def _share(self) -> float:
        """Of the full rate. Ours: a line up over the warm-up, then half a cosine down to 0; no step stands still."""
        if isinstance(self._optimizer, PublishedAdam):
            return self._optimizer.rate(self._num_done)
        warmup = max(1, round(self._config.warmup * self._num_steps))
        if self._num_done < warmup:
            return (self._num_done + 1) / warmup
        done = (self._num_done - warmup) / max(1, self._num_steps - warmup)
        return (1 + math.cos(math.pi * min(done, 1.0))) / 2

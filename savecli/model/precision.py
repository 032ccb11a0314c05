"""Which device computes, in which number format, and what to do when its memory is full."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from savecli.core.errors import SaveError, UsageError
from savecli.model.blocks import Attention

Precision = Literal["fp32", "medium", "bf16"]
DEVICES = ("auto", "cpu", "cuda", "mps")

_log = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is the GPU if there is one.

    Raises:
        UsageError: no such device here.
    """
    kind = name.partition(":")[0]
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if here[kind]))
    if kind not in here or not here[kind]:
        usable = ", ".join(["auto", *(kind for kind, is_here in here.items() if is_here)])
        raise UsageError(f"no device `{name}`", why=f"usable on this machine: {usable}", fix="leave out --device")
    return torch.device(name)


def choose_precision(device: torch.device) -> Precision:
    """The fastest number format of `device` that keeps the vectors.

    From what the processor can do, not from a stopwatch: two runs on one machine must agree. Measured by
    `benchmarks/encode_speed.py`: with bf16 instructions bf16 is 3.5 times faster than fp32. Without them it is emulated
    and 3 times slower, and `medium` is at least as fast as fp32 at the same accuracy.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        return _cpu_precision()
    return "fp32"


def cast_weights(model: nn.Module, precision: Precision) -> None:
    """Store what is multiplied in bf16, in place; norms and embeddings stay as they are. Nothing for other formats.

    With weights already in bf16, autocast has nothing to convert per call: 2.7 times faster on a CPU. The branches keep
    the residual stream in fp32; a sum in bf16 would lose small differences beside CLIP's large outlier channels.
    """
    if precision != "bf16":
        return
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            module.to(torch.bfloat16)
        elif isinstance(module, (nn.MultiheadAttention, Attention)) and module.in_proj_weight is not None:
            module.in_proj_weight.data = module.in_proj_weight.data.to(torch.bfloat16)
            module.in_proj_bias.data = module.in_proj_bias.data.to(torch.bfloat16)


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """No gradients, and matrix products in `precision`, while inside."""
    with torch.inference_mode():
        if precision == "bf16":
            with torch.autocast(device.type, torch.bfloat16):
                yield
        else:
            with products_in(precision):
                yield


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Matrix products of fp32 numbers as `precision` has them, while inside."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "medium" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Batches:
    """Runs a function over slices of a tensor, with smaller slices once the device's memory was too small.

    Args:
        size: rows per slice; `size` afterwards is what proved to fit.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        """`function` of all rows, `(N, …)` with N ≥ 1 to `(N, D)`, in order, on the CPU in fp32.

        Raises:
            SaveError: the memory does not suffice for one row.
        """
        done: list[torch.Tensor] = []
        start = 0
        while start < len(rows):
            result = self._try(function, rows[start : start + self.size])
            if result is None:
                self._halve()
                continue
            done.append(result)
            start += len(result)
        return torch.cat(done)

    def _try(self, function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor | None:
        """The result on the CPU, or None when memory ran out. A call of its own: its locals are gone before a retry."""
        try:
            return function(rows).float().cpu()
        except RuntimeError as error:  # CUDA's error is a subclass; Metal has only the text
            if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error):
                return None
            raise

    def _halve(self) -> None:
        if self.size == 1:
            raise SaveError(
                "the GPU's memory is full",
                why="it does not hold the model and a single frame",
                fix="close other programs that use the GPU, or add `--device cpu`",
            )
        self.size = max(1, self.size // 2)
        _log.warning("the GPU's memory is full: going on with batches of %d", self.size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _cpu_precision() -> Precision:
    """The fastest format of this processor among those measured, which are x86's; elsewhere plain fp32."""
    capabilities: Mapping[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # absent in torch before 2.10: then fp32
    if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
        return "bf16"
    return "medium" if capabilities.get("avx2") else "fp32"

"""Several processes that train one model, as `torchrun` starts them; one alone is the same with nothing to exchange."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from savecli.core.errors import SaveError


@dataclass(frozen=True)
class Workers:
    """This process among those that train together.

    Args:
        rank: its place, 0 leads: it alone writes files and draws progress.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def gathered(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows of all processes, in order of rank. A gradient flows back into this process's own alone."""
        if self.size == 1:
            return rows
        sent = rows.detach().contiguous()
        as_bytes = sent.dtype is torch.bool  # gloo does not gather booleans
        sent = sent.to(torch.uint8) if as_bytes else sent
        held = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(held, sent)
        parts = [part.to(rows.dtype) for part in held]
        parts[self.rank] = rows
        return torch.cat(parts)

    @torch.no_grad()
    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; one that only some have got is then there for all."""
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            return
        device = trained[0].device
        present = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.uint8, device=device)
        dist.all_reduce(present, dist.ReduceOp.MAX)
        summed = [parameter for parameter, is_here in zip(trained, present.tolist(), strict=True) if is_here]
        if not summed:
            return
        flat = torch.cat([_gradient(parameter).flatten() for parameter in summed])
        dist.all_reduce(flat)
        for parameter, gradient in zip(summed, torch.split(flat, [item.numel() for item in summed]), strict=True):
            parameter.grad = gradient.view_as(parameter).clone()

    @torch.no_grad()
    def give_all(self, tensors: Iterable[torch.Tensor]) -> None:
        """Put the leader's numbers into every process's tensors."""
        if self.size == 1:
            return
        for held in tensors:
            sent = held.contiguous()
            dist.broadcast(sent, 0)
            held.copy_(sent)

    def joined(self, held: Mapping[str, str]) -> dict[str, str]:
        """What any process holds."""
        if self.size == 1:
            return dict(held)
        parts: list[dict[str, str]] = [{} for _ in range(self.size)]
        dist.all_gather_object(parts, dict(held))
        return {name: value for part in parts for name, value in part.items()}

    def largest(self, value: int, device: torch.device) -> int:
        """The largest of all processes' values."""
        if self.size == 1:
            return value
        held = torch.tensor([value], device=device)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return int(held.item())

    def all_agree(self, value: bool, device: torch.device) -> bool:
        """Whether it is true in every process."""
        if self.size == 1:
            return value
        flag = torch.tensor([value], dtype=torch.uint8, device=device)
        dist.all_reduce(flag, dist.ReduceOp.MIN)
        return bool(flag.item())

    @contextmanager
    def led(self, device: torch.device) -> Iterator[None]:
        """Every process leaves when all have come to the end; if one fails inside, the others are interrupted there.

        Raises:
            KeyboardInterrupt: another process failed.
        """
        is_done = False
        try:
            yield
            is_done = True
        finally:
            all_done = self.all_agree(is_done, device)
        if not all_done:
            raise KeyboardInterrupt

    def wait(self) -> None:
        """Until every process has come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined_workers(device: torch.device) -> Iterator[Workers]:
    """The processes that `torchrun` started, connected while inside; alone without it.

    Raises:
        SaveError: another process ended before its time.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Workers()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # The others wait while the first evaluates, which may take as long as it likes.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))
    try:
        yield Workers(dist.get_rank(), size)
    except RuntimeError as error:
        # gloo's errors have no class of their own.
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise SaveError(
            "another of the processes that train together has ended",
            why=str(error).splitlines()[0].partition(". ")[0],
            fix="see what it said, then go on with `--resume RUN`",
        ) from error
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The device of this process: of those that `torchrun` started on one machine, each has a GPU of its own."""
    if device.type != "cuda" or device.index is not None or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def is_leader() -> bool:
    """Whether this process is the first of those that `torchrun` started, or the only one; known before they join."""
    return os.environ.get("RANK", "0") == "0"


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

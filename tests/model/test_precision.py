"""Devices, number formats, and memory that runs out."""

from __future__ import annotations

import pytest
import torch

from savecli.core.errors import SaveError, UsageError
from savecli.model.precision import Batches, choose_device, choose_precision


class SmallDevice:
    """Doubles rows, and has memory for `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.sizes: list[int] = []

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(rows))
        if len(rows) > self.capacity:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return rows * 2


@pytest.mark.parametrize(("capacity", "size", "rows"), [(5, 16, 40), (1, 8, 3), (100, 7, 20), (4, 4, 4)])
def test_batches_halve_until_they_fit_and_nothing_is_lost(capacity, size, rows, caplog):
    device, batches = SmallDevice(capacity), Batches(size)
    values = torch.arange(rows, dtype=torch.float32).reshape(-1, 1)
    assert torch.equal(batches.run(device, values), values * 2)
    assert batches.size <= max(capacity, 1)
    assert (size > capacity) == ("memory is full" in caplog.text)


def test_the_smaller_size_is_kept():
    device, batches = SmallDevice(4), Batches(16)
    batches.run(device, torch.zeros(8, 1))
    device.sizes.clear()
    batches.run(device, torch.zeros(8, 1))
    assert device.sizes == [4, 4]


def test_a_device_too_small_for_one_row_is_an_error_with_a_way_out():
    with pytest.raises(SaveError, match="memory is full") as caught:
        Batches(8).run(SmallDevice(0), torch.zeros(3, 1))
    assert "--device cpu" in caught.value.fix


def test_metal_says_it_in_words_only():
    def first_time_too_large(rows):
        if len(rows) > 1:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)")
        return rows

    assert Batches(2).run(first_time_too_large, torch.ones(3, 1)).tolist() == [[1.0]] * 3


def test_other_errors_are_not_swallowed():
    def broken(rows):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches(2).run(broken, torch.ones(3, 1))


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="no device `tpu`") as caught:
        choose_device("tpu")
    assert "cpu" in caught.value.why
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no device `cuda`"):
            choose_device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": True}, "bf16"),
        ({"avx2": True, "amx_bf16": True}, "bf16"),
        ({"avx2": True}, "medium"),
        ({"architecture": "arm64", "bf16": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_precision_follows_the_processor(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision(torch.device("cpu")) == expected

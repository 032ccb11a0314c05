"""How large the published protocols are, to tell a whole copy of a dataset from another or a damaged one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class ExpectedSplit:
    """Clips and captions of a split before any file is lost; None where sources do not agree."""

    num_clips: int
    num_captions: int | None = None


# Sources: the tables of SAVE and AVIGATE, and the lists that the datasets' authors publish. Charades counts the rows
# of its two lists. DiDeMo is left out: what copies hold differs by release.
EXPECTED: Mapping[str, Mapping[SplitName, ExpectedSplit]] = {
    "msrvtt-9k": {"train": ExpectedSplit(9_000, 180_000), "test": ExpectedSplit(1_000, 1_000)},
    "msrvtt-7k-1ka": {"train": ExpectedSplit(7_010), "test": ExpectedSplit(1_000, 1_000)},
    "msrvtt-7k": {"train": ExpectedSplit(6_513), "val": ExpectedSplit(497), "test": ExpectedSplit(2_990)},
    "vatex": {"train": ExpectedSplit(25_991), "val": ExpectedSplit(1_500), "test": ExpectedSplit(1_500)},
    "charades": {"train": ExpectedSplit(7_985), "test": ExpectedSplit(1_863)},
    "lsmdc": {"train": ExpectedSplit(101_079), "val": ExpectedSplit(7_408), "test": ExpectedSplit(1_000, 1_000)},
    "msvd": {"train": ExpectedSplit(1_200), "val": ExpectedSplit(100), "test": ExpectedSplit(670)},
    "activitynet": {"train": ExpectedSplit(10_009, 10_009), "test": ExpectedSplit(4_917, 4_917)},
}

"""Batches read ahead in threads, so that a step finds the next one ready."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from savecli.core.errors import MediaError, SaveError
from savecli.training.batches import Collator, TrainingBatch
from savecli.training.order import Pair
from savecli.training.records import ClipArrays, ClipSource

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# Batches that are ready or being read besides the one in use: enough for one slow file, little memory.
_AHEAD = 2


def ahead(function: Callable[[Item], Result], items: Iterable[Item], *, num_threads: int) -> Iterator[Result]:
    """`function` of each item in order, computed ahead by threads; never more than a few results wait."""
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="save-reader")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= num_threads + _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)


class PairReader:
    """Reads the pairs of a batch; another pair stands in for one whose clip cannot be read.

    Args:
        pairs: all samples of the split.
        is_pinned: batches lie in memory that a GPU fetches from.
    """

    def __init__(
        self, source: ClipSource, collator: Collator, pairs: Sequence[Pair], *, is_pinned: bool = False
    ) -> None:
        self._source = source
        self._collator = collator
        self._pairs = pairs
        self._is_pinned = is_pinned
        # By clip, why it cannot be read; threads only ever add to it.
        self.failures: dict[str, str] = {}

    def batch(self, places: Sequence[int]) -> TrainingBatch:
        """The batch of these pairs.

        Raises:
            SaveError: no clip at all can be read.
        """
        clips: list[ClipArrays] = []
        captions: list[str] = []
        taken = {self._pairs[place].clip.clip_id for place in places}
        for place in places:
            pair = self._pairs[place]
            arrays = self._read(pair)
            if arrays is None:
                pair, arrays = self._stand_in(place, taken)
                taken.add(pair.clip.clip_id)
            clips.append(arrays)
            captions.append(pair.caption)
        batch = self._collator.batch(clips, captions)
        return batch.pinned() if self._is_pinned else batch

    def _read(self, pair: Pair) -> ClipArrays | None:
        """None where the clip cannot be read, which is noted."""
        if pair.clip.clip_id in self.failures:
            return None
        try:
            return self._source.read(pair.clip)
        except MediaError as error:
            self.failures[pair.clip.clip_id] = error.why or error.what
            _log.warning("clip %s is left out: %s", pair.clip.clip_id, error)
            return None

    def _stand_in(self, place: int, taken: set[str]) -> tuple[Pair, ClipArrays]:
        """A readable pair for the one at `place`, of a clip that is not in the batch: the same one in every run.

        Which one is as good as random, so that a block of broken files does not repeat its neighbour.
        """
        order = np.random.default_rng(place).permutation(len(self._pairs))
        # Where every other clip is in the batch already, one comes twice rather than none.
        for may_repeat in (False, True):
            for other in order:
                pair = self._pairs[other]
                if not may_repeat and pair.clip.clip_id in taken:
                    continue
                arrays = self._read(pair)
                if arrays is not None:
                    return pair, arrays
        raise SaveError(
            "no clip of the split can be read",
            why=next(iter(self.failures.values()), "it has none"),
            fix="`save data verify` tells what is wrong with each",
        )

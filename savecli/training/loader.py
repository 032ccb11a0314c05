"""Batches read ahead in threads, so that a step finds the next one ready."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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
    """

    def __init__(self, source: ClipSource, collator: Collator, pairs: Sequence[Pair]) -> None:
        self._source = source
        self._collator = collator
        self._pairs = pairs
        # By clip, why it cannot be read; threads only ever add to it.
        self.failures: dict[str, str] = {}

    def batch(self, places: Sequence[int]) -> TrainingBatch:
        """The batch of these pairs.

        Raises:
            SaveError: no clip at all can be read.
        """
        clips: list[ClipArrays] = []
        captions: list[str] = []
        for place in places:
            clip, caption = self._readable(place)
            clips.append(clip)
            captions.append(caption)
        return self._collator.batch(clips, captions)

    def _readable(self, place: int) -> tuple[ClipArrays, str]:
        """The pair, or the next one in the file's order whose clip can be read: the same one in every run."""
        for step in range(len(self._pairs)):
            pair = self._pairs[(place + step) % len(self._pairs)]
            if pair.clip.clip_id in self.failures:
                continue
            try:
                return self._source.read(pair.clip), pair.caption
            except MediaError as error:
                self.failures[pair.clip.clip_id] = error.why or error.what
                _log.warning("clip %s is left out: %s", pair.clip.clip_id, error)
        raise SaveError(
            "no clip of the split can be read",
            why=next(iter(self.failures.values()), "it has none"),
            fix="`save data verify` tells what is wrong with each",
        )

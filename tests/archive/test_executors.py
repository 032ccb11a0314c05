"""Executors hand on every event, in order within an item, never far ahead, and stop when nobody listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from savecli.archive.executors import Executor, SerialExecutor, ThreadExecutor


def count_to(limit: int) -> Iterator[tuple[int, int]]:
    for number in range(limit):
        yield limit, number


@pytest.mark.parametrize("executor", [SerialExecutor(), ThreadExecutor(3, max_ahead=2)], ids=["serial", "threads"])
def test_every_event_comes_and_each_item_in_order(executor: Executor) -> None:
    items = [3, 1, 0, 5, 2]
    events = list(executor.run(items, count_to))
    for item in items:
        assert [number for owner, number in events if owner == item] == list(range(item))
    assert len(events) == sum(items)


def test_threads_run_at_most_so_many_events_ahead() -> None:
    made: list[int] = []

    def work(item: int) -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    events = ThreadExecutor(1, max_ahead=4).run([0], work)
    next(events)
    time.sleep(0.3)
    assert len(made) <= 1 + 4 + 1  # taken, queued, and the one that waits for a place
    events.close()


def test_closing_stops_the_threads() -> None:
    before = threading.active_count()
    events = ThreadExecutor(2, max_ahead=1).run([10**9, 10**9], count_to)
    next(events)
    events.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def work(item: int) -> Iterator[int]:
        yield item
        raise ZeroDivisionError("our own bug")

    with pytest.raises(ZeroDivisionError, match="our own bug"):
        list(ThreadExecutor(2, max_ahead=4).run([1, 2], work))

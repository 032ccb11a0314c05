"""Running the slow, independent part of indexing ahead of the encoder."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Event = TypeVar("Event")
Work = Callable[[Item], Iterator[Event]]


class Executor(Protocol):
    """Runs `work` over items and hands back all events; the events of one item stay in order."""

    def run(self, items: Sequence[Item], work: Work[Item, Event]) -> Iterator[Event]:
        """Events of every item. Closing the iterator early stops the work."""


class SerialExecutor:
    """One item after the other in the caller's thread."""

    def run(self, items: Sequence[Item], work: Work[Item, Event]) -> Iterator[Event]:
        for item in items:
            yield from work(item)


class ThreadExecutor:
    """Several items at a time, at most `max_ahead` events ahead of the caller.

    Threads, not processes: decoding, speech recognition and hashing all release the interpreter's lock. They are
    daemons, so that Ctrl-C ends the process even while a native call is still running.
    """

    def __init__(self, num_threads: int, *, max_ahead: int) -> None:
        self._num_threads = num_threads
        self._max_ahead = max_ahead

    def run(self, items: Sequence[Item], work: Work[Item, Event]) -> Iterator[Event]:
        crew = _Crew(items, work, max_ahead=self._max_ahead)
        for number in range(min(self._num_threads, len(items))):
            threading.Thread(target=crew.work_off, name=f"index-{number}", daemon=True).start()
        try:
            yield from crew.events(min(self._num_threads, len(items)))
        finally:
            crew.stop()


class _Done:
    """A thread has nothing left to do, or died of `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Stopped(Exception):
    """The caller does not want more events."""


class _Crew(Generic[Item, Event]):
    """What the threads of one run share: the items to do, the events made, and the wish to stop."""

    def __init__(self, items: Sequence[Item], work: Work[Item, Event], *, max_ahead: int) -> None:
        self._work = work
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            self._items.put(item)
        self._events: queue.Queue[Event | _Done] = queue.Queue(max_ahead)
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def work_off(self) -> None:
        """Body of each thread. An exception is our own bug: it travels to the caller instead of dying in the thread."""
        try:
            while not self._stopping.is_set():
                try:
                    item = self._items.get_nowait()
                except queue.Empty:
                    break
                for event in self._work(item):
                    self._put(event)
            self._put(_Done())
        except _Stopped:
            return
        except BaseException as error:
            self._put(_Done(error))

    def events(self, num_threads: int) -> Iterator[Event]:
        while num_threads:
            event = self._events.get()
            if not isinstance(event, _Done):
                yield event
            elif event.error is not None:
                raise event.error
            else:
                num_threads -= 1

    def _put(self, event: Event | _Done) -> None:
        # A short timeout, so that a full queue nobody reads any more does not hold the thread for ever.
        while not self._stopping.is_set():
            try:
                self._events.put(event, timeout=0.2)
                return
            except queue.Full:
                continue
        raise _Stopped

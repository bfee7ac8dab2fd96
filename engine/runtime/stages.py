"""Threads joined by bounded channels: backpressure, clean shutdown, and failures that reach the consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from engine.errors import EngineError

T = TypeVar("T")


class Channel(Generic[T]):
    """A bounded queue from one stage to the next.

    `admit` sees every item as it is put, and again on `sift()`: it returns the item, a newer version
    of it, or None where the item's epoch is over and it has to vanish.
    """

    def __init__(self, capacity: int, admit: Callable[[T], T | None] = lambda item: item) -> None:
        """Makes an empty channel for `capacity` items."""
        self._capacity, self._admit = capacity, admit
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: EngineError | None = None

    def put(self, item: T) -> bool:
        """Blocks while the channel is full.

        Returns:
            False once the channel is closed: the producer has to stop.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            # Only now: what became stale while it waited for room is dropped as well.
            admitted = self._admit(item)
            if admitted is not None:
                self._items.append(admitted)
                self._changed.notify_all()
            return True

    def __iter__(self) -> Iterator[T]:
        """Yields items until `end()` or `close()`; raises what was given to `fail()`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended or self._closed or self._error)
                if self._error is not None:
                    raise self._error
                if self._closed or not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def sift(self) -> None:
        """Asks `admit` again about everything that waits (after an epoch has advanced)."""
        with self._changed:
            admitted = [self._admit(item) for item in self._items]
            self._items = deque(item for item in admitted if item is not None)
            self._changed.notify_all()

    def end(self) -> None:
        """Says that nothing follows; what waits is still delivered."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def fail(self, error: EngineError) -> None:
        """Makes the consumer raise `error` at once."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Releases producer and consumer at once; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class Stage(Generic[T]):
    """A thread that moves what `items` yields into `sink`."""

    def __init__(
        self, name: str, items: Iterable[T], sink: Channel[T], source: Channel[Any] | None = None
    ) -> None:
        """Names the stage; `source` is the channel that `items` reads, closed when this stage stops."""
        self.name = name
        self._items, self._sink, self._source = items, sink, source
        self._thread = threading.Thread(target=self._run, name=f"llia-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread; says whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._sink.put(item):
                    break
            self._sink.end()
        except EngineError as error:
            self._sink.fail(error)
        except Exception as error:  # whatever it was, the consumer has to hear of it
            failure = EngineError(f"stage '{self.name}' failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._sink.fail(failure)
        finally:
            # A stage upstream may be blocked in put(): without this it would wait for ever.
            if self._source is not None:
                self._source.close()

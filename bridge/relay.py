"""One producer, many consumers, each with its own policy: the newest item only, or a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription(Generic[T]):
    """One consumer's end of a relay; made by `Relay.subscribe`.

    A consumer that is too slow loses its oldest items and never holds up the producer.

    Attributes:
        dropped: items this consumer lost because it was too slow.
    """

    def __init__(self, relay: Relay[T], bound: int, notify: Callable[[], None] | None) -> None:
        self.dropped = 0
        self._relay = relay
        self._items: deque[T] = deque()
        self._bound = bound
        self._notify = notify
        self._closed = False
        self._stale = False
        self._ready = threading.Condition()

    @property
    def closed(self) -> bool:
        """True once either side has closed it; items that already wait can still be fetched."""
        return self._closed

    @property
    def stale(self) -> bool:
        """True when the item fetched last was withdrawn; ask while holding the relay's `handing_over`."""
        return self._stale

    @property
    def waiting(self) -> int:
        """Number of items that wait to be fetched."""
        return len(self._items)

    def get(self, timeout_s: float | None) -> T | None:
        """Waits for the next item.

        Args:
            timeout_s: longest wait in seconds; 0 looks and returns at once, None has no limit.

        Returns:
            The oldest waiting item, or None after the timeout or after the end (see `closed`).
        """
        with self._ready:
            self._ready.wait_for(lambda: bool(self._items) or self._closed, timeout_s)
            self._stale = False
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        """Leaves the relay and wakes a waiting `get`; calling it again does nothing."""
        self._relay._leave(self)
        self._end()

    def _offer(self, item: T) -> None:
        with self._ready:
            if self._closed:
                return
            if len(self._items) >= self._bound:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._ready.notify()
        if self._notify is not None:
            self._notify()

    def _withdraw(self) -> None:
        with self._ready:
            self._items.clear()
            self._stale = True

    def _end(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()


class Relay(Generic[T]):
    """Hands every published item to all subscriptions; safe to use from any thread.

    Attributes:
        last: the newest item published, None before the first and after `withdraw`.
        handing_over: held by a consumer while it gives an item out of the process, see `withdraw`.
    """

    def __init__(self) -> None:
        self.last: T | None = None
        self.handing_over = threading.Lock()
        self._subscriptions: tuple[Subscription[T], ...] = ()
        self._closed = False
        self._lock = threading.Lock()

    @property
    def subscribers(self) -> int:
        """Number of open subscriptions; a producer may skip its work when it is 0."""
        return len(self._subscriptions)

    @property
    def dropped(self) -> int:
        """Items that the open subscriptions have lost, all together."""
        return sum(subscription.dropped for subscription in self._subscriptions)

    def publish(self, item: T) -> None:
        """Gives the item to everybody; never blocks. After `close` nothing happens."""
        if self._closed:
            return
        self.last = item
        for subscription in self._subscriptions:
            subscription._offer(item)

    def subscribe(
        self, newest: bool, bound: int = 64, notify: Callable[[], None] | None = None
    ) -> Subscription[T]:
        """Joins the relay; items published from now on arrive.

        Args:
            newest: True keeps one item only, the newest; False keeps up to `bound` items in order.
            bound: length of the queue, at least 1; when it is full its oldest item is dropped and counted.
            notify: called from the producer's thread after each item (to wake a poll loop); must not block.

        Raises:
            ValueError: `bound` is below 1.
        """
        if bound < 1:
            raise ValueError(f"bound is {bound}; at least 1 is needed")
        subscription = Subscription(self, 1 if newest else bound, notify)
        with self._lock:
            if self._closed:
                subscription._end()
            else:
                self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def withdraw(self) -> None:
        """Takes back everything published so far that no consumer has given away yet.

        A consumer that holds `handing_over` and finds its subscription not `stale` may give away the item it
        fetched; this waits for it. After the return nothing of what was published before can leave.
        """
        with self.handing_over:
            self.last = None
            for subscription in self._subscriptions:
                subscription._withdraw()

    def close(self) -> None:
        """Ends all subscriptions; their waiting `get` calls return None."""
        with self._lock:
            self._closed = True
            subscriptions, self._subscriptions = self._subscriptions, ()
        for subscription in subscriptions:
            subscription._end()

    def _leave(self, subscription: Subscription[T]) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

from __future__ import annotations

import threading
import time

import pytest

from bridge.relay import Relay


def test_newest_wins_and_counts_what_was_lost() -> None:
    relay: Relay[int] = Relay()
    viewer = relay.subscribe(newest=True)
    for item in range(5):
        relay.publish(item)
    assert (viewer.get(0), viewer.get(0), viewer.dropped, relay.last) == (4, None, 4, 4)


def test_queue_keeps_order_and_drops_the_oldest() -> None:
    relay: Relay[int] = Relay()
    queue = relay.subscribe(newest=False, bound=3)
    for item in range(5):
        relay.publish(item)
    assert [queue.get(0) for _ in range(4)] == [2, 3, 4, None]
    assert (queue.dropped, relay.dropped) == (2, 2)


def test_a_slow_consumer_does_not_hold_up_the_others() -> None:
    relay: Relay[int] = Relay()
    relay.subscribe(newest=False, bound=1)
    fast = relay.subscribe(newest=False, bound=10)
    for item in range(3):
        relay.publish(item)
    assert [fast.get(0) for _ in range(3)] == [0, 1, 2]


def test_get_waits_for_an_item_or_the_end() -> None:
    relay: Relay[str] = Relay()
    viewer = relay.subscribe(newest=True)
    assert viewer.get(0.01) is None
    timer = threading.Timer(0.05, relay.publish, ["item"])
    timer.start()
    assert viewer.get(5.0) == "item"
    timer = threading.Timer(0.05, relay.close)
    timer.start()
    start_s = time.monotonic()
    assert viewer.get(None) is None
    assert viewer.closed and time.monotonic() - start_s < 2.0
    timer.join()


def test_leaving_and_joining() -> None:
    relay: Relay[int] = Relay()
    viewer = relay.subscribe(newest=True)
    assert relay.subscribers == 1
    viewer.close()
    viewer.close()
    assert relay.subscribers == 0
    relay.publish(1)
    assert viewer.get(0) is None
    relay.close()
    assert relay.subscribe(newest=True).get(None) is None


def test_notify_wakes_a_poll_loop() -> None:
    woken: list[int] = []
    relay: Relay[int] = Relay()
    viewer = relay.subscribe(newest=True, notify=lambda: woken.append(1))
    relay.publish(7)
    assert woken == [1] and viewer.waiting == 1


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Relay[int]().subscribe(newest=False, bound=0)


def test_what_is_withdrawn_cannot_be_given_away() -> None:
    relay: Relay[int] = Relay()
    subscription = relay.subscribe(newest=False)
    relay.publish(1)
    relay.publish(2)
    assert subscription.get(0) == 1 and not subscription.stale
    relay.withdraw()
    assert subscription.stale and relay.last is None
    assert subscription.get(0) is None
    relay.publish(3)
    assert subscription.get(0) == 3 and not subscription.stale


def test_withdrawing_waits_for_a_consumer_that_is_giving_away() -> None:
    relay: Relay[int] = Relay()
    relay.subscribe(newest=False)
    withdrawn = threading.Event()

    def withdraw() -> None:
        relay.withdraw()
        withdrawn.set()

    with relay.handing_over:
        thread = threading.Thread(target=withdraw)
        thread.start()
        assert not withdrawn.wait(0.1)
    thread.join(2.0)
    assert withdrawn.is_set()

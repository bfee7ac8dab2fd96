from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.errors import EngineError, ModelError
from engine.runtime.stages import Channel, Stage


def _numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def test_nothing_is_dropped_and_order_is_kept() -> None:
    middle: Channel[int] = Channel(2)
    out: Channel[int] = Channel(1)
    first = Stage("first", _numbers(50), middle)
    second = Stage("second", (2 * n for n in middle), out, source=middle)
    first.start()
    second.start()
    assert list(out) == [2 * n for n in range(50)]
    assert first.join(1.0) and second.join(1.0)


def test_a_full_channel_holds_its_producer_back() -> None:
    made: list[int] = []
    third_asked = threading.Event()

    def produce() -> Iterator[int]:
        for n in range(10):
            if n == 3:
                third_asked.set()
            made.append(n)
            yield n

    channel: Channel[int] = Channel(2)
    stage = Stage("eager", produce(), channel)
    stage.start()
    assert not third_asked.wait(0.05)
    assert made == [0, 1, 2]
    channel.close()
    assert stage.join(1.0)


def test_a_failure_reaches_the_consumer_through_every_stage() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("no way")

    middle: Channel[int] = Channel(4)
    out: Channel[int] = Channel(4)
    stages = [Stage("broken", broken(), middle), Stage("next", iter(middle), out, source=middle)]
    for stage in stages:
        stage.start()
    with pytest.raises(EngineError, match="stage 'broken' failed: ZeroDivisionError: no way"):
        list(out)
    assert all(stage.join(1.0) for stage in stages)


def test_engine_errors_pass_unchanged() -> None:
    def broken() -> Iterator[int]:
        raise ModelError("graph x")
        yield

    out: Channel[int] = Channel(1)
    stage = Stage("broken", broken(), out)
    stage.start()
    with pytest.raises(ModelError, match=r"^graph x$"):
        list(out)
    assert stage.join(1.0)


def test_a_dead_stage_releases_the_one_before_it() -> None:
    def broken(source: Channel[int]) -> Iterator[int]:
        next(iter(source))
        raise ValueError("full")
        yield

    middle: Channel[int] = Channel(1)
    out: Channel[int] = Channel(1)
    endless = Stage("endless", iter(int, 1), middle)
    dying = Stage("dying", broken(middle), out, source=middle)
    endless.start()
    dying.start()
    with pytest.raises(EngineError, match="dying"):
        list(out)
    assert endless.join(1.0) and dying.join(1.0)


def test_close_releases_a_waiting_consumer() -> None:
    channel: Channel[int] = Channel(1)
    got: list[list[int]] = []
    consumer = threading.Thread(target=lambda: got.append(list(channel)))
    consumer.start()
    channel.close()
    consumer.join(1.0)
    assert got == [[]]
    assert not channel.put(1)


def test_sift_drops_and_renews_what_waits() -> None:
    limit = 100

    def admit(n: int) -> int | None:
        return None if n >= limit else n + 1000 if limit < 100 else n

    channel: Channel[int] = Channel(10, admit)
    for n in range(5):
        channel.put(n)
    limit = 2
    channel.sift()
    channel.put(7)
    channel.end()
    assert list(channel) == [1000, 1001]


def test_what_became_stale_while_waiting_for_room_is_dropped() -> None:
    stale = False
    channel: Channel[int] = Channel(1, lambda n: None if stale and n == 1 else n)
    stage = Stage("two", _numbers(3), channel)
    channel.put(9)
    stage.start()
    items = iter(channel)
    assert next(items) == 9
    assert next(items) == 0
    stale = True
    channel.sift()
    assert list(items) in ([2], [1, 2])  # 1 may have left the channel's hands before it became stale
    assert stage.join(1.0)

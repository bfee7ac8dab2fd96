"""Limits of PROTOCOL.md at their edge that need real sockets; docs/reliability.md names the other tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from bridge.daemon import Daemon
from bridge.meter import Counter
from bridge.outputs.shared_frames import SLOTS
from bridge.outputs.zmq_frames import MAX_TOPICS, FramePublisher
from bridge.protocol.codec import MAX_HEADER_BYTES, MAX_ITEMS, MAX_PAYLOAD_BYTES, MAX_TEXT_CHARS
from bridge.protocol.messages import MAX_ID_CHARS
from bridge.sockets import (
    MAX_SUBSCRIPTION_BYTES,
    WAITING_PUBLISHED,
    WAITING_REQUESTS,
    RequestServer,
    bind,
    bound_port,
)
from tests.integration.test_daemon import settings
from tests.integration.wire import WireClient

PROTOCOL = (Path(__file__).parents[2] / "bridge" / "PROTOCOL.md").read_text()
AUDIO = {"utterance_id": "u", "sample_rate_hz": 16_000}
MIB = 1 << 20


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    limits = {"max_clients": 8, "max_avatars": 3, "max_avatars_per_client": 2, "client_timeout_s": 1.0}
    running = Daemon(settings(toy_pack, **{f"sessions__{key}": value for key, value in limits.items()}))
    yield running
    running.close()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WireClient]:
    connected = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("event/",))
    yield connected
    connected.close()
    deadline_s = time.monotonic() + 10
    while daemon.sessions.counts()["clients"]:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_the_document_names_the_code_s_limits() -> None:
    table = PROTOCOL[PROTOCOL.index("## Limits") : PROTOCOL.index("## Strangers")]
    for value in (
        MAX_HEADER_BYTES, MAX_ITEMS, MAX_TEXT_CHARS, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES,
        WAITING_REQUESTS, MAX_SUBSCRIPTION_BYTES, MAX_TOPICS, WAITING_PUBLISHED,
        SLOTS,
    ):  # fmt: skip
        assert f"{value:,}" in table, value


@pytest.mark.parametrize(
    ("kind", "within", "beyond"),
    [
        ("ping", {"request_id": "x" * MAX_TEXT_CHARS}, {"request_id": "x" * (MAX_TEXT_CHARS + 1)}),
        ("hello", {"versions": [1] * MAX_ITEMS}, {"versions": [1] * (MAX_ITEMS + 1)}),
        ("end", {"utterance_id": "x" * MAX_ID_CHARS}, {"utterance_id": "x" * (MAX_ID_CHARS + 1)}),
        ("end", {"utterance_id": "x"}, {"utterance_id": ""}),
    ],
)
def test_headers(client: WireClient, kind: str, within: dict[str, Any], beyond: dict[str, Any]) -> None:
    client.send(kind, **{"request_id": "r", **within})
    assert client.answer()["type"] != "error"
    client.send(kind, **{"request_id": "r", **beyond})
    assert client.answer()["code"] in ("bad_field", "bad_message")


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
def test_sample_rates(client: WireClient, rate_hz: int) -> None:
    told = client.ask("audio", bytes(2_000), utterance_id=f"u{rate_hz}", sample_rate_hz=rate_hz, final=True)
    assert told["type"] == "ok"
    beyond = rate_hz + (1 if rate_hz > 8_000 else -1)
    told = client.ask("audio", bytes(2_000), utterance_id="v", sample_rate_hz=beyond)
    assert told["code"] == "bad_field"


@pytest.mark.parametrize(("name", "low", "high", "step"), [("size_px", 64, 1_024, 32), ("fps", 10, 60, 1)])
def test_sizes_and_rates_of_avatars(client: WireClient, name: str, low: int, high: int, step: int) -> None:
    for value in (low, high):
        told = client.ask("open_avatar", **{"size_px": 64, name: value})
        assert told["type"] == "avatar_opened", told
        assert client.ask("close_avatar", avatar_id=told["avatar_id"])["type"] == "ok"
    for value in (low - step, high + step):
        assert client.ask("open_avatar", **{"size_px": 64, name: value})["code"] in ("avatar", "bad_field")


def test_parts_on_the_wire(client: WireClient) -> None:
    """A payload at its limit is taken, one beyond it told, a part beyond the wire's ends the connection."""
    header = {"v": 1, "type": "audio", **AUDIO, "request_id": "r"}
    for size, outcome in (
        (MAX_PAYLOAD_BYTES, ("ok", "")),
        (MAX_PAYLOAD_BYTES + 1, ("error", "too_large")),
        (MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES, ("error", "too_large")),
    ):
        client.control.send_multipart([msgpack.packb(header), bytes(size)])
        told = client.answer(10_000)
        assert (told["type"], told.get("code", "")) == outcome
    assert client.ask("cancel")["type"] == "ok"
    monitor = client.control.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    client.control.send_multipart([msgpack.packb(header), bytes(MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES + 1)])
    assert monitor.poll(5_000), "the connection did not end"
    client.control.disable_monitor()
    monitor.close()


def test_avatars_and_clients(daemon: Daemon, client: WireClient) -> None:
    for _ in range(2):
        assert client.ask("open_avatar", size_px=64)["type"] == "avatar_opened"
    assert client.ask("open_avatar", size_px=64)["code"] == "limit"
    others = [WireClient(daemon.control_endpoint, daemon.frames_endpoint, ()) for _ in range(8)]
    try:
        told = [other.ask("ping") for other in others]
        assert [answer["type"] for answer in told] == ["pong"] * 7 + ["error"]
        assert told[-1]["code"] == "limit"
    finally:
        for other in others:
            other.close()


Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context()
    yield made
    made.destroy(linger=0)


def test_requests_that_wait_block_their_client_and_are_not_lost(context: Context) -> None:
    go_on = threading.Event()

    def answer(identity: bytes, parts: list[memoryview]) -> list[bytes]:
        go_on.wait(20)
        return [bytes(parts[0][:4])]

    router = bind(context, zmq.ROUTER, "127.0.0.1", 0, "--control-port")
    server = RequestServer(router, answer)
    client = context.socket(zmq.DEALER)
    client.sndhwm = 1
    client.connect(f"tcp://127.0.0.1:{bound_port(router)}")
    sent, blocked_s = 0, 0.0
    while blocked_s < 1.0:
        if client.poll(100, zmq.POLLOUT):
            client.send(sent.to_bytes(4, "big") + bytes(2 * MIB))
            sent, blocked_s = sent + 1, 0.0
        else:
            blocked_s += 0.1
        assert sent < 100, "nothing holds a client back"
    assert sent >= WAITING_REQUESTS
    go_on.set()
    assert [client.recv() for _ in range(sent)] == [n.to_bytes(4, "big") for n in range(sent)]
    client.close(linger=0)
    server.close()


def test_subscriptions(context: Context) -> None:
    counter = Counter()
    frames = bind(context, zmq.XPUB, "127.0.0.1", 0, "--frames-port")
    publisher = FramePublisher(frames, counter)
    raw = context.socket(zmq.XSUB)
    raw.sndhwm = 0
    raw.connect(f"tcp://127.0.0.1:{bound_port(frames)}")
    monitor = raw.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    def await_true(wanted: Any) -> None:
        deadline_s = time.monotonic() + 10
        while not wanted():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    for number in range(MAX_TOPICS):
        raw.send(b"\x01topic%d" % number)
    await_true(lambda: len(publisher._topics) == MAX_TOPICS)
    assert "ignored" not in counter.counts()
    raw.send(b"\x01one more")
    await_true(lambda: counter.counts().get("ignored") == 1)
    assert len(publisher._topics) == MAX_TOPICS
    raw.send(b"\x02" + bytes(MAX_SUBSCRIPTION_BYTES - 1))
    await_true(lambda: counter.counts().get("ignored") == 2)
    assert not monitor.poll(200)
    raw.send(b"\x02" + bytes(MAX_SUBSCRIPTION_BYTES))
    assert monitor.poll(5_000), "the connection did not end"
    raw.disable_monitor()
    monitor.close()
    raw.close(linger=0)
    publisher.close()

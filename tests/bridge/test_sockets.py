from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from bridge.errors import PortError
from bridge.sockets import RequestServer, bind, bound_port, require_free_port, require_loopback

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context()
    yield made
    made.destroy(linger=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    require_loopback(host, "sockets.host")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "*", "example.org", ""])
def test_public_addresses_are_refused(host: str) -> None:
    with pytest.raises(PortError, match=r"loopback only; use 127.0.0.1"):
        require_loopback(host, "sockets.host")


def test_a_busy_port_is_named_with_its_flag(context: Context) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortError, match=rf"port {port} on 127.0.0.1 is in use; .*--control-port PORT"):
            bind(context, zmq.ROUTER, "127.0.0.1", port, "--control-port")
        with pytest.raises(PortError, match=rf"port {port} on 127.0.0.1 is in use; .*--page-port PORT"):
            require_free_port("127.0.0.1", port, "--page-port")
    require_free_port("127.0.0.1", port, "--page-port")


DYING_CLIENT = """
import sys, time, zmq
from bridge.sockets import bind, bound_port
context = zmq.Context()
bound = bind(context, getattr(zmq, sys.argv[1]), "127.0.0.1", 0, "--port")
others = zmq.Context()
client = others.socket(getattr(zmq, sys.argv[2]))
client.linger = 0
client.connect(f"tcp://127.0.0.1:{bound_port(bound)}")
for _ in range(600):  # more than may wait: libzmq stops reading this client
    try:
        client.send(bytes(int(sys.argv[3])), zmq.NOBLOCK)
    except zmq.Again:
        time.sleep(0.001)
time.sleep(0.3)
client.close()
others.term()
time.sleep(5.0)
bound.close(linger=0)
context.term()
print("alive")
"""


@pytest.mark.parametrize("words", [("ROUTER", "DEALER", "20000"), ("XPUB", "XSUB", "900")])
def test_a_client_that_dies_while_its_messages_wait_does_no_harm(words: tuple[str, str, str]) -> None:
    """In a process of its own: what libzmq does otherwise is to abort it."""
    ended = subprocess.run(
        [sys.executable, "-c", DYING_CLIENT, *words], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "alive"), ended.stderr


def test_requests_are_answered_and_parts_beyond_the_limit_dropped(context: Context) -> None:
    router = bind(context, zmq.ROUTER, "127.0.0.1", 0, "--control-port")
    server = RequestServer(router, lambda identity, parts: [b"%d" % len(parts)])
    client = context.socket(zmq.DEALER)
    client.connect(f"tcp://127.0.0.1:{bound_port(router)}")
    for sent, seen in ((1, b"1"), (3, b"3"), (500, b"3")):
        client.send_multipart([b"x"] * sent)
        assert client.poll(2_000)
        assert client.recv_multipart() == [seen]
    client.close(linger=0)
    server.close()


def test_nobody_is_called_silent_whose_requests_wait(context: Context) -> None:
    """The tick, which forgets the silent, comes after those who have waited were heard, and comes soon."""
    happened: list[bytes] = []
    all_wait = threading.Event()

    def answer(identity: bytes, parts: list[memoryview]) -> list[bytes]:
        word = bytes(parts[0])
        if word == b"wait":
            all_wait.wait(10)
        elif word != b"connected":
            time.sleep(0.01)
        happened.append(word)
        return [word] if word in (b"connected", b"last") else []

    router = bind(context, zmq.ROUTER, "127.0.0.1", 0, "--control-port")
    server = RequestServer(router, answer, lambda: happened.append(b"tick"))
    clients = [context.socket(zmq.DEALER) for _ in range(4)]
    for client in clients:
        client.connect(f"tcp://127.0.0.1:{bound_port(router)}")
        client.send(b"connected")
        assert client.recv() == b"connected"
    for word in [b"wait"] + [b"0"] * 100 + [b"last"]:
        clients[0].send(word)
    for number in range(1, 4):
        clients[number].send(b"%d" % number)
    time.sleep(1.0)
    all_wait.set()
    assert clients[0].poll(10_000)
    for client in clients:
        client.close(linger=0)
    server.close()
    heard = happened[happened.index(b"wait") :]
    assert {b"0", b"1", b"2", b"3"} <= set(heard[: heard.index(b"tick")])
    assert heard[: heard.index(b"last")].count(b"tick") >= 3, "who never pauses holds up the tick"

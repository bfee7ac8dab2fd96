from __future__ import annotations

import socket
import subprocess
import sys
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

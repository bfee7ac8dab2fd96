from __future__ import annotations

import socket
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

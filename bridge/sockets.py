"""ZeroMQ sockets with their limits, bound to loopback; the thread that serves the ROUTER socket."""

from __future__ import annotations

import errno
import ipaddress
import logging
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

import zmq

from bridge.errors import PortError
from bridge.keys import Doorkeeper
from bridge.protocol.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES

MAX_PARTS = 3
MAX_SUBSCRIPTION_BYTES = 1_024
WAITING_REQUESTS = 16
WAITING_PUBLISHED = 24
"""Messages that may wait for one slow subscriber before newer ones are dropped for it: under 1 s of frames
and audio."""

KEEPALIVE_S = 5
"""TCP asks a silent peer so often; after three questions without an answer the connection is ended. Not
ZeroMQ's own heartbeat: with it libzmq 4.3.5 aborts the process when a client dies while its requests wait
(github.com/zeromq/libzmq/issues/4841)."""
HANDSHAKE_MS = 5_000
"""A connection that has not said what it wants by then is ended."""
POLL_MS = 100

_log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: str, key: str) -> None:
    """Refuses a host that others could reach: without keys anybody could drive the avatar.

    Raises:
        PortError: `host` is not a loopback address.
    """
    if not is_loopback(host):
        raise PortError(
            f"{key} is {host!r}, but the daemon has no keys against strangers and listens on loopback only; "
            "use 127.0.0.1, or make keys with `llia keys DIR` and name the folder in sockets.keys"
        )


def bind(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    host: str,
    port: int,
    flag: str,
    doorkeeper: Doorkeeper | None = None,
) -> zmq.Socket[bytes]:
    """Makes a socket with all limits set and binds it.

    Args:
        context: ZeroMQ context.
        kind: `zmq.ROUTER` or `zmq.XPUB`.
        host: loopback address, or any where the doorkeeper has keys.
        port: 0 lets the system choose one (see `bound_port`).
        flag: the command line flag that changes the port, for the error.
        doorkeeper: keeps strangers out.

    Raises:
        PortError: not loopback and no keys, or the port is taken or not allowed.
    """
    if doorkeeper is None or not doorkeeper.has_keys:
        require_loopback(host, "sockets.host")
    bound = context.socket(kind)
    bound.linger = 0
    for option, value in (
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S),
        (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S),
        (zmq.TCP_KEEPALIVE_CNT, 3),
        (
            zmq.MAXMSGSIZE,
            MAX_SUBSCRIPTION_BYTES if kind == zmq.XPUB else MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES,
        ),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.IPV6, int(":" in host)),
        (zmq.RCVHWM, WAITING_REQUESTS),
        (zmq.SNDHWM, WAITING_PUBLISHED),
    ):
        bound.setsockopt(option, value)
    if doorkeeper is not None:
        doorkeeper.guard(bound)
    try:
        bound.bind(endpoint(host, port))
    except zmq.ZMQError as error:
        bound.close()
        if error.errno == zmq.EADDRINUSE:
            raise PortError(f"port {port} on {host} is in use; choose another with {flag} PORT") from None
        raise PortError(
            f"port {port} on {host} cannot be opened ({error.strerror}); try {flag} PORT"
        ) from None
    return bound


def endpoint(host: str, port: int) -> str:
    """ZeroMQ address of a TCP port; numeric, as ZeroMQ binds to no names."""
    address = "127.0.0.1" if host == "localhost" else host
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def port_problem(host: str, port: int) -> str:
    """Tries to listen on a port; returns why it is not possible, "" if it is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            return "is in use" if in_use else f"cannot be opened ({error.strerror})"
    return ""


def require_free_port(host: str, port: int, flag: str) -> None:
    """Refuses a port that cannot be listened on.

    Raises:
        PortError: not loopback, or the port is taken or not allowed; names the flag to change it.
    """
    require_loopback(host, "sockets.host")
    problem = port_problem(host, port)
    if problem:
        raise PortError(f"port {port} on {host} {problem}; choose another with {flag} PORT")


def bound_port(bound: zmq.Socket[bytes]) -> int:
    """The port a ZeroMQ socket is bound to."""
    return int(bound.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])


class RequestServer:
    """Serves a ROUTER socket on a thread of its own: one request in, its answers out."""

    def __init__(
        self,
        router: zmq.Socket[bytes],
        answer: Callable[[bytes, list[memoryview]], list[bytes]],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Starts serving.

        Args:
            router: a bound ROUTER; from now on only this object touches it.
            answer: called with the client's identity and the message's parts; returns headers to send back.
                Must not raise.
            tick: called about every 100 ms, later where requests wait: whoever had sent one by the last call
                has been heard by this one. Must not raise.
        """
        self._socket = router
        self._answer = answer
        self._tick = tick
        self._closed = threading.Event()
        # Answers that come later than their request wake the poll loop through a pair of connected sockets.
        self._later: queue.SimpleQueue[tuple[bytes, bytes]] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="requests", daemon=True)
        self._thread.start()

    def post(self, identity: bytes, header: bytes) -> None:
        """Sends an answer that took its time; from any thread."""
        self._later.put((identity, header))
        self._wake()

    def close(self) -> None:
        """Ends the thread and closes the socket."""
        self._closed.set()
        self._wake()
        self._thread.join(timeout=2.0)

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except OSError:  # full: it is awake already; closed: nobody is left to wake
            return

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake_out, zmq.POLLIN)
        ticked_s = time.monotonic()
        heard: Counter[bytes] = Counter()  # by client, since the tick was due
        try:
            while not self._closed.is_set():
                ready = dict(poller.poll(POLL_MS))
                if self._wake_out.fileno() in ready:
                    self._wake_out.recv(4_096)
                while not self._later.empty():
                    self._send(*self._later.get())
                identity = b""
                if self._socket in ready:
                    identity, parts = self._receive()
                    for header in self._answer(identity, parts):
                        self._send(identity, header)
                if time.monotonic() - ticked_s < POLL_MS / 1_000:
                    continue
                # ZeroMQ takes turns between clients whose messages it knows of: once one is heard for the
                # third time, all that had waited have been heard.
                if heard[identity] >= 2 or not self._socket.poll(0):
                    ticked_s = time.monotonic()
                    heard.clear()
                    self._tick()
                else:
                    heard[identity] += 1
        finally:
            self._socket.close()
            self._wake_in.close()
            self._wake_out.close()

    def _receive(self) -> tuple[bytes, list[memoryview]]:
        """Takes one message; parts beyond the limit are read and forgotten one by one."""
        identity = self._socket.recv()
        parts: list[memoryview] = []
        while self._socket.getsockopt(zmq.RCVMORE):
            frame = self._socket.recv(copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(frame.buffer)
        return identity, parts

    def _send(self, identity: bytes, header: bytes) -> None:
        try:
            self._socket.send_multipart([identity, header], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # the client went away or does not read
            _log.debug("an answer was dropped: %s", error)

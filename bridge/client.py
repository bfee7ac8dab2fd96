"""Asks a running daemon, as any ZeroMQ client does; for commands that look at one."""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

import zmq

from bridge.config import SocketSettings
from bridge.errors import BridgeError, PortError, SettingError, UnknownAvatarError
from bridge.keys import admit_as_client
from bridge.protocol.codec import ProtocolError, decode, encode
from bridge.protocol.messages import Error, Message, Reply, Request
from bridge.sockets import endpoint

R = TypeVar("R", bound=Reply)

ANSWER_LIMIT_MS = 2_000
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that a daemon can listen on but nobody can connect to, and this machine's way there."""


def daemon_address(sockets: SocketSettings) -> str:
    """Where a daemon of this machine with these settings has its control socket."""
    return endpoint(EVERY_ADDRESS.get(sockets.host, sockets.host), sockets.control_port)


class DaemonClient:
    """A DEALER socket; use it as a context manager."""

    def __init__(self, address: str, keys: str = "") -> None:
        """Connects in the background.

        Args:
            address: of the daemon's control socket, such as tcp://127.0.0.1:5570.
            keys: folder of the daemon's keys, "" for none.

        Raises:
            SettingError: this is no address.
            KeyFileError: the folder has no keys.
        """
        self._address = address
        self._asked = 0
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.IPV6, int("[" in address))
        try:
            if keys:
                admit_as_client(self._socket, keys)
            self._socket.connect(address)
        except BridgeError:
            self._context.destroy()
            raise
        except zmq.ZMQError:
            self._context.destroy()
            raise SettingError(f"{address!r} is no address; expected such as tcp://127.0.0.1:5570") from None

    def __enter__(self) -> DaemonClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._context.term()

    def ask(self, request: Request, wanted: type[R]) -> R:
        """Sends a request and waits for its answer.

        Raises:
            PortError: no daemon answers there.
            UnknownAvatarError: the daemon has no such avatar.
            BridgeError: the daemon refused, or answered something that cannot be read.
        """
        self._asked += 1
        request = replace(request, request_id=str(self._asked))
        self._socket.send(encode(request))
        deadline_s = time.monotonic() + ANSWER_LIMIT_MS / 1_000
        while True:
            if not self._socket.poll(max(0, int((deadline_s - time.monotonic()) * 1_000))):
                raise PortError(f"no daemon answers at {self._address}; start it with `llia run`")
            try:
                reply: Message = decode(self._socket.recv_multipart(), (wanted, Error))[0]
            except ProtocolError as error:
                raise BridgeError(f"the daemon at {self._address} answers unreadably: {error}") from None
            # A daemon that was started again also answers what was asked while there was none.
            if getattr(reply, "request_id", "") == request.request_id:
                break
        if isinstance(reply, wanted):
            return reply
        assert isinstance(reply, Error)
        if reply.code == UnknownAvatarError.code:
            raise UnknownAvatarError(reply.text)
        raise BridgeError(f"the daemon at {self._address} refuses: {reply.text}")

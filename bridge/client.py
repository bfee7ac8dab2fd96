"""Asks a running daemon, as any ZeroMQ client does; for commands that look at one."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

import zmq

from bridge.errors import BridgeError, PortError, SettingError, UnknownAvatarError
from bridge.protocol.codec import ProtocolError, decode, encode
from bridge.protocol.messages import Error, Message, Reply, Request

R = TypeVar("R", bound=Reply)

ANSWER_LIMIT_MS = 2_000


class DaemonClient:
    """A DEALER socket; use it as a context manager."""

    def __init__(self, endpoint: str) -> None:
        """Connects in the background.

        Args:
            endpoint: of the daemon's control socket.

        Raises:
            SettingError: this is no address.
        """
        self._endpoint = endpoint
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError:
            self._context.destroy()
            raise SettingError(f"{endpoint!r} is no address; expected such as tcp://127.0.0.1:5570") from None

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
        self._socket.send(encode(request))
        if not self._socket.poll(ANSWER_LIMIT_MS):
            raise PortError(f"no daemon answers at {self._endpoint}; start it with `llia run`")
        try:
            reply: Message = decode(self._socket.recv_multipart(), (wanted, Error))[0]
        except ProtocolError as error:
            raise BridgeError(f"the daemon at {self._endpoint} answers unreadably: {error}") from None
        if isinstance(reply, wanted):
            return reply
        assert isinstance(reply, Error)
        if reply.code == UnknownAvatarError.code:
            raise UnknownAvatarError(reply.text)
        raise BridgeError(f"the daemon at {self._endpoint} refuses: {reply.text}")

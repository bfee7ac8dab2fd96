"""A ZeroMQ client for tests, written from PROTOCOL.md without the daemon's code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgpack
import zmq


class WireClient:
    """Sends requests and reads what is published."""

    def __init__(
        self,
        control_endpoint: str,
        frames_endpoint: str,
        topics: tuple[str, ...] = ("",),
        curve: tuple[bytes, bytes, bytes] | None = None,
    ) -> None:
        """`curve`: the client's public and secret key and the daemon's public key."""
        self.context = zmq.Context[zmq.Socket[bytes]]()
        self.control = self.context.socket(zmq.DEALER)
        self.frames = self.context.socket(zmq.SUB)
        for socket, endpoint in ((self.control, control_endpoint), (self.frames, frames_endpoint)):
            if curve is not None:
                socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = curve
            socket.connect(endpoint)
        for topic in topics:
            self.frames.subscribe(topic)

    def send(self, kind: str, payload: bytes | None = None, **fields: Any) -> None:
        header = msgpack.packb({"v": 1, "type": kind, **fields})
        self.control.send_multipart([header] if payload is None else [header, payload])

    def ask(self, kind: str, payload: bytes | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to this request; what else is answered before it is passed over."""
        self.send(kind, payload, request_id="ask", **fields)
        while (answer := self.answer())["request_id"] != "ask":
            continue
        return answer

    def answer(self, timeout_ms: int = 3_000) -> dict[str, Any]:
        assert self.control.poll(timeout_ms), "the daemon did not answer"
        answer: dict[str, Any] = msgpack.unpackb(self.control.recv())
        return answer

    def published(self, timeout_ms: int = 3_000) -> tuple[str, dict[str, Any], bytes]:
        assert self.frames.poll(timeout_ms), "nothing was published"
        topic, header, *payload = self.frames.recv_multipart()
        return topic.decode(), msgpack.unpackb(header), payload[0] if payload else b""

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 5.0
    ) -> list[tuple[str, dict[str, Any], bytes]]:
        """All that is published up to the wanted header, that one last."""
        seen, deadline_s = [], time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            seen.append(self.published())
            if wanted(seen[-1][1]):
                return seen
        raise AssertionError(
            f"not published within {timeout_s} s; seen {[h['type'] for _, h, _ in seen][-20:]}"
        )

    def event(self, kind: str, timeout_s: float = 5.0) -> dict[str, Any]:
        return self.wait_for(lambda header: header["type"] == kind, timeout_s)[-1][1]

    def close(self) -> None:
        self.context.destroy(linger=0)

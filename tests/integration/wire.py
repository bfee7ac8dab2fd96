"""A ZeroMQ client for tests, written from PROTOCOL.md without the daemon's code."""

from __future__ import annotations

import mmap
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
        patience_ms: int = 3_000,
    ) -> None:
        """`curve`: the client's public and secret key and the daemon's public key."""
        self.patience_ms = patience_ms
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

    def answer(self, timeout_ms: int = 0) -> dict[str, Any]:
        assert self.control.poll(timeout_ms or self.patience_ms), "the daemon did not answer"
        answer: dict[str, Any] = msgpack.unpackb(self.control.recv())
        return answer

    def published(self, timeout_ms: int = 0) -> tuple[str, dict[str, Any], bytes]:
        assert self.frames.poll(timeout_ms or self.patience_ms), "nothing was published"
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


class SharedPictures:
    """Takes pictures out of shared memory, as PROTOCOL.md says."""

    def __init__(self) -> None:
        self._name = ""
        self._map: mmap.mmap | None = None

    def take(self, header: dict[str, Any]) -> bytes | None:
        """The payload of a `shared_frame`; None where a newer one has been written over it."""
        if header["file"] != self._name:
            self.close()
            try:
                with open(header["file"], "rb") as file:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:  # a late message: there is a newer file
                return None
            self._name = header["file"]
        assert self._map is not None
        wanted = header["sequence"].to_bytes(8, "little")
        where, at = header["sequence_offset"], header["offset"]
        if self._map[where : where + 8] != wanted:
            return None
        payload = self._map[at : at + header["payload_bytes"]]
        return payload if self._map[where : where + 8] == wanted else None

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map, self._name = None, ""

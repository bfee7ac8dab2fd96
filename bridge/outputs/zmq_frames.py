"""Publishes every avatar's frames, audio echo and events on one XPUB socket, for subscribers only."""

from __future__ import annotations

import socket as sockets
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import zmq

from bridge.protocol.codec import encode
from bridge.protocol.messages import Echo, Event, FrameHeader
from bridge.relay import Relay, Subscription
from engine.types import AudioChunk, VideoFrame

T = TypeVar("T")

POLL_MS = 200
MAX_TOPICS = 4_096


class FramePublisher:
    """Serves the XPUB socket on a thread of its own.

    It joins a relay only while a client has subscribed to the relay's topic, so that nothing is packed
    or copied for nobody.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        """Starts with no avatars.

        Args:
            socket: a bound XPUB; from now on only this object touches it.
        """
        self._socket = socket
        self._topics: set[bytes] = set()
        self._channels: list[_Channel[Any]] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        # Relays wake the poll loop through a pair of connected sockets: ZeroMQ polls those beside its own.
        self._wake_in, self._wake_out = sockets.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self._thread.start()

    def add(
        self,
        avatar_id: str,
        frames: Relay[VideoFrame],
        audio: Relay[AudioChunk],
        events: Relay[Event],
    ) -> None:
        """Offers an avatar's three topics."""
        channels: list[_Channel[Any]] = [
            _Channel(f"event/{avatar_id}", events, False, lambda event: (encode(event),)),
            _Channel(f"audio/{avatar_id}", audio, False, lambda chunk: _echo_parts(avatar_id, chunk)),
            _Channel(f"frame/{avatar_id}", frames, True, lambda frame: _frame_parts(avatar_id, frame)),
        ]
        with self._lock:
            self._channels += channels
        self._join_wanted()

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
        try:
            while not self._closed.is_set():
                ready = dict(poller.poll(POLL_MS))
                if self._wake_out.fileno() in ready:
                    self._wake_out.recv(4_096)
                if self._socket in ready:
                    self._take_subscriptions()
                self._send_waiting()
        finally:
            for channel in self._channels:
                channel.leave()
            self._socket.close()
            self._wake_in.close()
            self._wake_out.close()

    def _take_subscriptions(self) -> None:
        """XPUB tells the first subscription to a topic (1) and the last leave (0), with the topic."""
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
            change = parts[0]
            if len(parts) != 1 or not change or change[0] not in (0, 1):
                continue  # a client may send anything upstream; it means nothing here
            if change[0] == 0:
                self._topics.discard(change[1:])
            elif len(self._topics) < MAX_TOPICS:
                self._topics.add(change[1:])
        self._join_wanted()

    def _join_wanted(self) -> None:
        with self._lock:
            for channel in self._channels:
                if any(channel.topic.startswith(topic) for topic in tuple(self._topics)):
                    channel.join(self._wake)
                else:
                    channel.leave()

    def _send_waiting(self) -> None:
        with self._lock:
            channels = tuple(self._channels)
        for channel in channels:
            while (parts := channel.next_parts()) is not None:
                # XPUB never blocks: where a subscriber's queue is full the message is dropped for it alone.
                self._socket.send_multipart(parts, zmq.NOBLOCK, copy=False)


class _Channel(Generic[T]):
    """A relay and its topic."""

    def __init__(
        self, topic: str, relay: Relay[T], newest: bool, pack: Callable[[T], tuple[bytes | memoryview, ...]]
    ) -> None:
        self.topic = topic.encode()
        self._relay = relay
        self._newest = newest
        self._pack = pack
        self._subscription: Subscription[T] | None = None

    def join(self, notify: Callable[[], None]) -> None:
        """Subscribes if it has not yet."""
        if self._subscription is None:
            self._subscription = self._relay.subscribe(self._newest, notify=notify)

    def leave(self) -> None:
        """Unsubscribes; the relay then does nothing for this topic."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def next_parts(self) -> list[bytes | memoryview] | None:
        """The next message with its topic, None when nothing waits."""
        item = self._subscription.get(0) if self._subscription is not None else None
        return None if item is None else [self.topic, *self._pack(item)]


def _frame_parts(avatar_id: str, frame: VideoFrame) -> tuple[bytes | memoryview, ...]:
    height, width, _ = frame.rgba.shape
    header = FrameHeader(
        avatar_id=avatar_id,
        pts_samples=frame.pts_samples,
        epoch=frame.epoch,
        utterance_id=frame.utterance_id,
        state=frame.state.name.lower(),
        width=width,
        height=height,
        published_ns=time.monotonic_ns(),
    )
    return encode(header), np.ascontiguousarray(frame.rgba).data


def _echo_parts(avatar_id: str, chunk: AudioChunk) -> tuple[bytes | memoryview, ...]:
    header = Echo(
        avatar_id=avatar_id,
        pts_samples=chunk.start_samples,
        utterance_id=chunk.utterance_id,
        published_ns=time.monotonic_ns(),
    )
    return encode(header), chunk.samples.astype("<f4").data

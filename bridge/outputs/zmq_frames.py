"""Publishes every avatar's frames, faces, audio echo and events on one XPUB socket, for subscribers only."""

from __future__ import annotations

import dataclasses
import socket as sockets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import zmq

from bridge.blendshapes import face_of
from bridge.meter import Counter
from bridge.outputs.shared_frames import FrameRing, remove_left_over
from bridge.pixels import alpha_of, convert
from bridge.presenter import PresentedFrame
from bridge.protocol.codec import encode
from bridge.protocol.messages import Blendshapes, Echo, Event, FrameHeader, SharedFrame, StateChanged
from bridge.relay import Relay, Subscription
from engine.types import AudioChunk

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

T = TypeVar("T")
Parts = tuple[bytes | memoryview, ...]

POLL_MS = 200
RETRY_MS = 5
MOMENTS, MOMENT_S = 5, 0.001
PATIENCE_S = 0.25
"""Events wait so long for a subscriber whose queue is full, once; after that it loses them until it reads."""
WAITING_EVENTS = 1_024
MAX_TOPICS = 4_096
SUBSCRIPTIONS_AT_ONCE = 64
"""So many are taken before frames have their turn again."""


class FramePublisher:
    """Serves the XPUB socket on a thread of its own.

    It joins a relay only while a client has subscribed to the relay's topic, so that nothing is packed
    or copied for nobody. Who subscribes gets the last frame, face and state at once.
    """

    def __init__(self, socket: zmq.Socket[bytes], counter: Counter | None = None) -> None:
        """Starts with no avatars.

        Args:
            socket: a bound XPUB; from now on only this object touches it.
            counter: counts messages that have no business here as `ignored`.
        """
        remove_left_over()
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # tells every subscription, not only a topic's first
        self._socket = socket
        self._counter = counter or Counter()
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

    def add(self, session: AvatarSession) -> None:
        """Offers an avatar's topics."""
        avatar_id, ring = session.avatar_id, FrameRing()
        channels: list[_Channel[Any]] = [
            _Channel(
                f"event/{avatar_id}",
                session.events,
                _event_parts,
                last=lambda: session.state,
                bound=WAITING_EVENTS,
                patient=True,
            ),
            _Channel(f"audio/{avatar_id}", session.audio, lambda chunk: _echo_parts(avatar_id, chunk)),
            _Channel(
                f"blendshapes/{avatar_id}",
                session.frames,
                lambda frame: _blendshape_parts(avatar_id, frame),
                last=lambda: session.frames.last,
                newest=True,
            ),
            _Channel(
                f"frame/{avatar_id}",
                session.frames,
                lambda frame: _frame_parts(session, frame),
                last=lambda: session.frames.last,
                newest=True,
            ),
            _Channel(
                f"shared/{avatar_id}",
                session.frames,
                lambda frame: _shared_parts(session, frame, ring),
                last=lambda: session.frames.last,
                newest=True,
                least=b"shared/",
                left=ring.close,
            ),
        ]
        with self._lock:
            self._channels += channels
        self._join_wanted()

    def remove(self, avatar_id: str) -> None:
        """Takes an avatar's topics back once what waits in them has been sent."""
        with self._lock:
            for channel in self._channels:
                if channel.topic.partition(b"/")[2] == avatar_id.encode():
                    channel.ending = True
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
        all_sent = True
        try:
            while not self._closed.is_set():
                ready = dict(poller.poll(POLL_MS if all_sent else RETRY_MS))
                if self._wake_out.fileno() in ready:
                    self._wake_out.recv(4_096)
                if self._socket in ready:
                    self._take_subscriptions()
                all_sent = self._send_waiting()
        finally:
            for channel in self._channels:
                channel.leave()
            self._socket.close()
            self._wake_in.close()
            self._wake_out.close()

    def _take_subscriptions(self) -> None:
        """XPUB tells every subscription (1) and a topic's last leave (0), with the topic."""
        newcomers: set[bytes] = set()
        for _ in range(SUBSCRIPTIONS_AT_ONCE):
            if not self._socket.poll(0):
                break
            parts = self._socket.recv_multipart()
            change = parts[0]
            if len(parts) != 1 or not change or change[0] not in (0, 1):
                self._counter.add("ignored")  # a client may send anything upstream; it means nothing here
            elif change[0] == 0:
                self._topics.discard(change[1:])
            elif change[1:] in self._topics or len(self._topics) < MAX_TOPICS:
                self._topics.add(change[1:])
                newcomers.add(change[1:])
            else:
                self._counter.add("ignored")
        self._join_wanted()
        if newcomers:
            with self._lock:
                channels = tuple(self._channels)
            for channel in channels:
                if channel.matches(newcomers):
                    channel.send_last(self._socket)

    def _join_wanted(self) -> None:
        with self._lock:
            for channel in self._channels:
                if channel.matches(tuple(self._topics)):
                    channel.join(self._wake)
                else:
                    channel.leave()

    def _send_waiting(self) -> bool:
        """Sends what waits; False where an event still waits for a subscriber whose queue is full."""
        with self._lock:
            channels = tuple(self._channels)
            ending = [channel for channel in channels if channel.ending]
        held = [channel for channel in channels if not channel.send_waiting(self._socket)]
        ended = [channel for channel in ending if channel not in held]
        if ended:
            with self._lock:
                self._channels = [channel for channel in self._channels if channel not in ended]
            for channel in ended:
                channel.leave()
        return not held


class _Channel(Generic[T]):
    """A relay and its topic.

    Attributes:
        topic: the topic.
        ending: its avatar is gone.
    """

    def __init__(
        self,
        topic: str,
        relay: Relay[T],
        pack: Callable[[T], Parts],
        *,
        last: Callable[[], T | None] = lambda: None,
        newest: bool = False,
        bound: int = 64,
        patient: bool = False,
        least: bytes = b"",
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self.topic = topic.encode()
        self.ending = False
        self._relay = relay
        self._newest = newest
        self._bound = bound
        self._patient = patient
        self._least = least
        self._left = left
        self._pack = pack
        self._last = last
        self._subscription: Subscription[T] | None = None
        # What waits for room in a subscriber's queue, and since when one is full.
        self._held: Parts | None = None
        self._full_since_s: float | None = None

    def matches(self, topics: set[bytes] | tuple[bytes, ...]) -> bool:
        """Whether one of the subscriptions, which are prefixes, means this topic and not just everything."""
        return any(self.topic.startswith(topic) and topic.startswith(self._least) for topic in topics)

    def join(self, notify: Callable[[], None]) -> None:
        """Subscribes if it has not yet."""
        if self._subscription is None:
            self._subscription = self._relay.subscribe(self._newest, self._bound, notify)

    def leave(self) -> None:
        """Unsubscribes; the relay then does nothing for this topic."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
            self._held = None
            self._left()

    def send_waiting(self, socket: zmq.Socket[bytes]) -> bool:
        """Sends what waits; what a barge-in withdraws meanwhile is not sent.

        Returns:
            False where a subscriber's queue is full and is worth waiting for: call again soon.
        """
        subscription = self._subscription
        while subscription is not None:
            parts = self._held
            if parts is None:
                item = subscription.get(0)
                if item is None:
                    break
                parts = self._pack(item)
            with self._relay.handing_over:
                done = subscription.stale or self._offer(socket, parts)
            self._held = None if done else parts
            if not done:
                return False
        return True

    def send_last(self, socket: zmq.Socket[bytes]) -> None:
        """Sends what a late subscriber has to know; those who know it get it again."""
        item = self._last()
        if item is None:
            return
        parts = self._pack(item)
        with self._relay.handing_over:
            if isinstance(item, StateChanged) or item is self._relay.last:
                self._send(socket, parts)

    def _offer(self, socket: zmq.Socket[bytes], parts: Parts) -> bool:
        """Sends to all; to nobody yet where this channel is patient and a subscriber's queue is full."""
        if not self._patient:
            self._send(socket, parts)
            return True
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            # On a busy machine ZeroMQ's own thread needs a moment to take what fills the queue.
            for _ in range(MOMENTS):
                try:
                    self._send(socket, parts)
                except zmq.Again:
                    time.sleep(MOMENT_S)
                    continue
                self._full_since_s = None
                return True
        finally:
            socket.setsockopt(zmq.XPUB_NODROP, 0)
        now_s = time.monotonic()
        self._full_since_s = self._full_since_s or now_s
        if now_s - self._full_since_s < PATIENCE_S:
            return False
        self._send(socket, parts)
        return True

    def _send(self, socket: zmq.Socket[bytes], parts: Parts) -> None:
        # XPUB never blocks: where a subscriber's queue is full the message is dropped for it alone.
        socket.send_multipart([self.topic, *parts], zmq.NOBLOCK, copy=False)


def _event_parts(event: Event) -> Parts:
    return (encode(event),)


def _frame_parts(session: AvatarSession, frame: PresentedFrame) -> Parts:
    payload = _payload(session, frame)
    return encode(FrameHeader(**_frame_fields(session, frame))), payload


def _shared_parts(session: AvatarSession, frame: PresentedFrame, ring: FrameRing) -> Parts:
    payload = _payload(session, frame)
    fields = _frame_fields(session, frame) | {"payload_bytes": memoryview(payload).nbytes}
    place = ring.write(payload)
    if place is None:
        return encode(SharedFrame(**fields)), payload
    return (encode(SharedFrame(**fields, **dataclasses.asdict(place))),)


def _payload(session: AvatarSession, frame: PresentedFrame) -> bytes | memoryview:
    return convert(frame.rgba, session.pixel_format, alpha_of(session.pixel_format, session.alpha))


def _frame_fields(session: AvatarSession, frame: PresentedFrame) -> dict[str, Any]:
    height, width, _ = frame.rgba.shape
    now_ns = time.monotonic_ns()
    return {
        "avatar_id": session.avatar_id,
        "pts_samples": frame.pts_samples,
        "epoch": frame.epoch,
        "utterance_id": frame.utterance_id,
        "state": frame.state.name.lower(),
        "width": width,
        "height": height,
        "format": session.pixel_format,
        "alpha": alpha_of(session.pixel_format, session.alpha),
        "latency_ms": (now_ns - frame.arrived_ns) / 1e6 if frame.arrived_ns else -1.0,
        "published_ns": now_ns,
    }


def _blendshape_parts(avatar_id: str, frame: PresentedFrame) -> Parts:
    face = face_of(frame.controls)
    header = Blendshapes(
        avatar_id=avatar_id,
        pts_samples=frame.pts_samples,
        epoch=frame.epoch,
        utterance_id=frame.utterance_id,
        state=frame.state.name.lower(),
        shapes=face.shapes,
        head_deg=face.head_deg,
        visemes=face.visemes,
        published_ns=time.monotonic_ns(),
    )
    return (encode(header),)


def _echo_parts(avatar_id: str, chunk: AudioChunk) -> Parts:
    header = Echo(
        avatar_id=avatar_id,
        pts_samples=chunk.start_samples,
        utterance_id=chunk.utterance_id,
        published_ns=time.monotonic_ns(),
    )
    return encode(header), chunk.samples.astype("<f4").data

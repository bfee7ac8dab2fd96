"""The publisher on a real XPUB socket, with relays that the test fills itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import numpy as np
import pytest
import zmq

from bridge.avatar import AvatarSession
from bridge.meter import Counter
from bridge.outputs.shared_frames import FrameRing
from bridge.outputs.zmq_frames import PATIENCE_S, FramePublisher
from bridge.presenter import PresentedFrame
from bridge.protocol.messages import AvatarClosed, Error, Event, StateChanged
from bridge.relay import Relay
from bridge.sockets import bind, bound_port
from engine.types import AudioChunk, AvatarState
from tests.integration.wire import SharedPictures

Context = zmq.Context[zmq.Socket[bytes]]


def frame(pts_samples: int, epoch: int = 0) -> PresentedFrame:
    rgba = np.full((4, 4, 4), 128, np.uint8)
    return PresentedFrame(rgba, pts_samples, "u", epoch, AvatarState.SPEAKING, arrived_ns=time.monotonic_ns())


class Stage:
    """A publisher and one avatar that shows what the test tells it to."""

    def __init__(self) -> None:
        self.context = Context()
        self.counter = Counter()
        socket = bind(self.context, zmq.XPUB, "127.0.0.1", 0, "--frames-port")
        self.port = bound_port(socket)
        self.publisher = FramePublisher(socket, self.counter)
        self.avatar = self.add("a1")
        self.clients: list[zmq.Socket[bytes]] = []

    def add(self, avatar_id: str) -> Any:
        made = SimpleNamespace(
            avatar_id=avatar_id,
            frames=Relay[PresentedFrame](),
            audio=Relay[AudioChunk](),
            events=Relay[Event](),
            state=StateChanged(avatar_id=avatar_id, state="idle", pts_samples=7),
            pixel_format="RGBA",
            alpha="straight",
        )
        self.publisher.add(cast(AvatarSession, made))
        return made

    def client(self, kind: int, rcvhwm: int = 1_000) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.rcvhwm = rcvhwm
        socket.connect(f"tcp://127.0.0.1:{self.port}")
        self.clients.append(socket)
        return socket

    def subscriber(self, *topics: str) -> zmq.Socket[bytes]:
        socket = self.client(zmq.SUB)
        for topic in topics:
            socket.subscribe(topic)
        return socket


def received(socket: zmq.Socket[bytes], timeout_ms: int = 2_000) -> tuple[str, dict[str, Any]] | None:
    if not socket.poll(timeout_ms):
        return None
    topic, header, *_ = socket.recv_multipart()
    return topic.decode(), msgpack.unpackb(header)


def await_true(wanted: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not wanted():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.publisher.close()
    for client in made.clients:
        client.close(linger=0)
    made.context.term()


def test_a_late_subscriber_gets_what_stands(stage: Stage) -> None:
    stage.avatar.frames.publish(frame(640))
    late = stage.subscriber("frame/a1", "blendshapes/a1", "event/a1", "audio/a1")
    told = [received(late) for _ in range(3)]
    assert {topic: header["pts_samples"] for topic, header in filter(None, told)} == {
        "frame/a1": 640, "blendshapes/a1": 640, "event/a1": 7,
    }  # fmt: skip
    # A second one is served as well, though the topic is known already.
    later = stage.subscriber("frame/a1")
    assert received(later) is not None


def test_a_late_subscriber_gets_nothing_that_a_barge_in_has_withdrawn(stage: Stage) -> None:
    stage.avatar.frames.publish(frame(640))
    stage.avatar.frames.withdraw()
    late = stage.subscriber("frame/a1")
    assert received(late, 300) is None
    stage.avatar.frames.publish(frame(1_280, epoch=1))
    told = received(late)
    assert told is not None and told[1]["epoch"] == 1


def test_nothing_is_done_for_nobody(stage: Stage) -> None:
    other = stage.add("b2")
    watching = stage.subscriber("frame/b2")
    await_true(lambda: other.frames.subscribers == 1)
    assert stage.avatar.frames.subscribers == stage.avatar.events.subscribers == 0
    assert other.audio.subscribers == other.events.subscribers == 0
    watching.close(linger=0)
    await_true(lambda: other.frames.subscribers == 0)


def test_an_avatar_that_goes_says_its_last_word(stage: Stage) -> None:
    listening = stage.subscriber("event/a1")
    told = received(listening)
    assert told is not None and told[1]["type"] == "state"
    stage.avatar.events.publish(AvatarClosed(avatar_id="a1", reason="closed"))
    stage.publisher.remove("a1")
    told = received(listening)
    assert told is not None and told[1]["type"] == "avatar_closed"
    await_true(lambda: stage.avatar.events.subscribers == 0)


def test_no_event_of_a_burst_is_lost(stage: Stage) -> None:
    """More at once than may wait for a subscriber: every utterance of an avatar that ends, say."""
    listening = stage.subscriber("event/a1")
    assert received(listening) is not None
    for number in range(500):
        stage.avatar.events.publish(AvatarClosed(avatar_id=str(number), reason="closed"))
    told = [received(listening) for _ in range(500)]
    assert [header["avatar_id"] for _, header in filter(None, told)] == list(map(str, range(500)))


def test_events_do_not_wait_for_a_stalled_subscriber_for_long(stage: Stage) -> None:
    stalled = stage.client(zmq.SUB, rcvhwm=1)
    stalled.subscribe("event/")
    listening = stage.subscriber("event/a1")
    assert received(listening) is not None and stalled.poll(2_000)
    while received(listening, 200):  # the state once more, for the other
        continue
    begun_s = time.monotonic()
    waits_s = []
    for number in range(1_500):  # 90 MB: more than the system's buffers and both queues hold
        start_s = time.monotonic()
        stage.avatar.events.publish(Error(code=str(number), text="x" * 60_000))
        told = received(listening)
        assert told is not None and told[1]["code"] == str(number)
        waits_s.append(time.monotonic() - start_s)
    assert max(waits_s) >= PATIENCE_S, "the subscriber was not stalled"
    assert time.monotonic() - begun_s < 50 * PATIENCE_S  # once, not for each


def test_what_comes_upstream_is_counted_and_ignored(stage: Stage) -> None:
    rude = stage.client(zmq.XSUB)
    rude.send(b"\x01frame/a1")
    for number in range(50):
        rude.send_multipart([b"\x07" + bytes([number]), b"nonsense"])
    await_true(lambda: stage.counter.counts().get("ignored", 0) == 50)
    stage.avatar.frames.publish(frame(640))
    assert received(rude) is not None


def test_shared_pictures_only_for_those_who_ask_for_them(stage: Stage) -> None:
    everything = stage.subscriber("")
    await_true(lambda: stage.avatar.frames.subscribers == 2)  # frames and blendshapes
    shared = stage.subscriber("shared/a1")
    await_true(lambda: stage.avatar.frames.subscribers == 3)
    picture = frame(640)
    stage.avatar.frames.publish(picture)
    told = received(shared)
    assert told is not None and told[0] == "shared/a1" and told[1]["type"] == "shared_frame"
    pictures = SharedPictures()
    assert pictures.take(told[1]) == picture.rgba.tobytes()
    pictures.close()
    folder = Path(told[1]["file"])
    assert folder.exists()
    shared.close(linger=0)
    await_true(lambda: not folder.exists())
    everything.close(linger=0)


def test_where_memory_has_no_room_the_picture_follows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrameRing, "write", lambda self, payload: None)
    shared = stage.subscriber("shared/")
    await_true(lambda: stage.avatar.frames.subscribers == 1)
    picture = frame(640)
    stage.avatar.frames.publish(picture)
    assert shared.poll(2_000)
    _, header, payload = shared.recv_multipart()
    assert msgpack.unpackb(header)["file"] == "" and payload == picture.rgba.tobytes()

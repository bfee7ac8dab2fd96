"""VMC: a real UDP receiver decodes what is sent and compares it with the face."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from bridge.blendshapes import face_of
from bridge.config import VmcSettings
from bridge.errors import SettingError
from bridge.outputs.vmc import BUNDLE_BYTES, VmcSender, bundles_of, head_rotation, messages_of
from bridge.relay import Relay
from engine.types import CONTROL_NAMES, AvatarState, VideoFrame


def frame(pts_samples: int = 0, **values: float) -> VideoFrame:
    controls = np.zeros(len(CONTROL_NAMES), np.float32)
    for name, value in values.items():
        controls[CONTROL_NAMES.index(name)] = value
    return VideoFrame(
        np.zeros((8, 8, 4), np.uint8), pts_samples, "", 0, AvatarState.SPEAKING, controls=controls
    )


class Receiver:
    """A marionette: takes messages in, and hands over the frame at every Apply."""

    def __init__(self) -> None:
        self.shapes: dict[str, float] = {}
        self.head: tuple[Any, ...] = ()
        self.other: dict[str, tuple[Any, ...]] = {}
        self.applied = threading.Semaphore(0)
        self.sizes: list[int] = []
        dispatcher = Dispatcher()
        dispatcher.map("/VMC/Ext/Blend/Val", lambda _, name, value: self.shapes.update({name: value}))
        dispatcher.map("/VMC/Ext/Bone/Pos", lambda _, *arguments: setattr(self, "head", arguments))
        dispatcher.map("/VMC/Ext/Blend/Apply", lambda _, *arguments: self.applied.release())
        dispatcher.set_default_handler(lambda address, *arguments: self.other.update({address: arguments}))
        self.server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join(5)
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_receiver_gets_the_face_of_every_frame(receiver: Receiver) -> None:
    relay: Relay[VideoFrame] = Relay()
    sender = VmcSender(VmcSettings(port=receiver.port), relay)
    rng = np.random.default_rng(0)
    for index in range(20):
        controls = rng.uniform(-1, 1, len(CONTROL_NAMES)).astype(np.float32)
        relay.publish(frame(index * 640, **dict(zip(CONTROL_NAMES, controls.tolist(), strict=True))))
        assert receiver.applied.acquire(timeout=5)
        face = face_of(controls)
        assert receiver.shapes == pytest.approx(face.shapes, abs=1e-6)
        assert receiver.head[0] == "Head"
        assert receiver.head[4:] == pytest.approx(head_rotation(**face.head_deg), abs=1e-6)
        assert receiver.other["/VMC/Ext/OK"] == (1,)
        assert receiver.other["/VMC/Ext/T"] == pytest.approx((index / 25,), abs=1e-6)
    sender.close()
    sender.close()


def test_names_as_perfect_sync_writes_them(receiver: Receiver) -> None:
    relay: Relay[VideoFrame] = Relay()
    sender = VmcSender(VmcSettings(port=receiver.port, names="pascal"), relay)
    relay.publish(frame(jawOpen=0.5))
    assert receiver.applied.acquire(timeout=5)
    sender.close()
    assert receiver.shapes["JawOpen"] == pytest.approx(0.5) and "jawOpen" not in receiver.shapes
    assert all(name[0].isupper() for name in receiver.shapes)


def test_apply_comes_last_and_no_datagram_is_too_large() -> None:
    messages = messages_of(face_of(frame().controls), 0)
    bundles = bundles_of(messages)
    assert len(bundles) > 1 and all(bundle.size <= BUNDLE_BYTES for bundle in bundles)
    assert sum(bundle.num_contents for bundle in bundles) == len(messages)
    assert bundles[-1].content(bundles[-1].num_contents - 1).address == "/VMC/Ext/Blend/Apply"


def rotated(quaternion: tuple[float, float, float, float], vector: tuple[float, float, float]) -> np.ndarray:
    """Unity's `Quaternion * Vector3`."""
    axis, w, v = np.array(quaternion[:3]), quaternion[3], np.array(vector)
    return v + 2 * np.cross(axis, np.cross(axis, v) + w * v)


FORWARD, UP = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)


def test_the_head_turns_as_the_face_says_in_unitys_axes() -> None:
    """x is the avatar's right, y up, z where it looks."""
    assert head_rotation(0, 0, 0) == (0, 0, 0, 1)
    assert rotated(head_rotation(30, 0, 0), FORWARD) == pytest.approx((-0.5, 0, 3**0.5 / 2))
    assert rotated(head_rotation(0, 30, 0), FORWARD) == pytest.approx((0, -0.5, 3**0.5 / 2))
    assert rotated(head_rotation(0, 0, 30), UP) == pytest.approx((-0.5, 3**0.5 / 2, 0))
    # Turned left by a quarter, then down: it looks left and down whatever the turn.
    looked = rotated(head_rotation(90, 30, 0), FORWARD)
    assert looked == pytest.approx((-(3**0.5) / 2, -0.5, 0), abs=1e-6)
    assert np.linalg.norm(head_rotation(12, -8, 5)) == pytest.approx(1.0)


def test_what_a_barge_in_withdrew_is_not_sent(receiver: Receiver) -> None:
    relay: Relay[VideoFrame] = Relay()
    relay.handing_over.acquire()
    sender = VmcSender(VmcSettings(port=receiver.port), relay)
    relay.publish(frame(jawOpen=1.0))
    for _ in range(500):  # until it waits for the lock, with the frame in hand
        if not sender._subscription.waiting:
            break
        threading.Event().wait(0.01)
    sender._subscription._withdraw()  # what Relay.withdraw does under the lock
    relay.handing_over.release()
    relay.publish(frame(640, jawOpen=0.25))
    assert receiver.applied.acquire(timeout=5)
    sender.close()
    assert receiver.shapes["jawOpen"] == pytest.approx(0.25)
    assert not receiver.applied.acquire(timeout=0.2)


def test_nobody_listening_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    relay: Relay[VideoFrame] = Relay()
    sender = VmcSender(VmcSettings(port=port), relay)
    for index in range(5):
        relay.publish(frame(index * 640))
    relay.close()
    sender.close()
    assert caplog.text == ""


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(SettingError, match=r"vmc\.host = 'no such host' is not known"):
        VmcSender(VmcSettings(host="no such host"), Relay())

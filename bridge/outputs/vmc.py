"""Face and head for rigs such as VSeeFace, Warudo and Unity scenes: VMC, which is OSC over UDP.

Source of addresses and axes: the Virtual Motion Capture protocol, protocol.vmc.info.
"""

from __future__ import annotations

import logging
import math
import socket
import threading

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import ArgValue, build_msg
from pythonosc.udp_client import UDPClient

from bridge.blendshapes import Face, face_of
from bridge.config import VmcSettings
from bridge.errors import SettingError
from bridge.presenter import PresentedFrame
from bridge.relay import Relay
from engine.types import SAMPLE_RATE_HZ

BUNDLE_BYTES = 1_400
"""Most bytes of one datagram, so that no network has to break it up."""
HEAD_M = (0.0, 0.1, 0.0)
"""The head above the neck, for receivers that take positions over; most take rotations only."""

_BUNDLE_HEADER_BYTES = 16
_log = logging.getLogger(__name__)


class VmcSender:
    """Sends what the face does with every frame, on a thread of its own."""

    def __init__(self, settings: VmcSettings, frames: Relay[PresentedFrame]) -> None:
        """Starts with the next frame.

        Args:
            settings: where to, and how the blendshapes are named.
            frames: the avatar's.

        Raises:
            SettingError: the host is unknown.
        """
        try:
            address = socket.getaddrinfo(settings.host, settings.port, socket.AF_INET)[0][4][0]
        except OSError as error:
            raise SettingError(
                f"vmc.host = {settings.host!r} is not known ({error.strerror}); an address such as 127.0.0.1 "
                "is needed"
            ) from None
        self._client = UDPClient(str(address), settings.port, family=socket.AF_INET)
        self._names = settings.names
        self._relay = frames
        self._subscription = frames.subscribe(newest=True)
        self._unreachable = False
        self._thread = threading.Thread(target=self._run, name="vmc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; calling it again does nothing."""
        self._subscription.close()
        self._thread.join(timeout=2.0)
        self._client.close()

    def _run(self) -> None:
        while (frame := self._subscription.get(None)) is not None:
            messages = messages_of(face_of(frame.controls), frame.pts_samples, self._names)
            bundles = bundles_of(messages)
            with self._relay.handing_over:
                if not self._subscription.stale:
                    self._send(bundles)

    def _send(self, bundles: list[OscBundle]) -> None:
        """A receiver that is not there is no fault; a network that is not there is told once."""
        try:
            for bundle in bundles:
                self._client.send(bundle)
            self._unreachable = False
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            if not self._unreachable:
                _log.warning("vmc: nothing can be sent (%s); check vmc.host", error.strerror)
            self._unreachable = True


def messages_of(face: Face, pts_samples: int, names: str = "camel") -> list[OscMessage]:
    """One frame's messages, in the order they have to arrive.

    Args:
        face: what the face does.
        pts_samples: the frame's time on the avatar's clock.
        names: "camel" (jawOpen) or "pascal" (JawOpen).
    """
    shapes = {
        name[:1].upper() + name[1:] if names == "pascal" else name: value
        for name, value in face.shapes.items()
    }
    return [
        _message("/VMC/Ext/OK", 1),
        _message("/VMC/Ext/T", pts_samples / SAMPLE_RATE_HZ),
        _message("/VMC/Ext/Bone/Pos", "Head", *HEAD_M, *head_rotation(**face.head_deg)),
        *(_message("/VMC/Ext/Blend/Val", name, value) for name, value in shapes.items()),
        _message("/VMC/Ext/Blend/Apply"),
    ]


def head_rotation(yaw: float, pitch: float, roll: float) -> tuple[float, float, float, float]:
    """The head's turn as a quaternion x, y, z, w in Unity's axes (left-handed: x right, y up, z forward).

    Args:
        yaw: degrees to the avatar's left; Unity turns right about y.
        pitch: degrees down; as Unity turns about x.
        roll: degrees towards the avatar's left shoulder; as Unity turns about z.
    """
    half = [math.radians(angle) / 2 for angle in (pitch, -yaw, roll)]
    (sx, sy, sz), (cx, cy, cz) = map(math.sin, half), map(math.cos, half)
    # Unity's order: about z, then x, then y.
    return (
        sx * cy * cz + cx * sy * sz,
        cx * sy * cz - sx * cy * sz,
        cx * cy * sz - sx * sy * cz,
        cx * cy * cz + sx * sy * sz,
    )


def bundles_of(messages: list[OscMessage]) -> list[OscBundle]:
    """Packs messages, in order, into datagrams of at most `BUNDLE_BYTES`."""
    builders, size_bytes = [OscBundleBuilder(IMMEDIATELY)], _BUNDLE_HEADER_BYTES
    for message in messages:
        needed_bytes = 4 + message.size
        if size_bytes + needed_bytes > BUNDLE_BYTES:
            builders.append(OscBundleBuilder(IMMEDIATELY))
            size_bytes = _BUNDLE_HEADER_BYTES
        builders[-1].add_content(message)
        size_bytes += needed_bytes
    return [builder.build() for builder in builders]


def _message(address: str, *arguments: ArgValue) -> OscMessage:
    return build_msg(address, list(arguments))

"""A daemon's sockets around ready pictures: `python -m tests.unity.ready_daemon WIDTH HEIGHT FPS`.

So pictures come at any size and rate, whatever the machine can compute. Ends when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import TracebackType

import numpy as np
import numpy.typing as npt
import zmq

from bridge.avatar import AvatarSession
from bridge.config import SessionSettings
from bridge.control import Control
from bridge.outputs.zmq_frames import FramePublisher
from bridge.packs import Packs
from bridge.sessions import Sessions
from bridge.sockets import RequestServer, bind, bound_port
from engine.config import EngineConfig
from engine.types import VideoFrame
from tests.reliability.transport import ROOT, ReadyPipeline


def picture(width: int, height: int, pts_samples: int) -> npt.NDArray[np.uint8]:
    """The picture of this moment, uint8 [height, width, 4]: noise, and the moment in its first pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
    pixels.reshape(-1)[:8] = np.frombuffer(np.int64(pts_samples).tobytes(), np.uint8)
    return pixels


class StampedPipeline(ReadyPipeline):
    """Gives every frame its own picture."""

    def frames(self) -> Iterator[VideoFrame]:
        for frame in super().frames():
            frame.rgba.reshape(-1)[:8] = np.frombuffer(np.int64(frame.pts_samples).tobytes(), np.uint8)
            yield frame


def main() -> None:
    """Prints both endpoints and serves."""
    width, height, fps = map(int, sys.argv[1:])
    context = zmq.Context[zmq.Socket[bytes]]()
    control_socket = bind(context, zmq.ROUTER, "127.0.0.1", 0, "--control-port")
    frames_socket = bind(context, zmq.XPUB, "127.0.0.1", 0, "--frames-port")
    endpoints = [f"tcp://127.0.0.1:{bound_port(socket)}" for socket in (control_socket, frames_socket)]
    publisher = FramePublisher(frames_socket)
    session = AvatarSession(StampedPipeline(width, height, fps), fps=fps, size_px=width)
    sessions = Sessions(publisher, SessionSettings())
    sessions.add(session)
    packs = Packs(EngineConfig(), lead_ms=200.0, queue_limit_s=300.0)
    control = Control(sessions, packs, frames_endpoint=endpoints[1], speech_limit_s=300.0, local=True)
    requests = RequestServer(control_socket, control.answer, sessions.expire)
    control.post = requests.post
    print(*endpoints, flush=True)
    sys.stdin.read()
    requests.close()
    sessions.close()
    session.close()
    publisher.close()
    context.term()


class ReadyDaemon:
    """That program in a process of its own; use it as a context manager.

    Attributes:
        control_endpoint: of its ROUTER.
        frames_endpoint: of its XPUB.
    """

    def __init__(self, width: int, height: int, fps: int) -> None:
        command = [sys.executable, "-m", "tests.unity.ready_daemon", *map(str, (width, height, fps))]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.control_endpoint, self.frames_endpoint = self._process.stdout.readline().split()

    def __enter__(self) -> ReadyDaemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


if __name__ == "__main__":
    main()

"""How long a frame takes from the daemon to OBS: `python -m tests.obs.latency` (see plugins/obs/README.md).

From publishing to `obs_source_output_video`, as the plug-in measures itself: once with nothing drawn, which
is the plug-in's own part, and once while OBS draws, which takes the cores where there is no graphics card.
And from publishing to OBS's raw output, what an encoder or the virtual camera gets. The publisher speaks the
protocol and writes its clock into the pictures' colour; OBS's core composes a canvas of 1280 x 720 px.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from dataclasses import dataclass

import msgpack
import numpy as np
import zmq

from tests.obs.harness import Harness

TICK_NS = 100_000
"""Of the clock in the colour, 24 bit."""


Figures = tuple[float, float]
"""Median and the 95th of 100, ms."""


@dataclass(frozen=True)
class Latency:
    """Of one run.

    Attributes:
        own: from publishing to `obs_source_output_video`, while OBS draws.
        raw: from publishing to the raw output.
        frames: that reached the raw output.
    """

    own: Figures
    raw: Figures
    frames: int


class Publisher:
    """A daemon that publishes one avatar's frames, each of the colour of its time."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        self._size, self._fps = (width, height), fps
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._control, self._frames = self._context.socket(zmq.ROUTER), self._context.socket(zmq.PUB)
        ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in (self._control, self._frames)]
        self.endpoint = f"tcp://127.0.0.1:{ports[0]}"
        self._frames_endpoint = f"tcp://127.0.0.1:{ports[1]}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="publisher")
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        width, height = self._size
        pixels = np.full((height, width, 4), 255, np.uint8)
        period_s, number = 1.0 / self._fps, 0
        due_s = time.monotonic()
        while not self._ending.is_set():
            due_s += period_s
            while (left_s := due_s - time.monotonic()) > 0:
                if self._control.poll(max(0, int(left_s * 1_000))):
                    self._answer()
                elif left_s < 0.001:
                    time.sleep(left_s)
            # Only the corner bears the time: writing a whole picture would take milliseconds of it.
            tick = time.monotonic_ns() // TICK_NS & 0xFFFFFF
            pixels[:32, :32, :3] = (tick >> 16, tick >> 8 & 0xFF, tick & 0xFF)
            number += 1
            payload = pixels.tobytes()
            header = {
                "v": 1, "type": "frame", "avatar_id": "default", "pts_samples": number * 16_000 // self._fps,
                "epoch": 0, "utterance_id": "", "state": "idle", "width": width, "height": height,
                "format": "RGBA", "alpha": "straight", "latency_ms": -1.0,
                "published_ns": time.monotonic_ns(),
            }  # fmt: skip
            self._frames.send_multipart([b"frame/default", msgpack.packb(header), payload], copy=False)

    def _answer(self) -> None:
        identity, header, *_ = self._control.recv_multipart()
        request = msgpack.unpackb(header)
        answer = {"v": 1, "type": "pong", "request_id": request.get("request_id", ""), "daemon_ns": 0}
        if request["type"] == "hello":
            answer |= {"type": "welcome", "frames_endpoint": self._frames_endpoint, "avatars": ["default"]}
        self._control.send_multipart([identity, msgpack.packb(answer)])


def measure(canvas_fps: int, mode: str, size: tuple[int, int], fps: int, time_s: float) -> Latency:
    """One run with the source in the program."""
    publisher = Publisher(*size, fps)
    try:
        with Harness(canvas_fps) as harness:
            harness.create("avatar", endpoint=publisher.endpoint, latency=mode, audio=False)
            harness.wait_for("a picture", lambda: harness.ask("size avatar") != "0 0")
            time.sleep(1.0)
            told = harness.ask(f"measure {round(time_s * 1_000)}").split()
            own = _own(harness)
    finally:
        publisher.close()
    return Latency(own, (float(told[3]), float(told[4])), int(told[1]))


def measure_own(size: tuple[int, int], fps: int, time_s: float) -> Figures:
    """From publishing to `obs_source_output_video`, with the source hidden: received, not drawn."""
    publisher = Publisher(*size, fps)
    try:
        with Harness() as harness:
            harness.create("avatar", endpoint=publisher.endpoint, when_hidden="keep", audio=False)
            harness.ask("show avatar 0")
            time.sleep(time_s)
            return _own(harness)
    finally:
        publisher.close()


def _own(harness: Harness) -> Figures:
    connected, _, p50, p95, _ = map(float, harness.ask("figures avatar").split())
    assert connected, harness.log
    return p50, p95


def _text(figures: Figures) -> str:
    return f"{figures[0]:.1f} / {figures[1]:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    parser.add_argument("--fps", type=int, default=25, help="of the avatar (25)")
    args = parser.parse_args()
    sizes = ((384, 384), (1280, 720))
    for size in sizes:
        print(
            f"own part, {size[0]} x {size[1]}: {_text(measure_own(size, args.fps, args.seconds))}", flush=True
        )
    print("| canvas | latency | avatar | to OBS while it draws | to the raw output |\n|---|---|---|---|---|")
    for canvas_fps in (30, 60):
        for mode in ("lowest", "smooth"):
            for size in sizes:
                found = measure(canvas_fps, mode, size, args.fps, args.seconds)
                told = (
                    f"{canvas_fps} fps",
                    mode,
                    f"{size[0]} x {size[1]}",
                    _text(found.own),
                    _text(found.raw),
                )
                print(f"| {' | '.join(told)} |", flush=True)
    print(f"p50 / p95; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

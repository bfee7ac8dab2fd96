"""1920x1080 RGBA at 60 fps to 4 subscribers, one stalled: `python -m tests.reliability.transport`.

An avatar whose engine has every frame ready, so that only transport is measured. Its sockets are those of the
daemon; each subscriber is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import zmq

from bridge.avatar import AvatarSession
from bridge.outputs.zmq_frames import FramePublisher
from bridge.sockets import bind, bound_port
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState, VideoFrame
from tests.integration.wire import SharedPictures
from tests.reliability.processes import ROOT, rss_mib
from tests.reliability.report import bounded, quantile, tell

SUBSCRIBERS = 4
TOPICS = {"socket": "frame/", "shared": "shared/"}
QUEUE = 2
"""Frames that may wait in a subscriber's own queue; a viewer wants new ones, not many."""
FRESH_MS = 100.0


class ReadyPipeline:
    """Gives a new picture whenever the audio for a frame is there."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        self._picture = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
        self._fps = fps
        self._end = 0
        self._closed = False
        self._changed = threading.Condition()

    def push_audio(self, chunk: AudioChunk) -> None:
        with self._changed:
            self._end = chunk.start_samples + len(chunk.samples)
            self._changed.notify_all()

    def set_state(self, state: AvatarState | None) -> None:
        return

    def clear(self, at_samples: int) -> int:
        raise NotImplementedError

    def frames(self) -> Iterator[VideoFrame]:
        number = 0
        while True:
            pts = round(number * SAMPLE_RATE_HZ / self._fps)
            with self._changed:
                self._changed.wait_for(lambda pts=pts: self._closed or pts + 1_320 <= self._end)  # type: ignore[misc]
            if self._closed:
                return
            yield VideoFrame(self._picture.copy(), pts, "", 0, AvatarState.IDLE, {})
            number += 1

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Tally:
    """What one subscriber saw."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.missed = self.after_stall = self.stale_after_stall = self.written_over = 0
        self.fresh_after_ms = -1.0
        self.resumed_s = 0.0
        self._last_pts = self._step = 0

    def resumed(self) -> None:
        self.resumed_s, self._last_pts = time.monotonic(), 0

    def got(self, header: dict[str, Any], late_ms: float) -> None:
        if self.resumed_s and self.fresh_after_ms < 0:
            if late_ms < FRESH_MS:
                self.fresh_after_ms = (time.monotonic() - self.resumed_s) * 1_000
            else:
                self.stale_after_stall += 1
            return
        self.after_stall += self.resumed_s > 0
        pts = header["pts_samples"]
        if self._last_pts and self._step:
            self.missed += max(0, round((pts - self._last_pts) / self._step) - 1)
        elif self._last_pts:
            self._step = pts - self._last_pts
        self._last_pts = pts
        self.latencies_ms.append(late_ms)

    def figures(self) -> dict[str, float]:
        return {
            "frames": len(self.latencies_ms),
            "missed": self.missed,
            "written_over": self.written_over,
            "p50_ms": round(quantile(self.latencies_ms, 0.5), 2),
            "p99_ms": round(quantile(self.latencies_ms, 0.99), 2),
            "max_ms": round(max(self.latencies_ms, default=0.0), 1),
            "stale_after_stall": self.stale_after_stall,
            "fresh_after_ms": round(self.fresh_after_ms, 1),
            "frames_after_stall": self.after_stall,
        }


def subscribe(endpoint: str, topic: str, seconds: float, stall_from_s: float, stall_to_s: float) -> None:
    """Reads frames, but for the stall; prints what it saw. Runs in a process of its own.

    It says when it has its first frame, and counts from the moment on when all have.
    """
    context = zmq.Context[zmq.Socket[bytes]]()
    frames = context.socket(zmq.SUB)
    frames.rcvhwm = QUEUE
    frames.connect(endpoint)
    frames.subscribe(topic)
    shared, tally = SharedPictures(), Tally()
    frames.poll(10_000)
    print("ready", flush=True)
    begins_s, reading = 0.0, threading.Thread(target=sys.stdin.readline, daemon=True)
    reading.start()
    while (now_s := time.monotonic() - begins_s) < seconds or not begins_s:
        if not begins_s and not reading.is_alive():
            begins_s = time.monotonic()
            continue
        if begins_s and stall_from_s <= now_s < stall_to_s:
            time.sleep(stall_to_s - now_s)
            tally.resumed()
        if not frames.poll(1_000):
            continue
        _, packed, *rest = frames.recv_multipart(copy=False)
        header = msgpack.unpackb(packed.buffer)
        pixels = rest[0].buffer if rest else shared.take(header)
        late_ms = (time.monotonic_ns() - header["published_ns"]) / 1e6
        if pixels is None:
            tally.written_over += begins_s > 0
            continue
        if len(pixels) != header["width"] * header["height"] * 4:
            raise ValueError(f"a frame has {len(pixels)} bytes")
        if begins_s:
            tally.got(header, late_ms)
    context.destroy(linger=0)
    shared.close()
    print(json.dumps(tally.figures()))


def cpu_s(publisher: FramePublisher, session: AvatarSession) -> dict[str, float]:
    """CPU seconds so far: of the thread that publishes, of ZeroMQ's own, of the avatar's, of this one."""

    def of(thread: threading.Thread) -> float:
        assert thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    used = {"publisher": of(publisher._thread), "avatar": sum(map(of, session._threads))}
    used["this"] = time.thread_time()
    used["ZeroMQ"] = time.process_time() - sum(used.values())
    return used


def transport(
    seconds: float, width: int, height: int, fps: int, topic: str
) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    context = zmq.Context[zmq.Socket[bytes]]()
    socket = bind(context, zmq.XPUB, "127.0.0.1", 0, "--frames-port")
    endpoint = f"tcp://127.0.0.1:{bound_port(socket)}"
    publisher = FramePublisher(socket)
    session = AvatarSession(ReadyPipeline(width, height, fps), fps=fps, size_px=width)
    publisher.add(session)
    subscribers = []
    for number in range(SUBSCRIBERS):
        stall = (seconds * 0.3, seconds * 0.8) if number == 0 else (seconds, seconds)
        words = [endpoint, topic, *map(str, (seconds, *stall))]
        command = [sys.executable, "-m", "tests.reliability.transport", "--subscribe", *words]
        subscribers.append(
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        )
    try:
        for subscriber in subscribers:
            assert subscriber.stdout is not None and subscriber.stdout.readline() == "ready\n"
        for subscriber in subscribers:
            assert subscriber.stdin is not None
            subscriber.stdin.write("go\n")
        start_s = time.monotonic()
        memory: list[float] = []
        before_s = cpu_s(publisher, session)
        while any(subscriber.poll() is None for subscriber in subscribers):
            time.sleep(0.25)
            memory.append(rss_mib(os.getpid()))
            if time.monotonic() - start_s > seconds + 30:
                raise RuntimeError("the subscribers do not end")
        spent_s = time.monotonic() - start_s
        used = {name: (now - before_s[name]) / spent_s for name, now in cpu_s(publisher, session).items()}
        statistics = session.statistics()
        told = [json.loads(subscriber.communicate()[0]) for subscriber in subscribers]
    finally:
        for subscriber in subscribers:
            subscriber.kill()
            subscriber.wait()
        session.close()
        publisher.close()
        context.term()
    stalled, others = told[0], told[1:]
    # The first quarter fills buffers; the stall begins then.
    steady = memory[len(memory) // 3 :]
    faults = []
    if stalled["fresh_after_ms"] < 0 or not stalled["frames_after_stall"]:
        faults.append("the stalled subscriber got no fresh frames")
    if min(other["frames"] for other in others) == 0:
        faults.append("a subscriber got nothing")
    return {
        "picture": f"{width}x{height} RGBA at {fps} fps",
        "topic": topic,
        "seconds": seconds,
        "published_fps": statistics.fps,
        "stalls": statistics.stalls,
        "others_frames_missed_written_over": [
            [other["frames"], other["missed"], other["written_over"]] for other in others
        ],
        "others_p50_ms": [other["p50_ms"] for other in others],
        "others_p99_ms": [other["p99_ms"] for other in others],
        "others_max_ms": [other["max_ms"] for other in others],
        "stalled": {
            name: stalled[name]
            for name in (
                "stale_after_stall",
                "written_over",
                "fresh_after_ms",
                "frames_after_stall",
                "p99_ms",
            )
        },
        "transport_cpu_cores": round(used["publisher"] + used["ZeroMQ"], 2),
        "cpu_cores": {name: round(value, 2) for name, value in used.items()},
        "memory_mib_third_most_last": [round(steady[0]), round(max(steady)), round(steady[-1])],
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.transport", description=__doc__)
    parser.add_argument("--seconds", type=bounded(float, 3, 600), default=60.0)
    parser.add_argument("--width", type=bounded(int, 16, 1_920), default=1_920)
    parser.add_argument("--height", type=bounded(int, 16, 1_080), default=1_080)
    parser.add_argument("--fps", type=bounded(int, 10, 60), default=60)
    parser.add_argument("--over", choices=("socket", "shared"), default="shared", help="how pictures travel")
    parser.add_argument("--subscribe", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.subscribe:
        endpoint, topic, *times = arguments.subscribe
        subscribe(endpoint, topic, *map(float, times))
        return 0
    topic = TOPICS[arguments.over]
    return tell(*transport(arguments.seconds, arguments.width, arguments.height, arguments.fps, topic))


if __name__ == "__main__":
    sys.exit(main())

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
from tests.reliability.processes import ROOT, rss_mib
from tests.reliability.report import bounded, quantile, tell

SUBSCRIBERS = 4
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


def subscribe(endpoint: str, seconds: float, stall_from_s: float, stall_to_s: float) -> None:
    """Reads frames, but for the stall; prints what it saw. Runs in a process of its own."""
    context = zmq.Context[zmq.Socket[bytes]]()
    frames = context.socket(zmq.SUB)
    frames.rcvhwm = QUEUE
    frames.connect(endpoint)
    frames.subscribe("frame/")
    latencies_ms: list[float] = []
    missed = after_stall = 0
    stale_after_stall, fresh_after_ms = 0, -1.0
    resumed_s = last_pts = 0
    step = 0
    frames.poll(10_000)
    start_s = time.monotonic()
    while (now_s := time.monotonic() - start_s) < seconds:
        if stall_from_s <= now_s < stall_to_s:
            time.sleep(stall_to_s - now_s)
            resumed_s, last_pts = time.monotonic(), 0
        if not frames.poll(1_000):
            continue
        _, packed, pixels = frames.recv_multipart(copy=False)
        late_ms = (time.monotonic_ns() - (header := msgpack.unpackb(packed.buffer))["published_ns"]) / 1e6
        if len(pixels.buffer) != header["width"] * header["height"] * 4:
            raise ValueError(f"a frame has {len(pixels.buffer)} bytes")
        if resumed_s and fresh_after_ms < 0:
            if late_ms < FRESH_MS:
                fresh_after_ms = (time.monotonic() - resumed_s) * 1_000
            else:
                stale_after_stall += 1
            continue
        after_stall += resumed_s > 0
        if last_pts and step:
            missed += max(0, round((header["pts_samples"] - last_pts) / step) - 1)
        elif last_pts:
            step = header["pts_samples"] - last_pts
        last_pts = header["pts_samples"]
        latencies_ms.append(late_ms)
    context.destroy(linger=0)
    print(json.dumps({
        "frames": len(latencies_ms),
        "missed": missed,
        "p50_ms": round(quantile(latencies_ms, 0.5), 2),
        "p99_ms": round(quantile(latencies_ms, 0.99), 2),
        "max_ms": round(max(latencies_ms, default=0.0), 1),
        "stale_after_stall": stale_after_stall,
        "fresh_after_ms": round(fresh_after_ms, 1),
        "frames_after_stall": after_stall,
    }))  # fmt: skip


def cpu_s(publisher: FramePublisher, session: AvatarSession) -> dict[str, float]:
    """CPU seconds so far: of the thread that publishes, of ZeroMQ's own, of the avatar's, of this one."""

    def of(thread: threading.Thread) -> float:
        assert thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    used = {"publisher": of(publisher._thread), "avatar": sum(map(of, session._threads))}
    used["this"] = time.thread_time()
    used["ZeroMQ"] = time.process_time() - sum(used.values())
    return used


def transport(seconds: float, width: int, height: int, fps: int) -> tuple[dict[str, Any], list[str]]:
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
        words = [endpoint, *map(str, (seconds, *stall))]
        command = [sys.executable, "-m", "tests.reliability.transport", "--subscribe", *words]
        subscribers.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    try:
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
        "seconds": seconds,
        "published_fps": statistics.fps,
        "stalls": statistics.stalls,
        "others_frames_missed": [[other["frames"], other["missed"]] for other in others],
        "others_p50_ms": [other["p50_ms"] for other in others],
        "others_p99_ms": [other["p99_ms"] for other in others],
        "others_max_ms": [other["max_ms"] for other in others],
        "stalled": {
            name: stalled[name]
            for name in ("stale_after_stall", "fresh_after_ms", "frames_after_stall", "p99_ms")
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
    parser.add_argument("--subscribe", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.subscribe:
        endpoint, *times = arguments.subscribe
        subscribe(endpoint, *map(float, times))
        return 0
    return tell(*transport(arguments.seconds, arguments.width, arguments.height, arguments.fps))


if __name__ == "__main__":
    sys.exit(main())

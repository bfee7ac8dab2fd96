"""Runs in the guest: the camera's pictures, read back from the kernel by v4l2-ctl, compared byte for byte.

Writes what it found to result.json in the folder it is given; `test_camera_guest.py` judges.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq

from bridge.config import CameraSettings
from bridge.outputs.camera import VirtualCamera
from bridge.outputs.canvas import Canvas
from bridge.pixels import convert
from bridge.relay import Relay
from engine.types import AvatarState, VideoFrame

DEVICE = "/dev/video0"
SMALL = {"width_px": 320, "height_px": 240, "fps": 10}
PLACEHOLDER, UNKNOWN = -1, -2


def capabilities() -> list[str]:
    """What the kernel says the device is."""
    told = subprocess.run(["v4l2-ctl", "-d", DEVICE, "-D"], capture_output=True, text=True, check=True).stdout
    return [name for name in ("Video Capture", "Video Output") if name in told.split("Device Caps")[1]]


def wait_for_capability(name: str) -> None:
    deadline_s = time.monotonic() + 60
    while name not in capabilities():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{DEVICE} never became {name}: {capabilities()}")
        time.sleep(0.2)


def captured(count: int, bytes_each: int) -> list[bytes]:
    """Pictures as a video call would get them."""
    path = Path("/run/captured")
    subprocess.run(
        ["v4l2-ctl", "-d", DEVICE, "--stream-mmap", f"--stream-count={count}", f"--stream-to={path}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    data = path.read_bytes()
    return [data[at : at + bytes_each] for at in range(0, len(data), bytes_each)]


def i420(rgb: np.ndarray) -> bytes:
    return bytes(convert(rgb, "I420", "straight"))


def own_pictures() -> dict[str, Any]:
    """1280 x 720 at 30: a placeholder, then frames that we know."""
    found: dict[str, Any] = {"before": capabilities()}
    canvas = Canvas(1_280, 720, CameraSettings().background)
    camera = VirtualCamera(CameraSettings(enabled=True))
    found["device"] = camera.name
    size_bytes = 1_280 * 720 * 3 // 2
    known = {i420(canvas.placeholder("LLIA is starting")): PLACEHOLDER}
    wait_for_capability("Video Capture")
    found["placeholder"] = [known.get(picture, UNKNOWN) for picture in captured(2, size_bytes)]
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (96, 96, 4), np.uint8) for _ in range(6)]
    known |= {i420(canvas.compose(rgba)): index for index, rgba in enumerate(frames)}
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)

    def publish() -> None:
        for index, rgba in enumerate(frames):
            relay.publish(VideoFrame(rgba, index * 640, "", 0, AvatarState.IDLE))
            time.sleep(0.7)

    publisher = threading.Thread(target=publish)
    publisher.start()
    pictures = []
    while publisher.is_alive():
        pictures += captured(6, size_bytes)
    found["frames"] = [known.get(picture, UNKNOWN) for picture in pictures]
    found["delay_ms"] = camera.delay_ms
    camera.close()
    relay.close()
    found["after_close"] = capabilities()
    return found


class Watcher:
    """Takes every frame that a daemon publishes."""

    def __init__(self, endpoint: str) -> None:
        self.frames: dict[int, bytes] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(endpoint,))
        self._thread.start()

    def _watch(self, endpoint: str) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.connect(endpoint)
            socket.subscribe("frame/")
            while not self._ended.is_set():
                if socket.poll(200):
                    _, header, payload = socket.recv_multipart()
                    self.frames[msgpack.unpackb(header)["pts_samples"]] = payload
            socket.close(0)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def daemon(pack: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`llia run` with the camera; its frames' endpoint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", "run", "--pack", pack, "--size", "64", "--fps", "10",
         "--control-port", "0", "--frames-port", "0", "--no-page", "--camera", DEVICE,
         *(word for key, value in SMALL.items() for word in ("--set", f"camera.{key}={value}"))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("frames"):
                yield process, line.split()[1]
                return
        raise RuntimeError(f"llia run ended: {''.join(lines)}")
    finally:
        process.kill()
        process.communicate()


def daemon_pictures(pack: str, end: signal.Signals) -> dict[str, Any]:
    """What a daemon publishes on its socket is what its camera shows."""
    found: dict[str, Any] = {"before": capabilities()}
    canvas = Canvas(SMALL["width_px"], SMALL["height_px"], CameraSettings().background)
    with daemon(pack) as (process, endpoint):
        wait_for_capability("Video Capture")
        watcher = Watcher(endpoint)
        while len(watcher.frames) < 5:
            time.sleep(0.1)
        pictures = captured(20, SMALL["width_px"] * SMALL["height_px"] * 3 // 2)
        time.sleep(0.5)
        watcher.close()
        process.send_signal(end)
        process.wait(timeout=20)
        found["exit"] = process.returncode
    known = {}
    for pts, payload in sorted(watcher.frames.items()):
        known.setdefault(i420(canvas.compose(np.frombuffer(payload, np.uint8).reshape(64, 64, 4))), pts)
    times = sorted(watcher.frames)
    found["missed"] = (times[-1] - times[0]) // 1_600 + 1 - len(times)
    found["frames"] = [known.get(picture, UNKNOWN) for picture in pictures]
    found["different"] = len(known)
    found["after"] = capabilities()
    return found


def main(folder: Path, pack: str) -> None:
    result = {"kernel": Path("/proc/version").read_text().split()[2]}
    version = Path("/sys/module/v4l2loopback/version")
    result["v4l2loopback"] = version.read_text().strip() if version.exists() else ""
    result["exclusive_caps"] = re.split(
        ",", Path("/sys/module/v4l2loopback/parameters/exclusive_caps").read_text().strip()
    )[0]
    for name, part in (
        ("own", own_pictures),
        ("killed", lambda: daemon_pictures(pack, signal.SIGKILL)),
        ("second", lambda: daemon_pictures(pack, signal.SIGINT)),
    ):
        start_s = time.monotonic()
        result[name] = part()
        result[name]["seconds"] = round(time.monotonic() - start_s, 1)
        (folder / "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

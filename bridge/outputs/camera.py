"""A camera for calls and browsers: the avatar as a device that every program can choose.

The only file that imports pyvirtualcam (GPL-2.0, the extra `camera`).
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.config import CameraSettings
from bridge.errors import DeviceError, SettingError
from bridge.outputs.canvas import Canvas
from bridge.outputs.v4l2loopback import MODPROBE, keep_writable
from bridge.pixels import convert
from bridge.presenter import PresentedFrame
from bridge.relay import Relay, Subscription

Pixels = npt.NDArray[np.uint8]

OBS_HINT = "install OBS Studio, start its virtual camera once and stop it there"
DRIVERS = {
    "linux": (("v4l2loopback",), f"make one (Debian: apt install v4l2loopback-dkms): {MODPROBE}"),
    "win32": (("obs", "unitycapture"), OBS_HINT),
    "darwin": (("obs",), OBS_HINT),
}
"""By platform: pyvirtualcam's names of the drivers to try, and what to do where there is none."""

SILENT_S = 2.0
"""An avatar without frames for so long is replaced by the placeholder."""
REOPEN_S = 2.0
"""How often a device that has gone is looked for."""
DELAY_SMOOTHING = 0.03
COMPOSE_RESERVE_S = 0.002
"""Composing begins so much earlier than it takes."""

_log = logging.getLogger(__name__)


class VirtualCamera:
    """The device, written at an exact rate whatever the avatar does; the newest frame wins.

    Attributes:
        name: the device's name, as programs show it or as a path.
        sent: pictures written.
        late: ticks passed over because a picture was not written in time.
    """

    def __init__(self, settings: CameraSettings) -> None:
        """Opens the device and shows a placeholder until `show` is called.

        Raises:
            DeviceError: pyvirtualcam or the device is missing, or another program writes to it.
            SettingError: the size is odd or the background is not usable.
        """
        if settings.width_px % 2 or settings.height_px % 2:
            raise SettingError(
                f"camera: {settings.width_px} x {settings.height_px} px is not possible; both have to be even"
            )
        self._settings = settings
        self._canvas = _canvas(settings)
        self._device = _Device(settings)
        self.name = self._device.name
        self.sent = 0
        self.late = 0
        self._source: tuple[Relay[PresentedFrame], Subscription[PresentedFrame]] | None = None
        self._published_s = 0.0
        self._step_s = 1.0 / settings.fps
        self._delay_s = self._step_s / 2
        self._compose_s = COMPOSE_RESERVE_S
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def delay_ms(self) -> float:
        """From the publishing of a frame to its writing, smoothed mean; the avatar's lead comes before."""
        return self._delay_s * 1_000.0

    def show(self, frames: Relay[PresentedFrame]) -> None:
        """Shows an avatar from its next frame on, instead of what was shown before."""
        previous = self._source
        self._source = frames, frames.subscribe(newest=True, notify=self._note_time)
        if previous is not None:
            previous[1].close()

    def apply(self, settings: CameraSettings) -> None:
        """Changes background and mirror from the next frame on.

        Raises:
            SettingError: the background is not usable; nothing changes.
        """
        self._canvas = _canvas(settings)

    def close(self) -> None:
        """Frees the device; calling it again does nothing."""
        self._closed.set()
        if self._source is not None:
            self._source[1].close()
        self._thread.join(timeout=2.0)

    def _note_time(self) -> None:
        """In the presenter's thread."""
        self._published_s = time.monotonic()

    def _run(self) -> None:
        shown = self._placeholder("LLIA is starting")
        seen_s = 0.0
        tick_s = time.monotonic()
        while not self._closed.is_set():
            # The newest frame is taken as late as can be, so that it is composed just when its tick comes.
            self._wait_until(tick_s - self._compose_s)
            source = self._source
            frame = None if source is None else source[1].get(0)
            if source is None or frame is None:
                if seen_s and time.monotonic() - seen_s > SILENT_S:
                    shown, seen_s = self._placeholder("The avatar has stopped"), 0.0
                self._wait_until(tick_s)
                self._send(shown)
            else:
                published_s, seen_s = self._published_s, time.monotonic()
                picture = self._i420(self._canvas.compose(frame.rgba))
                self._note_compose(time.monotonic() - seen_s)
                self._wait_until(tick_s)
                relay, subscription = source
                with relay.handing_over:
                    if not subscription.stale:
                        shown = picture
                    self._send(shown)
                self._delay_s += DELAY_SMOOTHING * (time.monotonic() - published_s - self._delay_s)
            tick_s = self._next_tick_s(tick_s)
        self._device.close()

    def _wait_until(self, at_s: float) -> None:
        left_s = at_s - time.monotonic()
        if left_s > 0:
            self._closed.wait(left_s)

    def _note_compose(self, spent_s: float) -> None:
        """A slowly forgetting worst time, at most half the time between ticks."""
        self._compose_s = min(max(spent_s + COMPOSE_RESERVE_S, self._compose_s * 0.98), self._step_s / 2)

    def _next_tick_s(self, tick_s: float) -> float:
        """When the next picture is due: what was missed is passed over and never made up in a burst."""
        missed = int(max(0.0, time.monotonic() - tick_s) / self._step_s)
        self.late += missed
        return tick_s + (missed + 1) * self._step_s

    def _send(self, picture: Pixels) -> None:
        if self._device.send(picture):
            self.sent += 1

    def _placeholder(self, text: str) -> Pixels:
        return self._i420(self._canvas.placeholder(text))

    def _i420(self, rgb: Pixels) -> Pixels:
        return np.frombuffer(convert(rgb, "I420", "straight"), np.uint8)


def _canvas(settings: CameraSettings) -> Canvas:
    return Canvas(
        settings.width_px, settings.height_px, settings.background, settings.blur_px, settings.mirror
    )


class _Device:
    """pyvirtualcam's camera; one that has gone is told once and taken up again when it returns."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._camera: Any = _open(settings)
        self.name: str = self._camera.device
        self._tried_s = 0.0

    def send(self, picture: Pixels) -> bool:
        """Writes I420; returns whether there is a device."""
        if self._camera is None:
            self._reopen()
        if self._camera is None:
            return False
        try:
            if self.name.startswith("/dev/") and not Path(self.name).exists():
                raise RuntimeError("it was removed")  # writing to it reports nothing
            self._camera.send(picture)
        except (RuntimeError, OSError) as error:
            _log.error("the camera %s has gone (%s); waiting for it", self.name, error)
            self.close()
            self._tried_s = time.monotonic()
        return self._camera is not None

    def close(self) -> None:
        """Frees it."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _reopen(self) -> None:
        if time.monotonic() - self._tried_s < REOPEN_S:
            return
        self._tried_s = time.monotonic()
        try:
            self._camera = _open(self._settings)
        except DeviceError:
            return
        self.name = self._camera.device
        _log.warning("the camera %s is back", self.name)


def _open(settings: CameraSettings) -> Any:
    try:
        import pyvirtualcam
    except ImportError:
        raise DeviceError(
            "the virtual camera needs pyvirtualcam (GPL-2.0): pip install 'llia-bridge[camera]'"
        ) from None
    drivers, hint = DRIVERS.get(sys.platform, ((), "this system has no driver that is known"))
    problems = []
    for driver in drivers:
        if driver not in pyvirtualcam.camera.BACKENDS:
            continue
        try:
            camera = pyvirtualcam.Camera(
                settings.width_px,
                settings.height_px,
                settings.fps,
                fmt=pyvirtualcam.PixelFormat.I420,
                device=settings.device or None,
                backend=driver,
            )
        except (RuntimeError, OSError) as error:
            problems.append(str(error).split(". ")[0])
            continue
        keep_writable(camera.device)
        return camera
    raise DeviceError(f"no virtual camera ({'; '.join(problems) or 'no driver'}); {hint}")

"""The daemon's picture outputs beside sockets and page: virtual camera, face data for rigs, recordings."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.config import CameraSettings, RecordingSettings, VmcSettings
from bridge.errors import BridgeError
from bridge.outputs.camera import VirtualCamera
from bridge.outputs.recording import Recording
from bridge.outputs.video_file import CODECS
from bridge.outputs.vmc import VmcSender
from bridge.protocol.messages import Error
from bridge.web.panel import Arguments, Panel, choice

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

FORMATS = tuple(suffix.removeprefix(".") for suffix in CODECS)


class PictureOutputs:
    """What is open of them. The camera opens before there is an avatar and shows a placeholder.

    Attributes:
        camera: None without one.
        recording: the newest one, None before the first.
    """

    def __init__(self, camera: CameraSettings, vmc: VmcSettings, recording: RecordingSettings) -> None:
        """Opens the camera.

        Args:
            camera: its settings.
            vmc: the rig's settings.
            recording: what recordings are made like.

        Raises:
            BridgeError: the camera is missing or does not open.
        """
        self._vmc, self._recording = vmc, recording
        self._stack = ExitStack()
        self._changing = threading.Lock()
        self.recording: Recording | None = None
        self.camera: VirtualCamera | None = None
        if camera.enabled:
            self.camera = VirtualCamera(camera)
            self._stack.callback(self.camera.close)

    def show(self, session: AvatarSession) -> None:
        """Shows an avatar on all that is enabled.

        Raises:
            BridgeError: a host, a file or a folder is not usable; what is open stays so until `close`.
        """
        if self.camera is not None:
            camera = self.camera
            camera.show(session.frames)
            session.delays["camera"] = lambda: camera.delay_ms
        if self._vmc.enabled:
            self._stack.callback(VmcSender(self._vmc, session.frames).close)
        if self._recording.file:
            self.record(session, self._recording.file)

    def apply_camera(self, camera: CameraSettings) -> None:
        """Changes the camera's background and mirror.

        Raises:
            SettingError: the background is not usable; nothing changes.
        """
        if self.camera is not None:
            self.camera.apply(camera)

    def apply_recording(self, recording: RecordingSettings) -> None:
        """For recordings that are started from now on."""
        self._recording = recording

    def record(self, session: AvatarSession, goal: str) -> None:
        """Starts a recording.

        Args:
            session: the avatar.
            goal: path ending in .mp4 or .webm.

        Raises:
            BridgeError: one is under way, or the file cannot be made.
        """
        with self._changing:
            if self.recording is not None and self.recording.active:
                raise BridgeError(f"{self.recording.path} is being recorded; stop it first")
            self.recording = Recording(
                goal,
                session.frames,
                session.audio,
                size_px=session.size_px,
                fps=session.fps,
                background=self._recording.background,
                on_failure=lambda text: session.events.publish(
                    Error(code="recording", text=text, avatar_id=session.avatar_id)
                ),
            )

    def stop_recording(self) -> None:
        """Completes the recording under way, if there is one."""
        with self._changing:
            if self.recording is not None:
                self.recording.stop()

    def offer(self, panel: Panel) -> None:
        """Gives the page its Record button."""

        def start(session: AvatarSession, arguments: Arguments) -> None:
            name = f"{session.name}-{time.strftime('%Y%m%d-%H%M%S')}.{choice(arguments, 'format', *FORMATS)}"
            self.record(session, str(Path(self._recording.folder) / name))

        def stop(session: AvatarSession, arguments: Arguments) -> None:
            self.stop_recording()

        panel.offer("record_start", start)
        panel.offer("record_stop", stop)
        panel.tell("recording", self._state)

    def places(self) -> list[tuple[str, str]]:
        """Name and place of what is open, for people."""
        found = []
        if self.camera is not None:
            found.append(("camera", self.camera.name))
        if self._vmc.enabled:
            found.append(("vmc", f"{self._vmc.host}:{self._vmc.port}  face data (OSC over UDP)"))
        if self.recording is not None and self.recording.active:
            found.append(("recording", str(self.recording.path)))
        return found

    def close(self) -> None:
        """Completes the recording and closes the rest; calling it again does nothing."""
        self.stop_recording()
        self._stack.close()

    def _state(self, session: AvatarSession) -> dict[str, Any]:
        recording = self.recording
        return {
            "formats": FORMATS,
            "active": recording is not None and recording.active,
            "file": "" if recording is None else str(recording.path),
            "seconds": 0.0 if recording is None else recording.seconds,
            "dropped_frames": 0 if recording is None else recording.dropped_frames,
            "failure": "" if recording is None else recording.failure,
        }

"""A real OBS Studio on a screen of its own (Xvfb), with settings, plug-ins and scenes of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.obs.build import build
from tests.obs.screen import Screen
from tests.obs.windows import close_windows
from tests.require import require_program, skip_for_want_of

PASSWORD = "a password, with = signs"
SCREEN_PX = (1280, 720)
FPS = 30
START_LIMIT_S = 30.0
END_LIMIT_S = 20.0

_GLOBAL = """[General]
FirstRun=true
LastVersion=486539266
EnableAutoUpdates=false
ConfirmOnExit=false
Language=en-US
InfoIncrement=9999
[Video]
Renderer=OpenGL
[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
ConfigOnNewProfile=false
[BasicWindow]
PreviewEnabled={preview}
SysTrayEnabled=false
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AlertsEnabled=false
AuthRequired=true
ServerPassword={password}
"""
_PROFILE = """[General]
Name=Test
[Video]
BaseCX={width}
BaseCY={height}
OutputCX={width}
OutputCY={height}
FPSType=0
FPSCommon={fps}
ColorFormat=RGB
[Audio]
SampleRate=48000
ChannelSetup=Stereo
[Output]
Mode=Simple
"""


def require_obs_library() -> None:
    """Skips (or fails, see `tests.require`) where obsws-python is missing."""
    if importlib.util.find_spec("obsws_python") is None:
        skip_for_want_of("obsws-python, the extra `obs`")


def require_obs() -> None:
    """Skips (or fails, see `tests.require`) where OBS cannot be run or not be talked to."""
    require_obs_library()
    require_program("obs", "Xvfb")
    if not list(Path("/usr/lib").glob("*/obs-plugins/obs-websocket.so")):
        skip_for_want_of("obs-plugins")


class ObsStudio:
    """A running OBS; its scene collection has an empty scene `Main` and a microphone `Mic/Aux`.

    Attributes:
        port: of obs-websocket.
        environment: variables under which other programs find this OBS's settings.
        exit_code: of OBS, after `close`.
    """

    def __init__(self, scripts: Sequence[Path] = (), *, plugin: bool = False, preview: bool = False) -> None:
        """Writes the settings.

        Args:
            scripts: Lua scripts to load, which may bring kinds of sources.
            plugin: install the LLIA plug-in where a user has his, building it if need be.
            preview: draw the scene in the window, which costs time.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="llia-obs-")
        folder = Path(self._folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        settings = folder / "config" / "obs-studio"
        (settings / "basic" / "profiles" / "Test").mkdir(parents=True)
        (settings / "basic" / "scenes").mkdir()
        width, height = SCREEN_PX
        (settings / "global.ini").write_text(
            _GLOBAL.format(port=self.port, password=PASSWORD, preview=str(preview).lower())
        )
        profile = _PROFILE.format(width=width, height=height, fps=FPS)
        (settings / "basic" / "profiles" / "Test" / "basic.ini").write_text(profile)
        microphone = {
            "id": "pulse_input_capture", "versioned_id": "pulse_input_capture", "name": "Mic/Aux",
            "settings": {"device_id": "default"},
        }  # fmt: skip
        main = {"id": "scene", "name": "Main", "settings": {"id_counter": 0, "items": []}}
        collection = {
            "name": "Test",
            "current_scene": "Main",
            "current_program_scene": "Main",
            "scene_order": [{"name": "Main"}],
            "AuxAudioDevice1": microphone,
            "sources": [main],
            "groups": [],
            "transitions": [],
            "modules": {"scripts-tool": [{"path": str(path), "settings": {}} for path in scripts]},
        }
        (settings / "basic" / "scenes" / "Test.json").write_text(json.dumps(collection))
        self.environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        self.exit_code = -1
        self._log = ""
        self._screen: Screen | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if plugin:
            install_plugin(settings / "plugins")

    def __enter__(self) -> ObsStudio:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def display(self) -> str:
        """The screen's name."""
        assert self._screen is not None
        return self._screen.environment["DISPLAY"]

    @property
    def log(self) -> str:
        """What OBS has logged; all of it after `close`."""
        path = Path(self._folder.name) / "log"
        return path.read_text(errors="replace") if path.exists() else self._log

    def _start(self) -> None:
        folder = Path(self._folder.name)
        self._screen = Screen(folder, *SCREEN_PX)
        obs = ["obs", "--multi", "--verbose", "--disable-updater", "--disable-missing-files-check"]
        with open(folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                obs, env=self._screen.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_LIMIT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self._process.poll() is None and time.monotonic() < deadline_s, self.log[-4_000:]
            time.sleep(0.1)

    def close(self) -> None:
        """Closes OBS's window, then the screen; removes the folder. Calling it again does nothing.

        Not by SIGINT: OBS 29 closes its window within the signal's handler, wherever its thread just is, and
        now and then crashes or hangs.
        """
        if self._process is not None:
            close_windows(self.display)
            try:
                self.exit_code = self._process.wait(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.exit_code = self._process.wait()
            self._process = None
        if self._screen is not None:
            self._screen.close()
            self._screen = None
        self._log = self.log
        self._folder.cleanup()


def install_plugin(folder: Path) -> None:
    """Installs the plug-in as its README says, into a user's folder of plug-ins."""
    command = ["cmake", "--install", str(build()), "--component", "user", "--prefix", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

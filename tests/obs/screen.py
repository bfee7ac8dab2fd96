"""A screen of its own (Xvfb) for programs that need one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType

END_LIMIT_S = 10.0


class Screen:
    """A running Xvfb with OpenGL on the CPU.

    Attributes:
        environment: variables under which programs draw on it.
    """

    def __init__(self, folder: Path, width_px: int = 1280, height_px: int = 720) -> None:
        """Starts it at a number that is free.

        Args:
            folder: for its log and for the programs' runtime files.
            width_px: its width.
            height_px: its height.
        """
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        reading, writing = os.pipe()
        size = ["-screen", "0", f"{width_px}x{height_px}x24", "-nolisten", "tcp", "+extension", "GLX"]
        with open(folder / "xvfb.log", "wb") as log:
            command = ["Xvfb", "-displayfd", str(writing), *size]
            self._process = subprocess.Popen(command, pass_fds=(writing,), stdout=log, stderr=log)
        os.close(writing)
        with os.fdopen(reading) as told:
            display = told.readline().strip()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": str(runtime),
            "DISPLAY": f":{display}",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "GALLIUM_DRIVER": "llvmpipe",
            "QT_QPA_PLATFORM": "xcb",
            "LC_ALL": "C.UTF-8",
        }

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        end(self._process)


def end(process: subprocess.Popen[bytes]) -> int:
    """Ends a process as Ctrl-C does, by force after a while; returns its exit code."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(timeout=END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()

"""Processes under load: `llia run` with the toy pack, and what the kernel tells of a process (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.toy_pack import build_toy_pack

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 60.0
_MIB = 1 << 20


def rss_mib(pid: int) -> float:
    """Memory in use that is not shared with files, MiB: leaks show there."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") / _MIB


def threads(pid: int) -> int:
    """Number of its threads."""
    return len(os.listdir(f"/proc/{pid}/task"))


def sockets(pid: int) -> int:
    """Number of its open sockets."""
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except OSError:  # closed meanwhile
            continue
    return found


class DaemonProcess:
    """`llia run` on loopback, without page and greeting; use it as a context manager.

    Attributes:
        control_endpoint: of its ROUTER.
        frames_endpoint: of its XPUB.
    """

    def __init__(
        self,
        *arguments: str,
        pack: str = "",
        control_port: int = 0,
        frames_port: int = 0,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Starts it and waits until it runs.

        Args:
            arguments: more flags of `llia run`.
            pack: name of a shipped pack; "": the toy pack at 64 px on one thread, which computes little.
            control_port: 0: the system's choice.
            frames_port: likewise.
            environment: variables to set besides this process's own.
        """
        self._environment = {**os.environ, **(environment or {})}
        self._folder = tempfile.TemporaryDirectory()
        self._root = Path(self._folder.name)
        engine = ["--pack", pack]
        if not pack:
            engine = ["--pack", str(build_toy_pack(self._root / "toy")), "--size", "64"]
            engine += ["--set", "engine.threads=1"]
        self._command = [
            sys.executable, "-m", "bridge.cli", "run", "--no-greeting", "--no-page", "--provider", "CPU",
            *engine, *arguments,
        ]  # fmt: skip
        self._ports = [control_port, frames_port]
        self.start()

    @property
    def pid(self) -> int:
        """Of the daemon that runs now."""
        return self._process.pid

    def start(self) -> None:
        """Starts it (again, at the same ports)."""
        control_port, frames_port = self._ports
        out = self._root / "out.txt"
        with out.open("w") as shown, (self._root / "errors.txt").open("a") as errors:
            self._process = subprocess.Popen(
                [*self._command, "--control-port", str(control_port), "--frames-port", str(frames_port)],
                cwd=ROOT, stdout=shown, stderr=errors, env=self._environment,
            )  # fmt: skip
        deadline_s = time.monotonic() + START_LIMIT_S
        while "\nmicrophone" not in (text := out.read_text()):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                errors_told = (self._root / "errors.txt").read_text()
                raise RuntimeError(f"llia run did not start: {text} {errors_told}")
            time.sleep(0.02)
        places = dict(line.split(None, 2)[:2] for line in text.splitlines() if len(line.split()) > 1)
        self.control_endpoint, self.frames_endpoint = places["control"], places["frames"]
        self._ports = [int(place.rsplit(":", 1)[1]) for place in (places["control"], places["frames"])]

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def complaints(self) -> list[str]:
        """Errors and tracebacks of its log."""
        lines = (self._root / "errors.txt").read_text().splitlines()
        return [line for line in lines if " ERROR " in line or "Traceback" in line or "Error:" in line]

    @property
    def runs(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.runs:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._folder.cleanup()

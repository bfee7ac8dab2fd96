"""OBS's core without its window, with the plug-in loaded: drives `plugins/obs/tests/harness.c`."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from tests.obs.build import SOURCES, build
from tests.obs.screen import Screen
from tests.require import require_program

ANSWER_LIMIT_S = 90.0
Pixels = npt.NDArray[np.uint8]


class Harness:
    """A running core with an empty scene as its program; use it as a context manager.

    Attributes:
        left: allocations of OBS that were not freed, after `close`.
        exit_code: likewise.
    """

    def __init__(self, fps: int = 30) -> None:
        """Builds the plug-in if need be and starts.

        Args:
            fps: of the canvas, 1280 x 720 px.
        """
        require_program("Xvfb")
        folder = build()
        self._folder = tempfile.TemporaryDirectory(prefix="llia-harness-")
        root = Path(self._folder.name)
        self._screen = Screen(root)
        self._log = open(root / "log", "w+b")  # noqa: SIM115
        self.left, self.exit_code = -1, -1
        self._process = subprocess.Popen(
            [folder / "tests" / "harness", folder / "llia-obs.so", SOURCES / "data", root, str(fps)],
            env=self._screen.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, bufsize=1,
        )  # fmt: skip
        try:
            self.version = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Harness:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What OBS and the plug-in have logged."""
        return Path(self._log.name).read_text(errors="replace")

    def ask(self, command: str) -> str:
        """Sends a command; returns what follows "ok" in its answer.

        Raises:
            AssertionError: it was refused, or the core has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        return self._answer()

    def create(self, name: str, **settings: object) -> None:
        """Makes a source in the scene."""
        self.ask(f"create {name} {json.dumps(settings)}")

    def update(self, name: str, **settings: object) -> None:
        """Changes settings."""
        self.ask(f"update {name} {json.dumps(settings)}")

    def grab(self, name: str) -> Pixels:
        """uint8 [H, W, 4], what the source shows; of no size where it shows nothing."""
        path = Path(self._folder.name) / "pixels"
        width, height = map(int, self.ask(f"grab {name} {path}").split())
        if not width:
            return np.zeros((0, 0, 4), np.uint8)
        return np.frombuffer(path.read_bytes(), np.uint8).reshape(height, width, 4)

    def wait_for(self, what: str, found: Callable[[], bool], limit_s: float = 10.0) -> float:
        """Waits; returns the time it took in s.

        Raises:
            AssertionError: not within the time; the log's end is in it.
        """
        start_s = time.monotonic()
        while not found():
            waited_s = time.monotonic() - start_s
            assert waited_s < limit_s, f"{what}: not within {limit_s} s\n{self.log[-3_000:]}"
            time.sleep(0.01)
        return time.monotonic() - start_s

    def close(self) -> None:
        """Shuts the core down; calling it again does nothing."""
        if self._process.poll() is None:
            try:
                self.left = int(self.ask("quit"))
                self.exit_code = self._process.wait(timeout=10.0)
            finally:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._screen.close()
        self._log.close()
        self._folder.cleanup()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        word, _, rest = line.rstrip("\n").partition(" ")
        assert word == "ok", f"{line or 'the core has ended'}\n{self.log[-4_000:]}"
        return rest

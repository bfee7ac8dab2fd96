"""Drives the package's core, which runs under mono in a process of its own."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.unity.compile import interop


class CoreClient:
    """A client of the core; use it as a context manager.

    Attributes:
        told: everything it has told so far, in order.
    """

    def __init__(self, control_endpoint: str, *options: str) -> None:
        """Starts it; `options` go to `interop/Program.cs`."""
        self.told: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._process = subprocess.Popen(
            ["mono", "--debug", str(interop()), control_endpoint, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def do(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def wait_for(
        self, wanted: str | Callable[[dict[str, Any]], bool], timeout_s: float = 40.0
    ) -> dict[str, Any]:
        """The next thing told of this kind, or that fulfils the condition."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                told = self._queue.get(timeout=left_s)
            except queue.Empty:
                break
            if told is None:
                break
            if told["kind"] == wanted if isinstance(wanted, str) else wanted(told):
                return told
        raise AssertionError(f"not told within {timeout_s} s; the last were {self.told[-15:]}")

    def has_told(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0) -> dict[str, Any]:
        """Something it has told before or tells soon, in whatever order with other things."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for told in tuple(self.told):
                if wanted(told):
                    return told
            time.sleep(0.02)
        raise AssertionError(f"not told within {timeout_s} s; the last were {self.told[-15:]}")

    def figures(self) -> dict[str, Any]:
        self.do("figures")
        return self.wait_for("figures")

    def watch(self, seconds: float) -> list[dict[str, Any]]:
        """What is told in the next seconds."""
        start = len(self.told)
        time.sleep(seconds)
        return self.told[start:]

    def close(self) -> int:
        """Ends it properly; returns its exit status."""
        if self._process.poll() is None:
            try:
                self.do("quit")
                self._process.wait(10)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self._process.kill()
                self._process.wait()
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        return self._process.returncode

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self.told.append(told)
            self._queue.put(told)
        self._queue.put(None)

    def __enter__(self) -> CoreClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sound_file(path: Path, samples: npt.NDArray[np.float32]) -> Path:
    """Writes float32 [T] as `interop/Program.cs` reads it."""
    path.write_bytes(samples.astype("<f4").tobytes())
    return path

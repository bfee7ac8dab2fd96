"""What the operating system tells `llia run`: end, or read the settings again."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


class Signals:
    """Catches SIGINT, SIGTERM and, where the system has it, SIGHUP.

    Attributes:
        running: to be set when the daemon is up; before that, an end is a KeyboardInterrupt.
        ended: SIGINT or SIGTERM came, or the terminal was closed.
        reload: SIGHUP came for another reason.
    """

    def __init__(self) -> None:
        """Call from the main thread; `restore` puts back what was there before."""
        self.running, self.ended, self.reload = threading.Event(), threading.Event(), threading.Event()
        self._has_terminal = _is_terminal()
        handlers = {signal.SIGINT: self._end, signal.SIGTERM: self._end}
        hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
        if hang_up is not None:
            handlers[hang_up] = self._hang_up
        self._previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}

    def restore(self) -> None:
        """Catches nothing any more."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended.set()
        if not self.running.is_set():  # loading a model takes its time: leave it at once
            raise KeyboardInterrupt

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        if self._has_terminal and not _is_terminal():  # its window was closed
            self._end(number, frame)
        self.reload.set()


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()

"""The presentation clock: wall time to samples of the avatar's clock. All pacing to wall time reads it."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.types import SAMPLE_RATE_HZ


class PresentationClock:
    """Runs with the wall clock at 16 kHz; `hold` sets it back when a frame is late, nothing sets it forward.

    Not thread-safe: its owner holds a lock.
    """

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._origin_ns: int | None = None

    @property
    def running(self) -> bool:
        """False until the first `hold`."""
        return self._origin_ns is not None

    def hold(self, pts_samples: int) -> None:
        """Makes `pts_samples` the present moment."""
        self._origin_ns = self._monotonic_ns() - pts_samples * 1_000_000_000 // SAMPLE_RATE_HZ

    def now_samples(self) -> int:
        """The present moment, 16 kHz samples; 0 before the clock runs."""
        if self._origin_ns is None:
            return 0
        return (self._monotonic_ns() - self._origin_ns) * SAMPLE_RATE_HZ // 1_000_000_000

    def until_ms(self, pts_samples: int) -> float:
        """Time left until `pts_samples`, negative when it has passed."""
        return (pts_samples - self.now_samples()) * 1_000.0 / SAMPLE_RATE_HZ

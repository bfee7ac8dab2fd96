"""Counts what an avatar publishes, and what the whole daemon sees."""

from __future__ import annotations

import threading
import time
from collections import deque


class FrameMeter:
    """Frames and stage times of the last second, stalls since the start. Not thread-safe.

    Attributes:
        stalls: times that a frame came so late that the clock was held.
        stalled_ms: length of all of them.
        old_epoch: frames that a barge-in made obsolete.
    """

    def __init__(self) -> None:
        self.stalls = 0
        self.stalled_ms = 0.0
        self.old_epoch = 0
        self._published: deque[tuple[int, dict[str, float], float]] = deque(maxlen=240)

    def published(self, now_ns: int, stage_ms: dict[str, float], latency_ms: float) -> None:
        """A frame was published.

        Args:
            now_ns: monotonic time.
            stage_ms: what each stage spent on it.
            latency_ms: from sound to picture, -1 in silence.
        """
        self._published.append((now_ns, stage_ms, latency_ms))

    def late(self, late_ms: float) -> None:
        """The clock was held by this much."""
        self.stalls += 1
        self.stalled_ms += late_ms

    def rates(self) -> tuple[float, dict[str, float]]:
        """Frames per second over the last second, and each stage's mean milliseconds per frame."""
        since_ns = time.monotonic_ns() - 1_000_000_000
        recent = [stage_ms for at_ns, stage_ms, _ in self._published if at_ns >= since_ns]
        names = sorted({name for stage_ms in recent for name in stage_ms})
        means = {name: sum(s.get(name, 0.0) for s in recent) / len(recent) for name in names}
        return float(len(recent)), means

    def latency_ms(self) -> float:
        """Mean latency of the frames of the last second that show sound, -1 where there are none."""
        since_ns = time.monotonic_ns() - 1_000_000_000
        recent = [ms for at_ns, _, ms in self._published if at_ns >= since_ns and ms >= 0]
        return sum(recent) / len(recent) if recent else -1.0


class Counter:
    """Counts by name, of the whole daemon; safe from any thread."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """One more of these."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1

    def counts(self) -> dict[str, int]:
        """All counts so far."""
        with self._lock:
            return dict(self._counts)

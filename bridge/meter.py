"""Counts what an avatar publishes."""

from __future__ import annotations

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
        self._published: deque[tuple[int, dict[str, float]]] = deque(maxlen=240)

    def published(self, now_ns: int, stage_ms: dict[str, float]) -> None:
        """A frame was published at this monotonic time."""
        self._published.append((now_ns, stage_ms))

    def late(self, late_ms: float) -> None:
        """The clock was held by this much."""
        self.stalls += 1
        self.stalled_ms += late_ms

    def rates(self) -> tuple[float, dict[str, float]]:
        """Frames per second over the last second, and each stage's mean milliseconds per frame."""
        since_ns = time.monotonic_ns() - 1_000_000_000
        recent = [stage_ms for at_ns, stage_ms in self._published if at_ns >= since_ns]
        names = sorted({name for stage_ms in recent for name in stage_ms})
        means = {name: sum(s.get(name, 0.0) for s in recent) / len(recent) for name in names}
        return float(len(recent)), means

"""How far ahead of the presented moment the engine is fed: as little as this machine allows."""

from __future__ import annotations

GRACE_MS = 10.0
"""Feeding may fall behind so far while an utterance waits for its client's next chunk."""

MARGIN_MS = 10.0
"""Kept free for the scheduler."""

DECAY_MS_PER_S, DECAY_PER_S = 10.0, 0.1
"""A measured worst compute time is forgotten so fast, a tenth of it and 10 ms a second; faster, and a busy
machine stalls at every peak."""

MAX_LEAD_MS = 500.0


class LeadControl:
    """Follows the worst compute time: up at once, down slowly. Pure.

    Attributes:
        lead_ms: time from feeding a sample to presenting it.
        compute_ms: time from feeding a frame's last sample to the finished frame, slowly forgetting worst.
    """

    def __init__(self, lookahead_ms: float, lead_ms: float, frame_ms: float) -> None:
        """Starts with the lead that is configured.

        Args:
            lookahead_ms: audio the model needs beyond a frame's time.
            lead_ms: first value, raised to at least the look-ahead and what is kept free.
            frame_ms: duration of one frame.
        """
        self._lookahead_ms = lookahead_ms
        self._frame_s = frame_ms / 1_000.0
        self.compute_ms = max(0.0, lead_ms - lookahead_ms - GRACE_MS - MARGIN_MS)
        self.lead_ms = self._wanted_ms()

    def observe(self, compute_ms: float) -> None:
        """Takes the compute time of one frame and sets the lead anew."""
        # What the limit cuts off is not remembered: it would hold the lead at its limit for minutes.
        worst_ms = min(self.compute_ms, MAX_LEAD_MS - self._lookahead_ms - GRACE_MS - MARGIN_MS)
        decayed_ms = worst_ms - (DECAY_MS_PER_S + DECAY_PER_S * worst_ms) * self._frame_s
        self.compute_ms = max(compute_ms, decayed_ms)
        self.lead_ms = self._wanted_ms()

    def _wanted_ms(self) -> float:
        return min(self._lookahead_ms + self.compute_ms + GRACE_MS + MARGIN_MS, MAX_LEAD_MS)

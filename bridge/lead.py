"""How far ahead of the presented moment the engine is fed: as little as this machine allows."""

from __future__ import annotations

GRACE_MS = 20.0
"""Feeding may fall behind so far while an utterance waits for its client's next chunk."""

MARGIN_MS = 15.0
"""Kept free for the scheduler."""

DECAY_MS_PER_S = 10.0
"""A measured worst compute time is forgotten so fast; faster, and a busy machine stalls at every peak."""

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
            lead_ms: first value, raised to at least the look-ahead and one frame.
            frame_ms: duration of one frame.
        """
        self._lookahead_ms = lookahead_ms
        self._frame_ms = frame_ms
        self._floor_ms = lookahead_ms + frame_ms
        self.lead_ms = max(lead_ms, self._floor_ms)
        self.compute_ms = max(0.0, self.lead_ms - lookahead_ms - GRACE_MS - MARGIN_MS)

    def observe(self, compute_ms: float) -> None:
        """Takes the compute time of one frame and sets the lead anew."""
        self.compute_ms = max(compute_ms, self.compute_ms - DECAY_MS_PER_S * self._frame_ms / 1_000.0)
        wanted_ms = self._lookahead_ms + self.compute_ms + GRACE_MS + MARGIN_MS
        self.lead_ms = min(max(wanted_ms, self._floor_ms), MAX_LEAD_MS)

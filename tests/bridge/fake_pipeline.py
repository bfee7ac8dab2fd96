"""A pipeline of thirty lines: a frame is ready when its audio and the look-ahead are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np

from engine.types import AudioChunk, AvatarState, VideoFrame

FRAME_SAMPLES, LOOKAHEAD_SAMPLES = 640, 1_320


class FakePipeline:
    """`compute_s` is slept per frame; `broken` makes `frames` fail."""

    def __init__(self, compute_s: float = 0.0) -> None:
        self.compute_s = compute_s
        self.watched = True
        self.broken = threading.Event()
        self.chunks: list[AudioChunk] = []
        self.state: AvatarState | None = None
        self.epoch = 0
        self._end = 0
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def push_audio(self, chunk: AudioChunk) -> None:
        with self._changed:
            assert chunk.start_samples == self._end, "audio must be contiguous"
            self.chunks.append(chunk)
            self._end += len(chunk.samples)
            self._changed.notify_all()

    def set_state(self, state: AvatarState | None) -> None:
        self.state = state

    def clear(self, at_samples: int) -> int:
        with self._changed:
            self._end = at_samples
            self.chunks = [c for c in self.chunks if c.start_samples < at_samples]
            self._next = min(self._next, -(-at_samples // FRAME_SAMPLES))
            self.epoch += 1
            return self.epoch

    def frames(self) -> Iterator[VideoFrame]:
        while not self._closed:
            if self.broken.is_set():
                raise RuntimeError("the card is gone")
            with self._changed:
                pts = self._next * FRAME_SAMPLES
                if pts + LOOKAHEAD_SAMPLES > self._end:
                    self._changed.wait(0.02)
                    continue
                self._next += 1
                epoch = self.epoch
                heard = next((c for c in reversed(self.chunks) if c.start_samples <= pts), None)
            time.sleep(self.compute_s)
            spoken = heard.utterance_id if heard is not None else ""
            state = self.state if self.state is not None else AvatarState(0 if spoken else 2)
            rgba = np.full((8, 8, 4), self._next % 256, np.uint8)
            yield VideoFrame(rgba, pts, spoken, epoch, state, {"decode": 1.0})

    def close(self) -> None:
        self._closed = True

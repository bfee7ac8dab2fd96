"""Eight hours of live sound in minutes: do picture and sound part? `python -m tests.reliability.drift`.

Nothing waits: the clock is the test's own. What is real: the session's feeder, the queue and its resampler,
the presenter with its clock, the engine's audio ring, planner of clips and output times. Networks are left
out. Once every ten minutes the engine hangs for 0.4 s.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from bridge.avatar import LIVE_LIMIT_MS, AvatarSession
from bridge.clock import PresentationClock
from bridge.presenter import PresentedFrame
from bridge.speech import SpeechQueue
from engine.audio import AudioRing, StreamingResampler
from engine.clips import ClipPlanner
from engine.frames import Retimer
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState, VideoFrame
from tests.reliability.report import bounded, quantile, tell

MIC_RATE_HZ = 44_100
BLOCK = 2_205
"""50 ms."""
CLICK_EVERY_S = 5
TICK_NS = 20_000_000
HANG_EVERY_S, HANG_NS = 600, 400_000_000
MODEL_FPS, MODEL_FRAME_SAMPLES = 25, 640
LATENT = np.zeros((16, 4, 4), np.float32)
PIXEL = np.zeros((1, 1, 4), np.uint8)


class FakeClock:
    """Monotonic time that only the simulation advances."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9


class Timing:
    """The engine without its networks: what is made when, and when it is due."""

    def __init__(self, fps: int, clock: FakeClock, compute_ns: Callable[[], int]) -> None:
        self._clock, self._compute_ns = clock, compute_ns
        self._audio = AudioRing()
        self._planner = ClipPlanner((1, 2, 4, 8), MODEL_FRAME_SAMPLES)
        self._retimer = Retimer(MODEL_FPS, fps)
        self._free_ns = 0
        self._made: deque[tuple[int, VideoFrame]] = deque()

    def push_audio(self, chunk: AudioChunk) -> None:
        self._audio.append(chunk)
        ready = self._audio.frames_ready(MODEL_FRAME_SAMPLES)
        plan = self._planner.plan(ready, finished=False, state_of=lambda frame: AvatarState.SPEAKING)
        if plan is None:
            return
        self._audio.discard_before((plan.first_frame - 100) * MODEL_FRAME_SAMPLES)
        latents = np.broadcast_to(LATENT, (plan.clip_length, *LATENT.shape))
        for pts, _, _ in self._retimer.take(LATENT, latents, plan.first_frame):
            self._free_ns = max(self._free_ns, self._clock.now_ns) + self._compute_ns()
            frame = VideoFrame(
                PIXEL, pts, self._audio.utterance_at(pts), plan.epoch, AvatarState.SPEAKING, {"all": 1.0}
            )
            self._made.append((self._free_ns, frame))

    def finished(self) -> Iterator[VideoFrame]:
        """Those whose computing has ended by now."""
        while self._made and self._made[0][0] <= self._clock.now_ns:
            yield self._made.popleft()[1]

    def set_state(self, state: AvatarState | None) -> None:
        return

    def clear(self, at_samples: int) -> int:
        raise NotImplementedError

    def frames(self) -> Iterator[VideoFrame]:
        raise NotImplementedError

    def close(self) -> None:
        return


class Simulation:
    """Stands in for the condition that the presenter waits on: each wait is time that passes."""

    def __init__(self, hours: float, fps: int, seed: int) -> None:
        self.clock = FakeClock()
        self.fps, self.frame_ms = fps, 1_000.0 / fps
        self._chance = random.Random(seed)
        self._start_ns = self.clock.now_ns
        self._end_ns = self._start_ns + int(hours * 3_600e9)
        self._next_tick_ns = self._start_ns
        self._next_hang_ns = self._start_ns + HANG_EVERY_S * 10**9
        self._sent = 0
        self._lock = threading.RLock()
        self.engine = Timing(fps, self.clock, self._compute_ns)
        with patch.object(threading.Thread, "start"), patch.object(threading.Thread, "join"):
            self.session = AvatarSession(self.engine, fps=fps, size_px=1)
        self.session._speech = SpeechQueue(StreamingResampler, 300.0, LIVE_LIMIT_MS, self.clock.monotonic_ns)
        self.presenter = self.session._presenter
        self.presenter._changed = self  # type: ignore[assignment]
        self.presenter._clock = PresentationClock(self.clock.monotonic_ns)
        self.frames = self.session.frames.subscribe(newest=False, bound=1_000)
        self.audio = self.session.audio.subscribe(newest=False, bound=1_000)
        self.pairs_ms: list[float] = []
        self.latency_ms: list[float] = []
        self.click_ms: list[float] = []
        self.seams = self.hangs = self.shown = 0
        self._heard_to = 0
        self._clicks: deque[int] = deque()
        self.last_pts = 0

    def _compute_ns(self) -> int:
        if self.clock.now_ns >= self._next_hang_ns:
            self._next_hang_ns += HANG_EVERY_S * 10**9
            self.hangs += 1
            return HANG_NS
        return int(self._chance.uniform(2e6, 20e6))

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def notify_all(self) -> None:
        return

    def wait(self, timeout_s: float | None = None) -> None:
        """Time passes until the next tick of the feeder, or as long as the presenter wants to wait."""
        until_ns = self._next_tick_ns
        if timeout_s is not None:
            until_ns = min(until_ns, self.clock.now_ns + max(1, int(timeout_s * 1e9)))
        self.clock.now_ns = max(self.clock.now_ns, until_ns)
        self._look()
        if self.clock.now_ns >= self._next_tick_ns:
            self._next_tick_ns += TICK_NS
            self._speak()
            self.session._feed_to_lead()
            if self.clock.now_ns >= self._end_ns:
                self.presenter._closed = True
        for frame in self.engine.finished():
            self.presenter.ready(frame)

    def _speak(self) -> None:
        """The microphone gives what it has heard by now: silence with a click every few seconds."""
        while (self._sent + BLOCK) * 1e9 / MIC_RATE_HZ <= self.clock.now_ns - self._start_ns:
            block = np.full(BLOCK, 1e-3, np.float32)
            every = CLICK_EVERY_S * MIC_RATE_HZ
            if self._sent % every < BLOCK:
                block[0] = 1.0
                self._clicks.append(self._start_ns + self._sent * 1_000_000_000 // MIC_RATE_HZ)
            self._sent += BLOCK
            self.session.push_audio(block, MIC_RATE_HZ, "microphone", live=True)

    def _look(self) -> None:
        """Compares what was published: the frame's time, the sound's, and the clock's."""
        while (frame := self.frames.get(0)) is not None:
            heard = self.audio.get(0)
            assert heard is not None and isinstance(frame, PresentedFrame)
            self.shown += 1
            self.last_pts = frame.pts_samples
            self.pairs_ms.append(abs(heard.start_samples - frame.pts_samples) * 1_000 / SAMPLE_RATE_HZ)
            self.seams += heard.start_samples != self._heard_to
            self._heard_to = heard.start_samples + len(heard.samples)
            if frame.arrived_ns:
                self.latency_ms.append((self.clock.now_ns - frame.arrived_ns) / 1e6)
            loudest = int(np.argmax(heard.samples))
            if heard.samples[loudest] > 0.1:
                # Clicks that were skipped after a hang are passed over.
                shown_ns = self.clock.now_ns + loudest * 1_000_000_000 // SAMPLE_RATE_HZ
                while len(self._clicks) > 1 and self._clicks[1] < shown_ns:
                    self._clicks.popleft()
                self.click_ms.append((shown_ns - self._clicks.popleft()) / 1e6)


def drift(hours: float, fps: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    run = Simulation(hours, fps, seed)
    clock = SimpleNamespace(monotonic_ns=run.clock.monotonic_ns, monotonic=run.clock.monotonic)
    start_s = time.monotonic()
    with (
        patch("bridge.avatar.time", clock), patch("bridge.presenter.time", clock),
        patch("bridge.meter.time", clock),
    ):  # fmt: skip
        run.presenter.run()
        run._look()
        statistics = run.session.statistics()
    spent_s = time.monotonic() - start_s
    count = max(1, min(len(run.click_ms) // 4, 60))
    early, late = (quantile(part, 0.5) for part in (run.click_ms[:count], run.click_ms[-count:]))
    wanted = int(hours * 3_600 / CLICK_EVERY_S)
    faults = []
    if max(run.pairs_ms) >= run.frame_ms:
        faults.append(f"frame and sound are {max(run.pairs_ms):.1f} ms apart")
    if run.seams:
        faults.append(f"{run.seams} seams in the sound")
    if abs(late - early) >= run.frame_ms:
        faults.append(f"a click comes {late - early:.1f} ms later in the end")
    if len(run.click_ms) < wanted - run.hangs - 2:
        faults.append(f"{len(run.click_ms)} of {wanted} clicks heard")
    if statistics.skipped_audio_ms > run.hangs * (HANG_NS / 1e6 + LIVE_LIMIT_MS):
        faults.append(f"{statistics.skipped_audio_ms:.0f} ms of sound skipped")
    return {
        "hours": hours,
        "fps": fps,
        "took_s": round(spent_s, 1),
        "frames": run.shown,
        "last_pts_samples": run.last_pts,
        "hangs": run.hangs,
        "stalls": statistics.stalls,
        "frame_to_its_sound_ms_max": round(max(run.pairs_ms), 3),
        "seams": run.seams,
        "clicks": len(run.click_ms),
        "sound_to_picture_ms_first_last": [round(early, 2), round(late, 2)],
        "drift_ms": round(late - early, 2),
        "latency_ms_median_p99_max": [
            round(quantile(run.latency_ms, share), 1) for share in (0.5, 0.99, 1.0)
        ],
        "skipped_audio_ms": round(statistics.skipped_audio_ms),
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.drift", description=__doc__)
    parser.add_argument("--hours", type=bounded(float, 0.01, 48), default=8.0)
    parser.add_argument("--fps", type=bounded(int, 10, 60), default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return tell(*drift(arguments.hours, arguments.fps, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())

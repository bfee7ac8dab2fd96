"""One avatar: keeps the engine fed in real time and publishes its frames at their time.

The only file that drives the engine, and the one place of pacing. Three threads: the feeder gives the
engine audio up to a small lead ahead of the presented moment, the collector takes finished frames, the
presenter publishes each at its time, with the audio heard then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bridge.clock import PresentationClock
from bridge.echo import FedAudio
from bridge.errors import AudioInputError, AvatarFailedError
from bridge.lead import GRACE_MS, LeadControl
from bridge.meter import FrameMeter
from bridge.protocol.messages import Error, Event, Statistics
from bridge.relay import Relay
from bridge.speech import SpeechQueue, Utterance
from bridge.state import SpeechTracker
from engine.audio import MAX_RATE_HZ, MIN_RATE_HZ, StreamingResampler, checked_samples
from engine.config import EngineConfig
from engine.errors import AudioFormatError
from engine.pipeline import Engine
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState, VideoFrame

Float = npt.NDArray[np.float32]

LOOKAHEAD_MS = 82.5
"""Audio a frame needs after its own time: 80 ms and half a mel frame (`engine/README.md`)."""
FEED_TICK_S = 0.01
FEED_SAMPLES = 320
GAP_MS = 300
"""A pause of the client within an utterance counts as speech for so long, as silence after."""
MAX_UNSHOWN_MS = 300
"""Feeding stops so far (and the lead) after the frame shown last, in case the engine hangs."""
CANCEL_HOLD_MS = 120
"""Longest time the picture may rest between a barge-in and the first frame after it."""

_log = logging.getLogger(__name__)


class Pipeline(Protocol):
    """What a session needs of `engine.pipeline.AvatarPipeline`."""

    def push_audio(self, chunk: AudioChunk) -> None:
        """Takes the next contiguous 16 kHz audio."""

    def set_state(self, state: AvatarState | None) -> None:
        """Sets the state of frames planned from now on; None finds it from the audio."""

    def clear(self, at_samples: int) -> int:
        """Forgets audio and frames from `at_samples` on; returns the new epoch."""

    def frames(self) -> Iterator[VideoFrame]:
        """Yields frames as they are finished, without pacing."""

    def close(self) -> None:
        """Ends the pipeline's threads and its frames."""


def open_session(config: EngineConfig, *, lead_ms: float, queue_limit_s: float) -> AvatarSession:
    """Loads the pack and starts its default avatar, or the one that is configured.

    Raises:
        EngineError: the pack, the picture or a value is wrong.
    """
    engine = Engine(config.pack, threads=config.threads, provider=config.provider)
    pipeline = engine.avatar(
        config.avatar or None, size_px=config.size_px, fps=config.fps, steps=config.steps, seed=config.seed
    )
    return AvatarSession(
        pipeline,
        fps=config.fps,
        size_px=config.size_px,
        name=Path(config.avatar or engine.manifest.default_avatar).stem,
        provider=engine.provider,
        lead_ms=lead_ms,
        queue_limit_s=queue_limit_s,
    )


class AvatarSession:
    """An avatar that lives in real time.

    Attributes:
        avatar_id: the last part of its topics.
        name: the picture's name.
        provider: what the engine computes on.
        fps: frames per second.
        size_px: width and height of its frames.
        lookahead_ms: audio the model needs beyond a frame's time.
        frames: pictures at their time; newest wins suits viewers.
        audio: what is heard with each frame, 16 kHz, contiguous; a bounded queue suits players.
        events: what happens; a bounded queue.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        fps: int,
        size_px: int,
        avatar_id: str = "default",
        name: str = "",
        provider: str = "",
        lookahead_ms: float = LOOKAHEAD_MS,
        lead_ms: float = 200.0,
        queue_limit_s: float = 300.0,
    ) -> None:
        """Starts the avatar; it idles from the first frame on.

        Args:
            pipeline: the engine's pipeline; the session closes it.
            fps: of its frames.
            size_px: of its frames.
            avatar_id: see the attribute.
            name: see the attribute.
            provider: see the attribute.
            lookahead_ms: see the attribute.
            lead_ms: first value of the lead, see `bridge.lead`.
            queue_limit_s: most speech that may wait, seconds.
        """
        self.avatar_id, self.name, self.provider = avatar_id, name, provider
        self.fps, self.size_px, self.lookahead_ms = fps, size_px, lookahead_ms
        self.frames: Relay[VideoFrame] = Relay()
        self.audio: Relay[AudioChunk] = Relay()
        self.events: Relay[Event] = Relay()
        self._pipeline = pipeline
        self._frame_samples = SAMPLE_RATE_HZ // fps
        # _feeding guards the queue and the pipeline's input; _showing all the rest. Taken in this order.
        self._feeding = threading.Lock()
        self._showing = threading.Condition()
        self._speech = SpeechQueue(StreamingResampler, queue_limit_s, live_limit_ms=200.0)
        self._clock = PresentationClock()
        self._fed = FedAudio()
        self._lead = LeadControl(lookahead_ms, lead_ms, 1_000.0 / fps)
        self._tracker = SpeechTracker(avatar_id)
        self._meter = FrameMeter()
        self._ready: deque[VideoFrame] = deque()
        self._epoch = 0
        self._shown_samples = 0
        self._resume_samples = 0
        self._last_statistics_s = time.monotonic()
        self._failure = ""
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=f"{avatar_id}-{run.__name__.strip('_')}", daemon=True)
            for run in (self._feed, self._collect, self._present)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def lead_ms(self) -> float:
        """Time from a sample's arrival to the frame that shows it, as it is now."""
        return self._lead.lead_ms

    def push_audio(self, samples: Float, sample_rate_hz: int, utterance_id: str, live: bool = False) -> None:
        """Queues speech; it may come faster than real time.

        Args:
            samples: float32 [T] mono or [T, 2] stereo, -1..1; beyond is clipped.
            sample_rate_hz: 8,000..192,000, the same for the whole utterance.
            utterance_id: a new id opens a new utterance; not empty.
            live: recorded now: what cannot be shown in time is skipped and counted, not queued.

        Raises:
            AudioInputError: wrong shape or rate, no or non-finite samples, or the utterance has ended.
            QueueFullError: the limit of waiting speech is reached; nothing of it was taken.
            UtteranceCancelledError: a barge-in has cancelled this utterance; use a new id.
            AvatarFailedError: the engine has stopped.
        """
        self._refuse_failed()
        mono = _checked_mono(samples, sample_rate_hz, utterance_id)
        with self._feeding:
            self._speech.push(utterance_id, mono, sample_rate_hz, live)

    def end_utterance(self, utterance_id: str) -> None:
        """Marks the utterance complete; the avatar returns to idle after it. Unknown ids are passed over."""
        with self._feeding:
            self._speech.end(utterance_id)

    def set_state(self, state: AvatarState | None) -> None:
        """Sets the state from the next short clip on; None is automatic: speaking while there is speech."""
        self._refuse_failed()
        self._pipeline.set_state(state)

    def cancel(self) -> None:
        """Barge-in: drops all speech at once. No frame of the old epoch is published after this returns.

        The picture rests until the first frame computed anew is due, at most `CANCEL_HOLD_MS`.
        """
        self._refuse_failed()
        with self._feeding:
            with self._showing:
                self._epoch += 1  # from here on the presenter takes no frame made before
                self._ready.clear()
                hold_ms = min(self._lead.compute_ms + GRACE_MS, CANCEL_HOLD_MS)
                now = self._clock.now_samples()
                at_samples = min(now + int(hold_ms * SAMPLE_RATE_HZ / 1_000), self._fed.end_samples)
                events = self._tracker.cancelled(self._speech.cancel(), at_samples)
                self._fed.rewind(at_samples)
                self._resume_samples = at_samples  # the engine still gives frames of before, renumbered
            epoch = self._pipeline.clear(at_samples)
            with self._showing:
                self._epoch = epoch
                self._showing.notify_all()
            self._feed_to_lead()
        for event in events:
            self.events.publish(event)

    def statistics(self) -> Statistics:
        """The figures of this moment; also published once a second."""
        with self._feeding:
            waiting_ms = self._speech.waiting_samples * 1_000.0 / SAMPLE_RATE_HZ
            utterances = self._speech.waiting_utterances
            skipped_ms = self._speech.skipped_samples * 1_000.0 / SAMPLE_RATE_HZ
        with self._showing:
            fps, stages_ms = self._meter.rates()
            return Statistics(
                avatar_id=self.avatar_id,
                state=self._tracker.state.name.lower(),
                fps=fps,
                lead_ms=self._lead.lead_ms,
                compute_ms=self._lead.compute_ms,
                stages_ms=stages_ms,
                first_frame_ms=self._tracker.first_frame_ms,
                stalls=self._meter.stalls,
                stalled_ms=self._meter.stalled_ms,
                skipped_audio_ms=skipped_ms,
                queues={
                    "speech_ms": waiting_ms,
                    "utterances": float(utterances),
                    "frames": float(len(self._ready)),
                },
                drops={
                    "frames": self.frames.dropped,
                    "audio": self.audio.dropped,
                    "events": self.events.dropped,
                    "old_epoch": self._meter.old_epoch,
                },
            )

    def close(self) -> None:
        """Ends threads, pipeline and relays; calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._showing:
            self._showing.notify_all()
        self._pipeline.close()
        for thread in self._threads:
            thread.join(timeout=2.0)
        for relay in (self.frames, self.audio, self.events):
            relay.close()

    def _refuse_failed(self) -> None:
        if self._failure:
            raise AvatarFailedError(
                f"avatar {self.avatar_id!r} has stopped: {self._failure}; start the daemon again"
            )

    def _fail(self, error: Exception) -> None:
        """The engine broke: told once, on the log and to all listeners; other avatars live on."""
        if self._failure or self._closed.is_set():
            return
        self._failure = f"{type(error).__name__}: {error}"
        _log.error("avatar %s has stopped: %s", self.avatar_id, self._failure, exc_info=error)
        self.events.publish(Error(code="avatar_failed", text=self._failure, avatar_id=self.avatar_id))

    # --- feeder ---------------------------------------------------------------------------------

    def _feed(self) -> None:
        try:
            while not self._closed.is_set() and not self._failure:
                with self._feeding:
                    self._feed_to_lead()
                if time.monotonic() - self._last_statistics_s >= 1.0:
                    self._last_statistics_s = time.monotonic()
                    self.events.publish(self.statistics())
                self._closed.wait(FEED_TICK_S)
        except Exception as error:  # the engine's, of any kind: the thread is its border
            self._fail(error)

    def _feed_to_lead(self) -> None:
        """Feeds speech, or silence where there is none, up to the lead."""
        with self._showing:
            farthest = self._shown_samples + MAX_UNSHOWN_MS * SAMPLE_RATE_HZ // 1_000
            present = min(self._clock.now_samples(), farthest)
            target = present + int(self._lead.lead_ms * SAMPLE_RATE_HZ / 1_000)
        grace_samples = int(GRACE_MS * SAMPLE_RATE_HZ / 1_000)
        while (missing := target - self._fed.end_samples) > 0:
            count = min(missing, FEED_SAMPLES)
            taken = self._speech.take(count)
            if taken is None:
                self._push(np.zeros(count, np.float32), "")
                continue
            utterance, samples = taken
            if len(samples):
                self._begin(utterance)
                self._push(samples, utterance.utterance_id)
            elif not utterance.ended:
                if missing < grace_samples:
                    break
                gap_ms = (time.monotonic_ns() - utterance.touched_ns) / 1e6
                in_speech = utterance.started and gap_ms < GAP_MS
                self._push(np.zeros(count, np.float32), utterance.utterance_id if in_speech else "")
            ended = self._speech.finished()
            if ended is not None:
                with self._showing:
                    self._tracker.ended(ended.utterance_id, self._fed.end_samples)

    def _begin(self, utterance: Utterance) -> None:
        if utterance.started:
            return
        utterance.started = True
        with self._showing:
            events = self._tracker.started(utterance.utterance_id, self._fed.end_samples, utterance.turn_ns)
        for event in events:
            self.events.publish(event)

    def _push(self, samples: Float, utterance_id: str) -> None:
        with self._showing:
            chunk = self._fed.append(samples, utterance_id, time.monotonic_ns())
        self._pipeline.push_audio(chunk)

    # --- collector ------------------------------------------------------------------------------

    def _collect(self) -> None:
        lookahead_samples = int(self.lookahead_ms * SAMPLE_RATE_HZ / 1_000)
        try:
            for frame in self._pipeline.frames():
                with self._showing:
                    if frame.epoch < self._epoch or frame.pts_samples < self._resume_samples:
                        self._meter.old_epoch += 1
                        continue
                    fed_ns = self._fed.fed_ns(frame.pts_samples + lookahead_samples - 1)
                    if fed_ns is not None:
                        self._lead.observe((time.monotonic_ns() - fed_ns) / 1e6)
                    self._ready.append(frame)
                    self._showing.notify_all()
            raise RuntimeError("the engine gives no more frames")
        except Exception as error:  # the engine's, of any kind: the thread is its border
            self._fail(error)

    # --- presenter ------------------------------------------------------------------------------

    def _present(self) -> None:
        while True:
            with self._showing:
                frame = self._next_due()
                if frame is None:
                    return
                now_ns = time.monotonic_ns()
                self._shown_samples = frame.pts_samples
                self._meter.published(now_ns, frame.stage_ms)
                heard = self._fed.hear(frame.pts_samples, self._frame_samples)
                events = self._tracker.shown(frame, now_ns)
                # Published under the lock: `cancel` then knows that nothing old follows it.
                self.frames.publish(frame)
                self.audio.publish(heard)
                for event in events:
                    self.events.publish(event)

    def _next_due(self) -> VideoFrame | None:
        """Waits for the next frame and its time; None when the session is closed. Holds `_showing`."""
        while not self._closed.is_set():
            if not self._ready:
                self._showing.wait()
                continue
            frame = self._ready[0]
            if not self._clock.running:
                self._clock.hold(frame.pts_samples)
            left_ms = self._clock.until_ms(frame.pts_samples)
            if left_ms > 0:
                self._showing.wait(left_ms / 1_000)
                continue
            self._ready.popleft()
            # Half a frame of lateness is not seen; more moves the clock, so that no delay piles up.
            if left_ms < -500.0 / self.fps:
                self._meter.late(-left_ms)
                self._clock.hold(frame.pts_samples)
            return frame
        return None


def _checked_mono(samples: Float, sample_rate_hz: int, utterance_id: str) -> Float:
    """Refuses what cannot be sound; returns float32 [T] mono within -1..1."""
    if not utterance_id:
        raise AudioInputError("utterance_id is empty; give every utterance a name of its own")
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise AudioInputError(
            f"sample_rate_hz is {sample_rate_hz}; {MIN_RATE_HZ} to {MAX_RATE_HZ} is possible"
        )
    if samples.ndim == 2 and samples.shape[1] > 2:
        raise AudioInputError(f"samples have shape {samples.shape}; [T] mono or [T, 2] stereo is needed")
    try:
        return checked_samples(samples, origin=f"utterance {utterance_id!r}")
    except AudioFormatError as error:
        raise AudioInputError(str(error)) from None

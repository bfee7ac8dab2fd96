"""Publishes an avatar's frames at their time, with the audio heard then; the one place of pacing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.clock import PresentationClock
from bridge.echo import FedAudio
from bridge.lead import GRACE_MS, LeadControl
from bridge.meter import FrameMeter
from bridge.protocol.messages import Event, StateChanged, Statistics
from bridge.relay import Relay
from bridge.state import SpeechTracker
from engine.types import SAMPLE_RATE_HZ, AudioChunk, VideoFrame

MAX_UNSHOWN_MS = 300
"""Feeding stops so far (and the lead) after the frame shown last, in case the engine hangs."""
CANCEL_HOLD_MS = 120
"""Longest time the picture rests between a barge-in and the first frame after it."""


@dataclass(frozen=True)
class PresentedFrame(VideoFrame):
    """A frame at its time.

    Attributes:
        arrived_ns: monotonic time when the sample heard at `pts_samples` arrived, or its turn came where it
            had to wait; 0 in silence.
    """

    arrived_ns: int = 0


class Presenter:
    """The avatar's present moment: what was fed, what is ready, what is shown. Safe from any thread.

    Attributes:
        frames: relay of pictures.
        audio: relay of what is heard with each.
        events: relay of what happens.
    """

    def __init__(self, avatar_id: str, fps: int, lookahead_ms: float, lead_ms: float) -> None:
        """Waits for the first frame; the clock starts with it.

        Args:
            avatar_id: stands in the events.
            fps: frames per second.
            lookahead_ms: audio the model needs beyond a frame's time.
            lead_ms: first value of the lead, see `bridge.lead`.
        """
        self.frames: Relay[PresentedFrame] = Relay()
        self.audio: Relay[AudioChunk] = Relay()
        self.events: Relay[Event] = Relay()
        self._avatar_id = avatar_id
        self._frame_samples = SAMPLE_RATE_HZ // fps
        self._lookahead_samples = int(lookahead_ms * SAMPLE_RATE_HZ / 1_000)
        self._changed = threading.Condition()
        self._clock = PresentationClock()
        self._fed = FedAudio()
        self._lead = LeadControl(lookahead_ms, lead_ms, 1_000.0 / fps)
        self._tracker = SpeechTracker(avatar_id)
        self._meter = FrameMeter()
        self._ready: deque[VideoFrame] = deque()
        self._epoch = 0
        self._resume_samples = 0
        self._shown_samples = 0
        self._closed = False

    @property
    def lead_ms(self) -> float:
        """Time from feeding a sample to presenting it."""
        return self._lead.lead_ms

    @property
    def fed_samples(self) -> int:
        """Where the next fed audio begins."""
        return self._fed.end_samples

    def missing_samples(self) -> int:
        """How much audio the engine should be fed now."""
        with self._changed:
            farthest = self._shown_samples + MAX_UNSHOWN_MS * SAMPLE_RATE_HZ // 1_000
            present = min(self._clock.now_samples(), farthest)
            return present + int(self._lead.lead_ms * SAMPLE_RATE_HZ / 1_000) - self._fed.end_samples

    @property
    def state(self) -> StateChanged:
        """What a late listener has to know: the state shown, since when it is not told."""
        with self._changed:
            return StateChanged(
                avatar_id=self._avatar_id,
                state=self._tracker.state.name.lower(),
                pts_samples=self._shown_samples,
            )

    def fed(
        self,
        samples: npt.NDArray[np.float32],
        utterance_id: str,
        arrived_ns: int = 0,
        audible: bool = True,
    ) -> AudioChunk:
        """Gives audio its place on the clock; the returned chunk goes to the engine.

        Args:
            samples: float32 [T], 16 kHz.
            utterance_id: "" for silence and for the other party.
            arrived_ns: see `bridge.echo.FedAudio.append`.
            audible: likewise.
        """
        with self._changed:
            return self._fed.append(samples, utterance_id, time.monotonic_ns(), arrived_ns, audible)

    def utterance_started(self, utterance_id: str, turn_ns: int) -> None:
        """The next fed audio is this utterance's first."""
        with self._changed:
            self.events.publish(self._tracker.started(utterance_id, self._fed.end_samples, turn_ns))

    def utterance_ended(self, utterance_id: str) -> None:
        """The last fed audio was this utterance's last."""
        with self._changed:
            self._tracker.ended(utterance_id, self._fed.end_samples)

    def cancel(self, waiting_ids: list[str]) -> int:
        """Barge-in: no frame made so far is published or given away by an output after this returns.

        The picture rests until the engine can have computed the next frame.

        Args:
            waiting_ids: utterances that were dropped before they were fed.

        Returns:
            The time from which on the engine has to forget everything, 16 kHz samples.
        """
        with self._changed:
            hold_ms = min(self._lead.compute_ms + GRACE_MS, CANCEL_HOLD_MS)
            resume = self._clock.now_samples() + int(hold_ms * SAMPLE_RATE_HZ / 1_000)
            self._resume_samples = min(resume, self._fed.end_samples)
            self._epoch += 1
            self._ready.clear()
            self.frames.withdraw()
            self.audio.withdraw()
            self._fed.rewind(self._resume_samples)
            for event in self._tracker.cancelled(waiting_ids, self._resume_samples):
                self.events.publish(event)
            return self._resume_samples

    def abandon(self, waiting_ids: list[str]) -> None:
        """Tells that utterances will not be shown to their end; the rest goes on.

        Args:
            waiting_ids: those that were not fed yet.
        """
        with self._changed:
            for event in self._tracker.cancelled(waiting_ids, self._shown_samples):
                self.events.publish(event)

    def resume(self, epoch: int) -> None:
        """The engine has forgotten; its frames bear this epoch now."""
        with self._changed:
            self._epoch = epoch

    def ready(self, frame: VideoFrame) -> None:
        """The engine has finished a frame."""
        with self._changed:
            # The engine renumbers frames from before the barge-in that were not taken yet: they are old too.
            if frame.epoch < self._epoch or frame.pts_samples < self._resume_samples:
                self._meter.old_epoch += 1
                return
            fed_ns = self._fed.fed_ns(frame.pts_samples + self._lookahead_samples - 1)
            if fed_ns is not None:
                self._lead.observe((time.monotonic_ns() - fed_ns) / 1e6)
            self._ready.append(frame)
            self._changed.notify_all()

    def run(self) -> None:
        """Publishes frames until `close`."""
        with self._changed:
            while not self._closed:
                if not self._ready:
                    self._changed.wait()
                    continue
                frame = self._ready[0]
                if not self._clock.running:
                    self._clock.hold(frame.pts_samples)
                left_ms = self._clock.until_ms(frame.pts_samples)
                if left_ms > 0:
                    self._changed.wait(left_ms / 1_000)
                    continue
                self._ready.popleft()
                # Half a frame of lateness is not seen; more moves the clock, so that no delay piles up.
                if left_ms < -500.0 * self._frame_samples / SAMPLE_RATE_HZ:
                    self._meter.late(-left_ms)
                    self._clock.hold(frame.pts_samples)
                self._publish(frame)

    def statistics(self, queues: dict[str, float], skipped_ms: float, daemon: dict[str, int]) -> Statistics:
        """The figures of this moment.

        Args:
            queues: what waits before the engine, by name.
            skipped_ms: live audio that was skipped.
            daemon: counts of the whole daemon.
        """
        with self._changed:
            fps, stages_ms = self._meter.rates()
            return Statistics(
                avatar_id=self._avatar_id,
                state=self._tracker.state.name.lower(),
                fps=fps,
                lead_ms=self._lead.lead_ms,
                compute_ms=self._lead.compute_ms,
                stages_ms=stages_ms,
                first_frame_ms=self._tracker.first_frame_ms,
                latency_ms=self._meter.latency_ms(),
                stalls=self._meter.stalls,
                stalled_ms=self._meter.stalled_ms,
                skipped_audio_ms=skipped_ms,
                queues={
                    **queues,
                    "fed_ms": max(0, self._fed.end_samples - self._clock.now_samples())
                    * 1_000.0
                    / SAMPLE_RATE_HZ,
                    "frames": float(len(self._ready)),
                },
                drops={
                    "frames": self.frames.dropped,
                    "audio": self.audio.dropped,
                    "events": self.events.dropped,
                    "old_epoch": self._meter.old_epoch,
                },
                daemon=daemon,
            )

    def close(self) -> None:
        """Ends `run` and the relays."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for relay in (self.frames, self.audio, self.events):
            relay.close()

    def _publish(self, frame: VideoFrame) -> None:
        """Holds the lock meanwhile: `cancel` then knows that nothing old follows it."""
        now_ns = time.monotonic_ns()
        self._shown_samples = frame.pts_samples
        arrived_ns = self._fed.arrived_ns(frame.pts_samples)
        self._meter.published(now_ns, frame.stage_ms, (now_ns - arrived_ns) / 1e6 if arrived_ns else -1.0)
        self.frames.publish(_presented(frame, arrived_ns))
        self.audio.publish(self._fed.hear(frame.pts_samples, self._frame_samples))
        for event in self._tracker.shown(frame, now_ns):
            self.events.publish(event)


def _presented(frame: VideoFrame, arrived_ns: int) -> PresentedFrame:
    fields = {field.name: getattr(frame, field.name) for field in dataclasses.fields(VideoFrame)}
    return PresentedFrame(**fields, arrived_ns=arrived_ns)

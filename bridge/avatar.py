"""One avatar: keeps the engine fed in real time; `bridge.presenter` publishes its frames at their time.

The only file that drives the engine. Three threads: the feeder gives the engine audio up to a small lead
ahead of the presented moment, the collector takes finished frames, the presenter publishes them.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bridge.errors import AudioInputError, AvatarFailedError, ExpressionError, UnsupportedError
from bridge.lead import GRACE_MS
from bridge.listening import Detector, OtherParty
from bridge.presenter import PresentedFrame, Presenter
from bridge.protocol.messages import Error, Event, ExpressionChanged, StateChanged, Statistics
from bridge.relay import Relay
from bridge.speech import SpeechQueue
from bridge.vad import Vad
from engine.audio import MAX_RATE_HZ, MIN_RATE_HZ, StreamingResampler, checked_samples
from engine.errors import AudioFormatError, ConfigError
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState, VideoFrame

Float = npt.NDArray[np.float32]

LOOKAHEAD_MS = 82.5
"""Audio a frame needs after its own time: 80 ms and half a mel frame (`engine/README.md`)."""
FEED_TICK_S = 0.01
FEED_SAMPLES = 320
LEAST_FEED_SAMPLES = 80
"""5 ms. Time goes on while it feeds: sample by sample it would never be done."""
GAP_MS = 300
"""A pause of the client within an utterance counts as speech for so long, as silence after."""
GRACE_SAMPLES = int(GRACE_MS * SAMPLE_RATE_HZ / 1_000)
LIVE_LIMIT_MS = 250.0
"""Live audio beyond so much, and an utterance's first piece, is skipped."""

_log = logging.getLogger(__name__)


class Pipeline(Protocol):
    """What a session needs of `engine.pipeline.AvatarPipeline`.

    Attributes:
        watched: whether somebody takes the pictures; nothing is decoded for nobody.
    """

    watched: bool

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


@runtime_checkable
class ExpressivePipeline(Protocol):
    """A pipeline that can change its expression while it runs."""

    def set_expression(self, controls: Mapping[str, float]) -> None:
        """Sets controls by name, those not named to 0, from the next clip on."""


class AvatarSession:
    """An avatar that lives in real time.

    Attributes:
        avatar_id: the last part of its topics.
        name: the picture's name.
        provider: what the engine computes on.
        fps: frames per second.
        size_px: width and height of its frames.
        pixel_format: what ZeroMQ clients get; one of `PIXEL_FORMATS` of the protocol.
        alpha: "straight" or "premultiplied", likewise.
        lookahead_ms: audio the model needs beyond a frame's time.
        daemon_counts: tells the whole daemon's counts, which stand in the statistics.
        delays: by output, tells what it adds to the lead, milliseconds; likewise.
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
        pixel_format: str = "RGBA",
        alpha: str = "straight",
        lookahead_ms: float = LOOKAHEAD_MS,
        lead_ms: float = 200.0,
        queue_limit_s: float = 300.0,
        make_detector: Callable[[], Detector] = Vad,
    ) -> None:
        """Starts the avatar; it idles from the first frame on.

        Args:
            pipeline: the engine's pipeline; the session closes it.
            fps: of its frames.
            size_px: of its frames.
            avatar_id: see the attribute.
            name: see the attribute.
            provider: see the attribute.
            pixel_format: see the attribute.
            alpha: see the attribute.
            lookahead_ms: see the attribute.
            lead_ms: first value of the lead, see `bridge.lead`.
            queue_limit_s: most speech that may wait, seconds.
            make_detector: tells when the other party speaks.
        """
        self.avatar_id, self.name, self.provider = avatar_id, name, provider
        self.fps, self.size_px, self.lookahead_ms = fps, size_px, lookahead_ms
        self.pixel_format, self.alpha = pixel_format, alpha
        self.daemon_counts: Callable[[], dict[str, int]] = dict
        self.delays: dict[str, Callable[[], float]] = {}
        self._pipeline = pipeline
        self._presenter = Presenter(avatar_id, fps, lookahead_ms, lead_ms)
        self.frames: Relay[PresentedFrame] = self._presenter.frames
        self.audio: Relay[AudioChunk] = self._presenter.audio
        self.events: Relay[Event] = self._presenter.events
        # Guards the queue and the order of what the pipeline is given.
        self._feeding = threading.Lock()
        self._speech = SpeechQueue(StreamingResampler, queue_limit_s, LIVE_LIMIT_MS)
        self._other = OtherParty(SpeechQueue(StreamingResampler, queue_limit_s, LIVE_LIMIT_MS), make_detector)
        self._held_state: AvatarState | None = None
        # None: the engine finds speaking and idle from the audio.
        self._automatic: AvatarState | None = None
        self._automatic_next: AvatarState | None = None
        self._switch_samples = 0
        self._failure = ""
        self._closed = threading.Event()
        # Live audio does not wait for the feeder's next tick.
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"{avatar_id}-{name}", daemon=True)
            for name, target in (
                ("feeder", self._feed), ("collector", self._collect), ("presenter", self._presenter.run)
            )
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    @property
    def lead_ms(self) -> float:
        """Time from a sample's arrival to the frame that shows it, as it is now."""
        return self._presenter.lead_ms

    @property
    def state(self) -> StateChanged:
        """The state shown now."""
        return self._presenter.state

    @property
    def watched(self) -> bool:
        """Somebody takes its pictures."""
        return self.frames.subscribers > 0

    @property
    def can_set_expression(self) -> bool:
        """Whether `set_expression` is possible."""
        return isinstance(self._pipeline, ExpressivePipeline)

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
        mono = _checked_mono(samples, sample_rate_hz, utterance_id)
        with self._feeding:
            self._refuse_failed()
            self._speech.push(utterance_id, mono, sample_rate_hz, live)
        if live:
            self._wake.set()

    def end_utterance(self, utterance_id: str) -> None:
        """Marks the utterance complete; the avatar returns to idle after it. Unknown ids are passed over."""
        with self._feeding:
            self._speech.end(utterance_id)

    def push_other(self, samples: Float, sample_rate_hz: int, utterance_id: str, live: bool = False) -> None:
        """Queues what the other party says; the avatar hears it in real time while it does not speak itself.

        Arguments and errors as for `push_audio`; the ids are the other party's own.
        """
        mono = _checked_mono(samples, sample_rate_hz, utterance_id)
        with self._feeding:
            self._refuse_failed()
            self._other.queue.push(utterance_id, mono, sample_rate_hz, live)

    def end_other(self, utterance_id: str) -> None:
        """Marks the other party's utterance complete. Unknown ids are passed over."""
        with self._feeding:
            self._other.queue.end(utterance_id)

    def set_state(self, state: AvatarState | None) -> None:
        """Sets the state from the next short clip on.

        Args:
            state: None is automatic: speaking while there is speech, listening while the other party speaks.
        """
        self._refuse_failed()
        with self._feeding:
            self._held_state = state
            self._tell_state()

    def set_expression(self, controls: Mapping[str, float], preset: str = "") -> None:
        """Sets the expression until the next one.

        Args:
            controls: by name, see `engine.types.CONTROL_NAMES`; those not named are 0.
            preset: the preset's name, for the event.

        Raises:
            UnsupportedError: this engine has no expressions.
            ExpressionError: the engine knows no such control or value.
            AvatarFailedError: the engine has stopped.
        """
        self._refuse_failed()
        if not isinstance(self._pipeline, ExpressivePipeline):
            raise UnsupportedError(f"the engine of avatar {self.avatar_id!r} cannot change its expression")
        try:
            self._pipeline.set_expression(controls)
        except ConfigError as error:
            raise ExpressionError(str(error)) from None
        self.events.publish(
            ExpressionChanged(avatar_id=self.avatar_id, preset=preset, controls=dict(controls))
        )

    def set_waiting_limit(self, limit_s: float) -> None:
        """Sets how much speech may wait, seconds; what waits already stays."""
        with self._feeding:
            self._speech.set_limit(limit_s)
            self._other.queue.set_limit(limit_s)

    def cancel(self) -> None:
        """Barge-in: drops all speech at once. No frame or sound of the old epoch leaves after this returns.

        The picture rests until the first frame computed anew is due, at most 120 ms.
        """
        self._refuse_failed()
        with self._feeding:
            at_samples = self._presenter.cancel(self._speech.cancel())
            self._automatic = self._automatic_next = AvatarState.LISTENING if self._other.speaking else None
            self._tell_state()
            self._presenter.resume(self._pipeline.clear(at_samples))
            self._feed_to_lead()

    def drop_speech(self) -> None:
        """Tells listeners that what is spoken and waits is cancelled: the avatar ends, or its engine has."""
        with self._feeding:
            self._presenter.abandon(self._speech.cancel())

    def statistics(self) -> Statistics:
        """The figures of this moment; also published once a second."""
        with self._feeding:
            queues = {
                "speech_ms": self._speech.waiting_samples * 1_000.0 / SAMPLE_RATE_HZ,
                "utterances": float(self._speech.waiting_utterances),
                "other_ms": self._other.queue.waiting_samples * 1_000.0 / SAMPLE_RATE_HZ,
            }
            skipped = self._speech.skipped_samples + self._other.queue.skipped_samples
        skipped_ms = skipped * 1_000.0 / SAMPLE_RATE_HZ
        statistics = self._presenter.statistics(queues, skipped_ms, self.daemon_counts())
        delays_ms = {name: self.lead_ms + delay_ms() for name, delay_ms in self.delays.items()}
        return dataclasses.replace(statistics, delays_ms=delays_ms)

    def close(self) -> None:
        """Ends threads, pipeline and relays; calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._wake.set()
        self._presenter.close()
        self._pipeline.close()
        for thread in self._threads:
            thread.join(timeout=2.0)

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
        about = {"avatar_id": self.avatar_id}
        _log.error("the avatar has stopped: %s", self._failure, extra=about)
        _log.debug("where it stopped", exc_info=error, extra=about)
        self.drop_speech()
        self.events.publish(Error(code="avatar_failed", text=self._failure, avatar_id=self.avatar_id))

    def _feed(self) -> None:
        told_s = time.monotonic()
        try:
            while not self._closed.is_set() and not self._failure:
                self._pipeline.watched = self.watched
                with self._feeding:
                    self._feed_to_lead()
                if time.monotonic() - told_s >= 1.0:
                    told_s = time.monotonic()
                    self.events.publish(self.statistics())
                self._wake.wait(FEED_TICK_S)
                self._wake.clear()
        except Exception as error:  # the engine's, of any kind: the thread is its border
            self._fail(error)

    def _feed_to_lead(self) -> None:
        """Feeds speech, or silence where there is none, up to the lead. Holds `_feeding`."""
        while (missing := self._presenter.missing_samples()) >= LEAST_FEED_SAMPLES:
            count = min(missing, FEED_SAMPLES)
            taken = self._speech.take(count)
            if taken is None:
                if not self._listen(count, patient=missing < GRACE_SAMPLES):
                    break
                continue
            utterance, samples = taken
            if len(samples):
                if not utterance.started:
                    utterance.started = True
                    if self._automatic_next is AvatarState.LISTENING:
                        self._turn_to(AvatarState.SPEAKING)
                    self._presenter.utterance_started(utterance.utterance_id, utterance.turn_ns)
                arrived_ns = utterance.arrived_ns if utterance.live else time.monotonic_ns()
                self._push(samples, utterance.utterance_id, arrived_ns)
                self._other.take(len(samples))  # it talks over the other party, who is not heard meanwhile
            elif not utterance.ended:
                if missing < GRACE_SAMPLES:
                    break
                gap_ms = (time.monotonic_ns() - utterance.touched_ns) / 1e6
                in_speech = utterance.started and gap_ms < GAP_MS
                self._push(np.zeros(count, np.float32), utterance.utterance_id if in_speech else "")
            ended = self._speech.finished()
            if ended is not None:
                self._presenter.utterance_ended(ended.utterance_id)

    def _listen(self, count: int, patient: bool) -> bool:
        """Feeds what the other party says, or silence; False to wait for more of it. Holds `_feeding`."""
        heard, samples = self._other.take(count)
        self._turn_to(AvatarState.LISTENING if self._other.speaking else None)
        if heard is not None and len(samples):
            arrived_ns = heard.arrived_ns if heard.live else time.monotonic_ns()
            self._push(samples, "", arrived_ns, audible=False)
        elif heard is not None and not heard.ended and patient:
            return False
        else:
            self._push(np.zeros(count, np.float32), "")
        return True

    def _turn_to(self, state: AvatarState | None) -> None:
        """The automatic state from the audio on that is fed next."""
        if state != self._automatic_next:
            self._automatic_next = state
            # The engine plans a frame when its look-ahead is there: frames before this keep their state.
            lookahead_samples = int(self.lookahead_ms * SAMPLE_RATE_HZ / 1_000)
            self._switch_samples = self._presenter.fed_samples + lookahead_samples

    def _tell_state(self) -> None:
        self._pipeline.set_state(self._automatic if self._held_state is None else self._held_state)

    def _push(self, samples: Float, utterance_id: str, arrived_ns: int = 0, audible: bool = True) -> None:
        if (
            self._automatic != self._automatic_next
            and self._presenter.fed_samples + len(samples) >= self._switch_samples
        ):
            self._automatic = self._automatic_next
            self._tell_state()
        self._pipeline.push_audio(self._presenter.fed(samples, utterance_id, arrived_ns, audible))

    def _collect(self) -> None:
        try:
            for frame in self._pipeline.frames():
                self._presenter.ready(frame)
            raise RuntimeError("the engine gives no more frames")
        except Exception as error:  # the engine's, of any kind: the thread is its border
            self._fail(error)


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

"""One avatar: keeps the engine fed in real time; `bridge.presenter` publishes its frames at their time.

The only file that drives the engine. Three threads: the feeder gives the engine audio up to a small lead
ahead of the presented moment, the collector takes finished frames, the presenter publishes them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bridge.errors import AudioInputError, AvatarFailedError
from bridge.lead import GRACE_MS
from bridge.presenter import Presenter
from bridge.protocol.messages import Error, Event, Statistics
from bridge.relay import Relay
from bridge.speech import SpeechQueue
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
LIVE_LIMIT_MS = 250.0
"""Live audio beyond so much is skipped."""

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
        self._pipeline = pipeline
        self._presenter = Presenter(avatar_id, fps, lookahead_ms, lead_ms)
        self.frames: Relay[VideoFrame] = self._presenter.frames
        self.audio: Relay[AudioChunk] = self._presenter.audio
        self.events: Relay[Event] = self._presenter.events
        # Guards the queue and the order of what the pipeline is given.
        self._feeding = threading.Lock()
        self._speech = SpeechQueue(StreamingResampler, queue_limit_s, LIVE_LIMIT_MS)
        self._failure = ""
        self._closed = threading.Event()
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

        The picture rests until the first frame computed anew is due, at most 120 ms.
        """
        self._refuse_failed()
        with self._feeding:
            at_samples = self._presenter.cancel(self._speech.cancel())
            self._presenter.resume(self._pipeline.clear(at_samples))
            self._feed_to_lead()

    def statistics(self) -> Statistics:
        """The figures of this moment; also published once a second."""
        with self._feeding:
            waiting_ms = self._speech.waiting_samples * 1_000.0 / SAMPLE_RATE_HZ
            utterances = self._speech.waiting_utterances
            skipped_ms = self._speech.skipped_samples * 1_000.0 / SAMPLE_RATE_HZ
        return self._presenter.statistics(waiting_ms, utterances, skipped_ms)

    def close(self) -> None:
        """Ends threads, pipeline and relays; calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
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
        self.events.publish(Error(code="avatar_failed", text=self._failure, avatar_id=self.avatar_id))

    def _feed(self) -> None:
        told_s = time.monotonic()
        try:
            while not self._closed.is_set() and not self._failure:
                with self._feeding:
                    self._feed_to_lead()
                if time.monotonic() - told_s >= 1.0:
                    told_s = time.monotonic()
                    self.events.publish(self.statistics())
                self._closed.wait(FEED_TICK_S)
        except Exception as error:  # the engine's, of any kind: the thread is its border
            self._fail(error)

    def _feed_to_lead(self) -> None:
        """Feeds speech, or silence where there is none, up to the lead. Holds `_feeding`."""
        while (missing := self._presenter.missing_samples()) > 0:
            count = min(missing, FEED_SAMPLES)
            taken = self._speech.take(count)
            if taken is None:
                self._push(np.zeros(count, np.float32), "")
                continue
            utterance, samples = taken
            if len(samples):
                if not utterance.started:
                    utterance.started = True
                    self._presenter.utterance_started(utterance.utterance_id, utterance.turn_ns)
                self._push(samples, utterance.utterance_id)
            elif not utterance.ended:
                if missing < GRACE_MS * SAMPLE_RATE_HZ / 1_000:
                    break
                gap_ms = (time.monotonic_ns() - utterance.touched_ns) / 1e6
                in_speech = utterance.started and gap_ms < GAP_MS
                self._push(np.zeros(count, np.float32), utterance.utterance_id if in_speech else "")
            ended = self._speech.finished()
            if ended is not None:
                self._presenter.utterance_ended(ended.utterance_id)

    def _push(self, samples: Float, utterance_id: str) -> None:
        self._pipeline.push_audio(self._presenter.fed(samples, utterance_id))

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

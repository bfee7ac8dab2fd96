"""Speech that waits to be spoken: utterances in order, bounded, nothing lost silently."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bridge.catch_up import CatchUp
from bridge.errors import AudioInputError, QueueFullError, UtteranceCancelledError
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

STARVED_MS = 1_000
"""An utterance that gets no audio for so long, and no end either, is over: its client has vanished."""

MAX_HEAD_MS = 500
"""The first piece of a live utterance may hold so much from before the client knew that it begins."""

MAX_UTTERANCES = 256
"""Utterances that may wait at once."""

MAX_CANCELLED_IDS = 256
"""Cancelled ids that are remembered, so that a stream that is still on its way does not begin again."""


class Resampler(Protocol):
    """A streaming resampler from one rate to 16 kHz (`engine.audio`)."""

    def push(self, samples: Float) -> Float:
        """Takes float32 [T] mono at the source rate, returns what is ready at 16 kHz."""

    def flush(self) -> Float:
        """Returns the rest at the end of the stream."""


@dataclass
class Utterance:
    """One utterance on its way to the engine; its audio is resampled when its turn comes, bit by bit.

    Attributes:
        utterance_id: the client's name for it.
        sample_rate_hz: rate of what the client pushes.
        turn_ns: monotonic time of its first sample, or of its turn if it had to wait.
        touched_ns: monotonic time of its newest sample, or of the last moment it still had some.
        live: recorded now.
        ended: no more audio will come.
        head_samples: so much more of it may wait if it is live, 16 kHz samples: its first piece.
        started: its first sample has been taken.
        arrived_ns: monotonic time of the newest sample that was taken.
        catch_up: watches what waits of it if it is live.
    """

    utterance_id: str
    sample_rate_hz: int
    resampler: Resampler
    turn_ns: int
    touched_ns: int
    live: bool = False
    head_samples: int = 0
    ended: bool = False
    started: bool = False
    arrived_ns: int = 0
    catch_up: CatchUp = field(default_factory=CatchUp)
    _pushed: deque[tuple[Float, int]] = field(default_factory=deque)
    _pushed_samples: int = 0
    _resampled: Float = field(default_factory=lambda: np.zeros(0, np.float32))
    _flushed: bool = False

    @property
    def waiting_samples(self) -> int:
        """Audio that waits, in 16 kHz samples."""
        return len(self._resampled) + self._pushed_samples * SAMPLE_RATE_HZ // self.sample_rate_hz

    @property
    def drained(self) -> bool:
        """All that was pushed has been taken."""
        return not self._pushed and not len(self._resampled) and self._flushed == self.ended

    def push(self, samples: Float, now_ns: int) -> None:
        """Adds float32 [T] at its rate, arrived at this monotonic time."""
        self._pushed_samples += len(samples)
        # Joined up to 10 ms: a client that sends sample by sample costs no more than others.
        if self._pushed and len(self._pushed[-1][0]) + len(samples) <= self.sample_rate_hz // 100:
            samples = np.concatenate([self._pushed.pop()[0], samples])
        self._pushed.append((samples, now_ns))
        self.touched_ns = now_ns

    def skip_oldest(self, count: int) -> None:
        """Throws away what was pushed first, so much that it lasts `count` 16 kHz samples."""
        left = count * self.sample_rate_hz // SAMPLE_RATE_HZ
        while left > 0 and self._pushed:
            chunk, arrived_ns = self._pushed.popleft()
            if len(chunk) > left:
                self._pushed.appendleft((chunk[left:], arrived_ns))
            self._pushed_samples -= min(left, len(chunk))
            left -= len(chunk)

    def close(self) -> None:
        """Nothing more will come: the resampler's rest is ready to be taken."""
        self.ended = True
        while (more := self._resample_some()) is not None:
            self._resampled = np.concatenate([self._resampled, more])

    def take(self, count: int) -> Float:
        """Takes up to `count` 16 kHz samples."""
        while len(self._resampled) < count and (more := self._resample_some()) is not None:
            self._resampled = np.concatenate([self._resampled, more])
        taken, self._resampled = self._resampled[:count], self._resampled[count:]
        return taken

    def _resample_some(self) -> Float | None:
        """Resamples at most 50 ms, so that no chunk, however long, holds the feeder up."""
        if self._pushed:
            (chunk, self.arrived_ns), piece = self._pushed.popleft(), self.sample_rate_hz // 20
            if len(chunk) > piece:
                self._pushed.appendleft((chunk[piece:], self.arrived_ns))
            self._pushed_samples -= len(chunk[:piece])
            return self.resampler.push(chunk[:piece])
        if self.ended and not self._flushed:
            self._flushed = True
            return self.resampler.flush()
        return None


class SpeechQueue:
    """Utterances in the order of their first sample. Not thread-safe: its owner holds a lock.

    Attributes:
        skipped_samples: live audio skipped to keep the delay bounded, 16 kHz samples.
    """

    def __init__(
        self,
        resampler: Callable[[int], Resampler],
        limit_s: float,
        live_limit_ms: float,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Makes an empty queue.

        Args:
            resampler: makes a resampler from a rate in Hz.
            limit_s: most audio that may wait, seconds.
            live_limit_ms: most live audio that may wait besides an utterance's first piece, which may bring
                sound from before its speaker was found; the oldest beyond it is skipped.
            monotonic_ns: the wall clock.
        """
        self.skipped_samples = 0
        self._make_resampler = resampler
        self.set_limit(limit_s)
        self._live_limit_samples = int(live_limit_ms * SAMPLE_RATE_HZ / 1_000)
        self._monotonic_ns = monotonic_ns
        self._utterances: OrderedDict[str, Utterance] = OrderedDict()
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    def set_limit(self, limit_s: float) -> None:
        """Sets how much audio may wait, seconds; what waits already stays."""
        self._limit_samples = int(limit_s * SAMPLE_RATE_HZ)

    @property
    def waiting_samples(self) -> int:
        """Audio that waits, 16 kHz samples."""
        return sum(utterance.waiting_samples for utterance in self._utterances.values())

    @property
    def waiting_utterances(self) -> int:
        """Utterances that are being spoken or wait."""
        return len(self._utterances)

    def push(self, utterance_id: str, samples: Float, sample_rate_hz: int, live: bool = False) -> None:
        """Queues mono float32 [T] audio of any rate.

        Raises:
            QueueFullError: it does not fit; nothing of it was taken.
            UtteranceCancelledError: a barge-in has cancelled this utterance.
            AudioInputError: the rate differs from the utterance's earlier audio, or it has ended.
        """
        if utterance_id in self._cancelled:
            raise UtteranceCancelledError(
                f"utterance {utterance_id!r} was cancelled; send new speech under a new utterance_id"
            )
        room = self._limit_samples - self.waiting_samples
        if not live and len(samples) * SAMPLE_RATE_HZ > room * sample_rate_hz:
            raise QueueFullError(
                f"{self.waiting_samples / SAMPLE_RATE_HZ:.0f} s of speech wait and {len(samples)} samples of "
                f"utterance {utterance_id!r} exceed the limit of "
                f"{self._limit_samples / SAMPLE_RATE_HZ:.0f} s; "
                "send them again when some has been spoken"
            )
        utterance = self._utterances.get(utterance_id)
        if utterance is None:
            if len(self._utterances) >= MAX_UTTERANCES:
                raise QueueFullError(f"{MAX_UTTERANCES} utterances wait; send {utterance_id!r} again later")
            now_ns = self._monotonic_ns()
            resampler = self._make_resampler(sample_rate_hz)
            head_samples = min(len(samples) / sample_rate_hz, MAX_HEAD_MS / 1_000) * SAMPLE_RATE_HZ
            utterance = Utterance(
                utterance_id, sample_rate_hz, resampler, now_ns, now_ns, live, int(head_samples)
            )
            self._utterances[utterance_id] = utterance
        if utterance.ended:
            raise AudioInputError(
                f"utterance {utterance_id!r} has ended already; send more speech under a new utterance_id"
            )
        if sample_rate_hz != utterance.sample_rate_hz:
            raise AudioInputError(
                f"utterance {utterance_id!r} began with {utterance.sample_rate_hz} Hz and now claims "
                f"{sample_rate_hz} Hz; keep one rate per utterance"
            )
        utterance.push(samples, self._monotonic_ns())
        excess = utterance.waiting_samples - utterance.head_samples - self._live_limit_samples
        if utterance.live and excess > 0:
            utterance.skip_oldest(excess)
            self.skipped_samples += excess

    def end(self, utterance_id: str) -> None:
        """Marks the utterance complete; an unknown or cancelled one is passed over."""
        self._cancelled.pop(utterance_id, None)
        utterance = self._utterances.get(utterance_id)
        if utterance is not None:
            utterance.ended = True

    def cancel(self) -> list[str]:
        """Drops everything that waits; returns the ids of the utterances, in order."""
        dropped = list(self._utterances)
        for utterance_id, utterance in self._utterances.items():
            if not utterance.ended:
                self._cancelled[utterance_id] = None
        while len(self._cancelled) > MAX_CANCELLED_IDS:
            self._cancelled.popitem(last=False)
        self._utterances.clear()
        return dropped

    def take(self, count: int) -> tuple[Utterance, Float] | None:
        """Takes up to `count` samples of the utterance whose turn it is.

        Returns:
            The utterance and float32 [1..count] of it, or [0] while it waits for more audio from its
            client; None when there is no speech. Call `finished` after each call.
        """
        utterance = self._head()
        if utterance is None:
            return None
        samples = utterance.take(count)
        if utterance.live:
            samples = self._caught_up(utterance, samples, count)
        if len(samples):
            utterance.touched_ns = self._monotonic_ns()
        return utterance, samples

    def _caught_up(self, utterance: Utterance, samples: Float, count: int) -> Float:
        """Leaves out quiet pieces while more waits than has to; returns what is to be spoken next."""
        catch_up = utterance.catch_up
        while len(samples) and catch_up.quiet(samples) and len(samples) <= catch_up.excess_samples:
            self.skipped_samples += len(samples)
            catch_up.skipped(len(samples))
            samples = utterance.take(count)
        if len(samples):
            catch_up.observe(len(samples), utterance.waiting_samples - utterance.head_samples)
        return samples

    def finished(self) -> Utterance | None:
        """Removes and returns the utterance whose turn it is if all of it has been taken, else None."""
        utterance = self._head()
        if utterance is None or not utterance.drained:
            return None
        if not utterance.ended:
            if (self._monotonic_ns() - utterance.touched_ns) / 1e6 < STARVED_MS:
                return None
            utterance.close()
            if not utterance.drained:
                return None
        del self._utterances[utterance.utterance_id]
        following = self._head()
        if following is not None:
            following.turn_ns = self._monotonic_ns()
        return utterance

    def _head(self) -> Utterance | None:
        return next(iter(self._utterances.values()), None)

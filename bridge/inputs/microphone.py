"""Lets the avatar speak what a microphone hears, at the device's own rate; the device may go and return."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bridge.devices import close_stream, find_microphone, open_stream, renew_device_list, sound_library
from bridge.errors import AvatarFailedError, BridgeError, DeviceError, UtteranceCancelledError
from bridge.inputs.talk_gate import TalkGate
from engine.audio import MAX_RATE_HZ, MIN_RATE_HZ, StreamingResampler

Float = npt.NDArray[np.float32]

BLOCK_MS = 10
WAITING_BLOCKS = 100
RETRY_S = 1.0
SILENT_DEVICE_S = 5.0
"""A device that gives no audio for so long, not even silence, is gone without having said so."""
UTTERANCE_PREFIX = "microphone-"

_log = logging.getLogger(__name__)


def is_own(utterance_id: str) -> bool:
    """Whether an utterance came from a microphone of this daemon."""
    return utterance_id.startswith(UTTERANCE_PREFIX)


class Push(Protocol):
    """`AvatarSession.push_audio`."""

    def __call__(self, samples: Float, sample_rate_hz: int, utterance_id: str, live: bool = False) -> None:
        """Takes float32 [T, channels]."""


class End(Protocol):
    """`AvatarSession.end_utterance`."""

    def __call__(self, utterance_id: str) -> None:
        """Ends the utterance."""


class Microphone:
    """An open microphone.

    Attributes:
        name: the device's name.
        sample_rate_hz: its own rate, at which it is read.
        gate: its switches.
    """

    def __init__(
        self,
        device: str,
        push: Push,
        end: End,
        *,
        gate: TalkGate,
        pre_roll_ms: float = 200.0,
        forward: Callable[[Float, int], None] | None = None,
    ) -> None:
        """Opens the device and starts listening.

        Args:
            device: part of its name, "" for the system's default.
            push: takes what the user says.
            end: is told when an utterance is over.
            gate: tells when the user talks.
            pre_roll_ms: audio from before the gate opened that belongs to the utterance, in the mode "vad".
            forward: takes everything heard, float32 [T] and its rate in Hz, in silence while the gate lets
                nothing through; runs on the microphone's thread.

        Raises:
            DeviceError: there is no such microphone, or it cannot be opened.
        """
        self.gate = gate
        self._push, self._end, self._forward = push, end, forward
        self._pre_roll_ms = pre_roll_ms
        self._blocks: queue.Queue[Float | None] = queue.Queue(WAITING_BLOCKS)
        self._pre_roll: deque[Float] = deque(maxlen=max(1, round(pre_roll_ms / BLOCK_MS)))
        self._closed = threading.Event()
        self._numbers = itertools.count(1)
        self._utterance_id = ""
        self._told = ""
        self._losing = False
        self._open(device)
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)
        self._thread.start()

    @property
    def added_ms(self) -> float:
        """How much later than its sound an utterance reaches the avatar: the pre-roll waits before it."""
        return self._pre_roll_ms if self.gate.mode == "vad" else 0.0

    @property
    def speaks(self) -> bool:
        """An utterance is open."""
        return bool(self._utterance_id)

    def set_talking(self, talking: bool) -> None:
        """Presses or lets go of the button of push-to-talk; of no effect in the other modes."""
        self.gate.talking = talking

    def mute(self, muted: bool) -> None:
        """Hears nothing from now on, or hears again; ends what is being said."""
        self.gate.muted = muted

    def close(self) -> None:
        """Closes the device and ends its utterance; calling it again does nothing."""
        self._closed.set()
        self._offer(None)
        self._thread.join(timeout=2.0)
        close_stream(self._stream)

    def _open(self, device: str) -> None:
        """Raises: DeviceError."""
        sound = sound_library()
        found = find_microphone(device)
        if not MIN_RATE_HZ <= found.sample_rate_hz <= MAX_RATE_HZ:
            raise DeviceError(
                f"microphone {found.name!r} runs at {found.sample_rate_hz} Hz; {MIN_RATE_HZ} to "
                f"{MAX_RATE_HZ} Hz can be read; choose another rate in the system's sound settings"
            )
        try:
            self._stream = open_stream(
                "InputStream",
                device=found.index,
                samplerate=found.sample_rate_hz,
                channels=1,
                dtype="float32",
                blocksize=found.sample_rate_hz * BLOCK_MS // 1_000,
                latency="low",
                callback=self._heard,
                finished_callback=self._finished,
            )
        except sound.PortAudioError as error:
            raise DeviceError(f"microphone {found.name!r} cannot be opened: {error}") from None
        self.name, self.sample_rate_hz = found.name, found.sample_rate_hz
        self._resampler = StreamingResampler(found.sample_rate_hz)

    def _heard(self, block: Float, frames: int, time: Any, status: Any) -> None:
        """Runs on the sound system's thread, which must not wait: a full queue loses the block."""
        self._offer(block[:, 0].copy())

    def _finished(self) -> None:
        """The sound system ended the stream: by `close_stream`, or because the device is gone."""
        self._offer(None)

    def _offer(self, block: Float | None) -> None:
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            if not self._losing:
                _log.warning("the microphone's audio comes faster than it is taken; some of it is lost")
            self._losing = True
        else:
            self._losing = False

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    block = self._blocks.get(timeout=SILENT_DEVICE_S)
                except queue.Empty:
                    block = None
                if block is not None:
                    self._take(block)
                elif not self._closed.is_set():
                    self._recover()
        except AvatarFailedError as error:
            _log.error("microphone: %s", error)
        finally:
            self._end_utterance()

    def _recover(self) -> None:
        """The device is gone: tells so once and tries until it is back."""
        _log.warning("microphone %r is gone; waiting for it to return", self.name)
        self._end_utterance()
        close_stream(self._stream)
        while not self._closed.wait(RETRY_S):
            try:
                renew_device_list()
                while not self._blocks.empty():  # of the stream that ended
                    self._blocks.get_nowait()
                self._open(self.name)
            except DeviceError:
                continue
            self.gate.reset()
            self._pre_roll.clear()
            _log.warning("microphone %r is back", self.name)
            return

    def _take(self, block: Float) -> None:
        talks = self.gate.hear(self._resampler.push(block))
        lets_through = self.gate.lets_through
        if talks:
            self._speak(block)
        else:
            self._end_utterance()
        if self._forward is not None:  # after it was spoken: what waits before its end counts for its delay
            self._forward(block if lets_through else np.zeros_like(block), self.sample_rate_hz)
        if talks or not lets_through:
            self._pre_roll.clear()  # spoken already, or not to be spoken
        else:
            self._pre_roll.append(block)

    def _speak(self, block: Float) -> None:
        if not self._utterance_id:
            self._utterance_id = f"{UTTERANCE_PREFIX}{next(self._numbers)}"
            if self.gate.mode == "vad":
                block = np.concatenate([*self._pre_roll, block])
        try:
            self._push(block[:, None], self.sample_rate_hz, self._utterance_id, live=True)
        except UtteranceCancelledError:  # a barge-in; go on listening
            self._end_utterance()
        except AvatarFailedError:
            raise
        except BridgeError as error:
            if str(error) != self._told:
                self._told = str(error)
                _log.error("microphone: %s", error)
            self._end_utterance()

    def _end_utterance(self) -> None:
        if self._utterance_id:
            self._end(self._utterance_id)
            self._utterance_id = ""

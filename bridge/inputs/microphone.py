"""Lets the avatar speak what a microphone hears, at the device's own rate."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bridge.devices import find_microphone, sound_library
from bridge.errors import BridgeError, DeviceError, UtteranceCancelledError

Float = npt.NDArray[np.float32]

BLOCK_MS = 20
WAITING_BLOCKS = 50

_log = logging.getLogger(__name__)


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
    """

    def __init__(self, device: str, push: Push, end: End) -> None:
        """Opens the device and starts listening.

        Args:
            device: part of its name, "" for the system's default.
            push: takes the audio.
            end: is told when an utterance is over.

        Raises:
            DeviceError: there is no such microphone, or it cannot be opened.
        """
        sound = sound_library()
        found = find_microphone(device)
        self.name, self.sample_rate_hz = found.name, found.sample_rate_hz
        self._push, self._end = push, end
        self._blocks: queue.Queue[Float | None] = queue.Queue(WAITING_BLOCKS)
        self._closed = threading.Event()
        try:
            self._stream = sound.InputStream(
                device=found.index,
                samplerate=found.sample_rate_hz,
                channels=1,
                dtype="float32",
                blocksize=found.sample_rate_hz * BLOCK_MS // 1_000,
                callback=self._heard,
                finished_callback=self._finished,
            )
            self._stream.start()
        except sound.PortAudioError as error:
            raise DeviceError(f"microphone {self.name!r} cannot be opened: {error}") from None
        self._thread = threading.Thread(target=self._forward, name="microphone", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Closes the device and ends its utterance."""
        self._closed.set()
        self._stream.close()
        self._offer(None)
        self._thread.join(timeout=2.0)

    def _heard(self, block: Float, frames: int, time: Any, status: Any) -> None:
        """Runs on the sound system's thread, which must not wait: a full queue loses the block."""
        self._offer(block.copy())

    def _finished(self) -> None:
        """The sound system ended the stream: by `close`, or because the device is gone."""
        if not self._closed.is_set():
            _log.error("microphone %r is gone; plug it in and start again", self.name)
            self._offer(None)

    def _offer(self, block: Float | None) -> None:
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            _log.warning("the microphone's audio comes faster than it is taken; a block was lost")

    def _forward(self) -> None:
        numbers = itertools.count(1)
        utterance_id = f"microphone-{next(numbers)}"
        while not self._closed.is_set() and (block := self._blocks.get()) is not None:
            try:
                self._push(block, self.sample_rate_hz, utterance_id, live=True)
            except UtteranceCancelledError:  # a barge-in; go on listening
                self._end(utterance_id)
                utterance_id = f"microphone-{next(numbers)}"
            except BridgeError as error:
                _log.error("microphone: %s", error)
                break
        self._end(utterance_id)

"""Plays the avatar's sound in step with its pictures, for calls: a virtual cable carries it to the call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.devices import close_stream, find_output, open_stream, renew_device_list, sound_library
from bridge.errors import DeviceError
from bridge.outputs.delay_line import DelayLine
from bridge.relay import Subscription
from engine.types import AudioChunk

Float = npt.NDArray[np.float32]

BLOCK_MS = 20
RETRY_S = 1.0
IDLE_S = 1.5
"""Without input for so long the output is closed: it would only keep PortAudio from finding devices anew."""
TYPICAL_LATENCY_S = 0.05
"""Of a device that has not told its own yet."""
JITTER_S = 0.02
"""Blocks may come so late and are played nevertheless."""
ASKED_S = 0.1
"""How often the wanted delay is asked for; the mean of the last second counts."""

_log = logging.getLogger(__name__)


class DelayedAudio:
    """An output that plays what is pushed, a wanted time later; it may go and return.

    Attributes:
        name: the device's name.
    """

    def __init__(self, device: str, delay_ms: Callable[[], float]) -> None:
        """Opens the device.

        Args:
            device: part of its name, "" for the system's default.
            delay_ms: wanted time from the arrival of a piece's end to its being heard; asked ten times a
                second. What the device itself needs is taken off. A delay that is too short for the device
                and the length of the pieces becomes the shortest possible one.

        Raises:
            DeviceError: there is no such output, or it cannot be opened.
        """
        self._delay_ms = delay_ms
        self._lock = threading.Lock()
        self._line: DelayLine | None = None
        self._source_rate_hz = 0
        self._delay_s = -1.0
        self._piece_s = 0.0
        self._asked_s = self._pushed_s = -1e9
        self._stream: Any = None
        self._gone = threading.Event()
        self._wake = threading.Event()
        self._closed = False
        self._open(device)
        self._thread = threading.Thread(target=self._watch, name="delayed-audio", daemon=True)
        self._thread.start()

    @property
    def error_ms(self) -> float:
        """What the present delay lacks to the wanted one."""
        line = self._line
        return line.error_s * 1_000 if line is not None else 0.0

    def push(self, samples: Float, sample_rate_hz: int) -> None:
        """Takes what follows, float32 [T] mono at any rate, right after its recording; does not wait."""
        now_s = time.monotonic()
        if now_s - self._asked_s > ASKED_S:
            wanted_s = self._delay_ms() / 1_000
            known = self._delay_s >= 0 and now_s - self._asked_s < 1.0
            self._delay_s = self._delay_s + ASKED_S * (wanted_s - self._delay_s) if known else wanted_s
            self._asked_s = now_s
        with self._lock:
            if self._line is None or sample_rate_hz != self._source_rate_hz:
                self._line = DelayLine(sample_rate_hz, self._rate_hz)
                self._source_rate_hz = sample_rate_hz
            self._line.push(samples, now_s)
            self._piece_s = len(samples) / sample_rate_hz
            resumed = now_s - self._pushed_s > IDLE_S
            self._pushed_s = now_s
        if resumed:
            self._wake.set()

    def close(self) -> None:
        """Closes the device; calling it again does nothing."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=2.0)

    def _open(self, device: str) -> None:
        """Raises: DeviceError."""
        sound = sound_library()
        found = find_output(device)
        self.name, self._rate_hz = found.name, found.sample_rate_hz
        self._latency_s = TYPICAL_LATENCY_S
        self._gone.clear()
        with self._lock:
            self._line = None
        try:
            self._stream = open_stream(
                "OutputStream",
                device=found.index,
                samplerate=found.sample_rate_hz,
                channels=min(2, found.channels),
                dtype="float32",
                blocksize=found.sample_rate_hz * BLOCK_MS // 1_000,
                latency="low",
                callback=self._play,
                finished_callback=self._finished,
            )
        except sound.PortAudioError as error:
            raise DeviceError(f"sound output {found.name!r} cannot be opened: {error}") from None
        self._latency_s = float(self._stream.latency)

    def _play(self, block: Float, frames: int, times: Any, status: Any) -> None:
        """Runs on the sound system's thread."""
        ahead_s = times.outputBufferDacTime - times.currentTime
        if not 0.0 < ahead_s < 1.0:  # not every sound system tells
            ahead_s = self._latency_s
        with self._lock:
            if self._line is None:
                block.fill(0.0)
                return
            least_s = ahead_s + self._piece_s + frames / self._rate_hz + JITTER_S
            samples = self._line.pull(frames, time.monotonic() + ahead_s, max(self._delay_s, least_s))
        block[:] = samples[:, None]

    def _finished(self) -> None:
        """The sound system ended the stream: by `close_stream`, or because the device is gone."""
        self._gone.set()
        self._wake.set()

    def _watch(self) -> None:
        """Closes the output while nothing comes and opens it again; tries until a lost device is back."""
        told = False
        while not self._closed:
            self._wake.wait(RETRY_S)
            self._wake.clear()
            idle = time.monotonic() - self._pushed_s > IDLE_S
            if self._stream is not None and (idle or self._gone.is_set()) and not self._closed:
                if self._gone.is_set():
                    _log.warning("sound output %r is gone; waiting for it to return", self.name)
                    told = True
                close_stream(self._stream)
                self._stream = None
            elif self._stream is None and not idle and not self._closed:
                try:
                    renew_device_list()
                    self._open(self.name)
                except DeviceError:
                    continue
                if told:
                    _log.warning("sound output %r is back", self.name)
                told = False
        if self._stream is not None:
            close_stream(self._stream)


class EchoReader:
    """Hands the avatar's `audio` relay on, from a thread of its own."""

    def __init__(self, audio: Subscription[AudioChunk], take: Callable[[AudioChunk], None]) -> None:
        """Starts.

        Args:
            audio: a subscription; closed by `close`.
            take: is given each piece.
        """
        self._audio, self._take = audio, take
        self._thread = threading.Thread(target=self._run, name="echo-reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; calling it again does nothing."""
        self._audio.close()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while (chunk := self._audio.get(None)) is not None:
            self._take(chunk)

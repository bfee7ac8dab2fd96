"""Keeps the avatar from speaking its own voice that a loudspeaker plays and the microphone hears."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

GUARDS = ("off", "half_duplex", "echo")

RELEASE_MS = 500
"""The guard stays shut so long after its last reason: the sound's way out, through the room and back in."""
KNOWN_S = 30.0
"""A loudspeaker that was heard is taken to be there for so long: its sound needs no comparing."""
AUDIBLE_RMS = 0.003
"""-50 dBFS; below it nothing is compared."""
WINDOW_MS = 600
HISTORY_MS = 2_500
EVERY_MS = 100
LIKENESS = 0.42
"""Correlation from which on two sounds are the same. Measured: speech and other speech reach 0.36."""
_DECIMATION = 4
_BLOCK = 320


class EchoGuard:
    """Compares what is heard with what the avatar has just spoken. Safe from any thread."""

    def __init__(self, mode: str, is_own: Callable[[str], bool]) -> None:
        """Starts open.

        Args:
            mode: "off"; "half_duplex": the microphone is shut while the avatar speaks what does not come
                from it; "echo": it is shut while it hears what the avatar has just spoken, and for some time
                after as with "half_duplex".
            is_own: whether an utterance id is the microphone's.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in GUARDS:
            raise ValueError(f"mode is {mode!r}; there are {', '.join(GUARDS)}")
        self.mode = mode
        self._is_own = is_own
        self._lock = threading.Lock()
        self._played = np.zeros(HISTORY_MS * SAMPLE_RATE_HZ // 1_000, np.float32)
        self._heard = np.zeros(WINDOW_MS * SAMPLE_RATE_HZ // 1_000, np.float32)
        # What was heard is the clock: on a busy machine blocks come late, and many at once.
        self._heard_ms = self._compared_ms = 0.0
        self._shut_until_ms = self._known_until_ms = -1.0

    def play(self, samples: Float, utterance_id: str) -> None:
        """The avatar speaks float32 [T] at 16 kHz, as its `audio` relay tells."""
        if self.mode == "echo":
            with self._lock:
                self._played = np.concatenate([self._played, samples])[-len(self._played) :]
        known = self._heard_ms < self._known_until_ms
        others = bool(utterance_id) and not self._is_own(utterance_id)
        if others and (self.mode == "half_duplex" or known) and _rms(samples) > AUDIBLE_RMS:
            self._shut()

    def hear(self, samples: Float) -> bool:
        """The microphone heard float32 [T] at 16 kHz; returns whether the guard is shut."""
        self._heard_ms += len(samples) * 1_000 / SAMPLE_RATE_HZ
        if self.mode == "echo":
            self._heard = np.concatenate([self._heard, samples])[-len(self._heard) :]
            if self._heard_ms - self._compared_ms >= EVERY_MS:
                return self.compare()
        return self._heard_ms < self._shut_until_ms

    def compare(self) -> bool:
        """Compares at once, which `hear` does every 100 ms; returns whether the guard is shut."""
        if self.mode == "echo":
            self._compared_ms = self._heard_ms
            with self._lock:
                played = self._played
            if likeness(self._heard, played) >= LIKENESS:
                self._shut()
                self._known_until_ms = self._heard_ms + 1_000 * KNOWN_S
        return self._heard_ms < self._shut_until_ms

    def _shut(self) -> None:
        self._shut_until_ms = self._heard_ms + RELEASE_MS


def likeness(heard: Float, played: Float) -> float:
    """Greatest normalised correlation of `heard` [T] with any part of `played` [S], S > T; 0..1.

    Both are narrowed to 0.1-2 kHz with the lows weakened: there speech is strong and vowels differ. 0 where
    either is too quiet to tell.
    """
    if min(_loudest(heard), _loudest(played)) < AUDIBLE_RMS:
        return 0.0
    piece, history = _narrowed(heard), _narrowed(played)
    size = 1 << (len(history) + len(piece) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(history, size) * np.conj(np.fft.rfft(piece, size)), size)
    places = len(history) - len(piece) + 1
    sums = np.concatenate([[0.0], np.cumsum(history**2)])
    energies = sums[len(piece) :] - sums[: -len(piece)]
    # Parts of the history with next to no sound would resemble anything.
    energies = np.maximum(energies, 0.01 * energies.max())
    return float(np.max(np.abs(product[:places]) / np.sqrt(energies * (piece @ piece) + 1e-12)))


def _narrowed(samples: Float) -> npt.NDArray[np.float64]:
    """[T] at 16 kHz, T a multiple of 4, to [T/4] at 4 kHz, weighted with the frequency."""
    spectrum = np.fft.rfft(samples)[: len(samples) // (2 * _DECIMATION) + 1]
    frequency_hz = np.arange(len(spectrum)) * SAMPLE_RATE_HZ / len(samples)
    spectrum *= np.where(frequency_hz > 100.0, frequency_hz / 1_000.0, 0.0)
    return np.asarray(np.fft.irfft(spectrum, len(samples) // _DECIMATION))


def _loudest(samples: Float) -> float:
    """RMS of the loudest 20 ms: a voice that just begins counts, too."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return float(np.sqrt(np.max(np.mean(np.square(blocks), axis=1))))


def _rms(samples: Float) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0

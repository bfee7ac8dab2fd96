"""Keeps the avatar from speaking its own voice that a loudspeaker plays and the microphone hears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

GUARDS = ("off", "half_duplex", "echo")

RELEASE_MS = 500
"""The guard stays shut so long after its last reason: the sound's way out, through the room and back in."""
AUDIBLE_RMS = 0.003
"""-50 dBFS; below it nothing is compared."""
WINDOW_MS = 600
HISTORY_MS = 2_500
EVERY_MS = 100
LIKENESS = 0.42
"""Correlation from which on two sounds are the same. Measured: speech and other speech reach 0.36."""
_DECIMATION = 4


class EchoGuard:
    """Compares what is heard with what the avatar has just spoken. Safe from any thread."""

    def __init__(
        self, mode: str, is_own: Callable[[str], bool], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts open.

        Args:
            mode: "off"; "half_duplex": the microphone is shut while the avatar speaks what does not come
                from it; "echo": it is shut while it hears what the avatar has just spoken.
            is_own: whether an utterance id is the microphone's.
            monotonic_s: the wall clock.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in GUARDS:
            raise ValueError(f"mode is {mode!r}; there are {', '.join(GUARDS)}")
        self.mode = mode
        self._is_own = is_own
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._played = np.zeros(HISTORY_MS * SAMPLE_RATE_HZ // 1_000, np.float32)
        self._heard = np.zeros(WINDOW_MS * SAMPLE_RATE_HZ // 1_000, np.float32)
        self._since_compared = 0
        self._shut_until_s = -1.0

    def play(self, samples: Float, utterance_id: str) -> None:
        """The avatar speaks float32 [T] at 16 kHz, as its `audio` relay tells."""
        if self.mode == "half_duplex":
            if utterance_id and not self._is_own(utterance_id) and _rms(samples) > AUDIBLE_RMS:
                self._shut()
        elif self.mode == "echo":
            with self._lock:
                self._played = np.concatenate([self._played, samples])[-len(self._played) :]

    def hear(self, samples: Float) -> bool:
        """The microphone heard float32 [T] at 16 kHz; returns whether the guard is shut."""
        if self.mode == "echo":
            self._heard = np.concatenate([self._heard, samples])[-len(self._heard) :]
            self._since_compared += len(samples)
            if self._since_compared >= EVERY_MS * SAMPLE_RATE_HZ // 1_000:
                self._since_compared = 0
                with self._lock:
                    played = self._played
                if likeness(self._heard, played) >= LIKENESS:
                    self._shut()
        return self._monotonic_s() < self._shut_until_s

    def _shut(self) -> None:
        self._shut_until_s = self._monotonic_s() + RELEASE_MS / 1_000


def likeness(heard: Float, played: Float) -> float:
    """Greatest normalised correlation of `heard` [T] with any part of `played` [S], S > T; 0..1.

    Both are narrowed to 0.1-2 kHz with the lows weakened: there speech is strong and vowels differ. 0 where
    either is too quiet to tell.
    """
    if _rms(heard) < AUDIBLE_RMS or _rms(played) < 0.1 * AUDIBLE_RMS:
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


def _rms(samples: Float) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0

"""A delay between two sound devices of different clocks and rates; follows a wanted delay without clicks."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

HELD_S = 3.0
"""Audio that is kept, hence the longest delay."""
SMOOTHING_S = 1.0
"""Blocks come and go in bursts: a device's clock is the mean of so much."""
BREAK_S = 0.25
"""A block so far from its place means that the device paused: its clock is set anew."""
MAX_BEND = 0.01
"""A small error of the delay is corrected by playing faster or slower by at most so much (17 cents)."""
JUMP_S = 0.04
"""A greater error is corrected at once, with a crossfade."""
CROSSFADE_S = 0.02

_LOBES = 12
_PHASES = 1_024
_KAISER_BETA = 7.0


class _Clock:
    """When sample n of a stream happens, from the jittering times of its blocks."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._blocks = 0
        self.origin_s = 0.0

    def observe(self, sample: int, at_s: float, block_samples: int) -> None:
        origin_s = at_s - sample / self._rate_hz
        if self._blocks == 0 or abs(origin_s - self.origin_s) > BREAK_S:
            self.origin_s, self._blocks = origin_s, 0
        self._blocks += 1
        weight = max(1.0 / self._blocks, block_samples / (self._rate_hz * SMOOTHING_S))
        self.origin_s += (origin_s - self.origin_s) * min(1.0, weight)


class DelayLine:
    """Audio in by one clock, out by another, a wanted time apart. Pure; not thread-safe.

    Attributes:
        error_s: what the present delay lacks to the wanted one, seconds.
        missing_samples: output that was wanted before its input had come; it was silent.
    """

    def __init__(self, rate_in_hz: int, rate_out_hz: int) -> None:
        """Starts empty.

        Args:
            rate_in_hz: rate of what is pushed.
            rate_out_hz: rate of what is pulled.
        """
        self.error_s = 0.0
        self.missing_samples = 0
        self._rate_in_hz, self._rate_out_hz = rate_in_hz, rate_out_hz
        self._in_clock, self._out_clock = _Clock(rate_in_hz), _Clock(rate_out_hz)
        self._held = np.zeros(0, np.float32)
        self._start = 0
        self._pulled = 0
        self._place: float | None = None
        cutoff = 0.94 * min(1.0, rate_out_hz / rate_in_hz)
        self._half = ceil(_LOBES / cutoff)
        offsets = np.arange(1 - self._half, self._half + 1)
        distance = offsets[None, :] - np.arange(_PHASES + 1)[:, None] / _PHASES
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (distance / self._half) ** 2)))
        taps = np.sinc(distance * cutoff) * window
        self._taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)

    @property
    def _end(self) -> int:
        return self._start + len(self._held)

    def push(self, samples: Float, at_s: float) -> None:
        """Takes float32 [T] mono.

        Args:
            samples: what follows the last ones.
            at_s: when its end arrived, seconds of any clock that runs on.
        """
        self._held = np.concatenate([self._held, samples])
        self._in_clock.observe(self._end, at_s, len(samples))
        excess = len(self._held) - int(HELD_S * self._rate_in_hz)
        if excess > 0:
            self._held, self._start = self._held[excess:], self._start + excess

    def pull(self, count: int, at_s: float, delay_s: float) -> Float:
        """Gives what is to be heard next.

        Args:
            count: samples wanted.
            at_s: when the first of them will be heard, by the clock of `push`.
            delay_s: wanted time from a sample's arrival to its being heard.

        Returns:
            float32 [count], silence where there is nothing yet.
        """
        self._out_clock.observe(self._pulled, at_s, count)
        heard_s = self._out_clock.origin_s + self._pulled / self._rate_out_hz
        self._pulled += count
        if not len(self._held):
            return np.zeros(count, np.float32)
        wanted = (heard_s - delay_s - self._in_clock.origin_s) * self._rate_in_hz
        step = self._rate_in_hz / self._rate_out_hz
        if self._place is None:
            self._place = wanted
        error = wanted - self._place
        self.error_s = error / self._rate_in_hz
        if abs(self.error_s) > JUMP_S:
            old = self._read(self._place, step, count)
            self._place, self.error_s = wanted, 0.0
            faded = min(count, int(CROSSFADE_S * self._rate_out_hz))
            fade = np.minimum(1.0, np.arange(1, count + 1, dtype=np.float32) / faded)
            samples = old + (self._read(wanted, step, count) - old) * fade
        else:
            # Half of the error within a second; steps of this size per block are not heard.
            bend = max(-MAX_BEND, min(MAX_BEND, 0.7 * self.error_s))
            step *= 1.0 + bend
            samples = self._read(self._place, step, count)
        self._place += step * count
        return samples

    def _read(self, place: float, step: float, count: int) -> Float:
        """Samples at fractional places of the input."""
        places = place - self._start + step * np.arange(count)
        whole = np.floor(places).astype(np.int64)
        phase = np.rint((places - whole) * _PHASES).astype(np.int64)
        index = whole[:, None] + np.arange(1 - self._half, self._half + 1)
        inside = (index >= 0) & (index < len(self._held))
        self.missing_samples += int(np.count_nonzero(whole + self._half >= len(self._held)))
        taken = np.where(inside, self._held[np.clip(index, 0, len(self._held) - 1)], 0.0)
        samples: Float = np.einsum("nt,nt->n", taken, self._taps[phase]).astype(np.float32)
        return samples

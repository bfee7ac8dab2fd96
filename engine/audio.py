"""Audio of any rate to the engine's clock: checked, 16 kHz mono, addressed by absolute sample index."""

from __future__ import annotations

from math import ceil, gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import AudioFormatError
from engine.features import HOP_SAMPLES, LOOKAHEAD_FRAMES, WIN_SAMPLES, WINDOW_FRAMES, log_mel
from engine.types import SAMPLE_RATE_HZ, AudioChunk

Float = npt.NDArray[np.float32]

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000

_LOBES = 24
"""Zero crossings of the sinc on either side: 1.5 ms of delay, stop band below -80 dB (our choice)."""
_ROLL_OFF = 0.94
_KAISER_BETA = 8.6
_BLOCK = 4096
_LOOKAHEAD_SAMPLES = (LOOKAHEAD_FRAMES - 1) * HOP_SAMPLES + WIN_SAMPLES // 2
"""Audio that a video frame needs after its own time: 1320 samples, to the end of its last mel frame."""


def checked_samples(samples: npt.ArrayLike, *, origin: str = "audio") -> Float:
    """Mono float32 samples out of what a file, device or client gave.

    Args:
        samples: [T] or [T, channels]; float, int16 or int32. Channels are averaged.
        origin: what the audio came from, for the error's line.

    Returns:
        float32 [T], clipped to -1..1.

    Raises:
        AudioFormatError: empty, not finite, or of another type or shape.
    """
    array: npt.NDArray[Any] = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.name not in ("float32", "float64", "int16", "int32"):
        raise AudioFormatError(
            f"{origin}: {array.dtype} of shape {array.shape}, expected float32 or int16 [samples] "
            "or [samples, channels]"
        )
    if array.size == 0:
        raise AudioFormatError(f"{origin}: holds no samples")
    scale = 1.0 / (np.iinfo(array.dtype).max + 1) if array.dtype.kind == "i" else 1.0
    mono = np.asarray(array * scale if array.dtype.kind == "i" else array, np.float32)
    if mono.ndim == 2:
        mono = mono.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        first = int(np.argmin(np.isfinite(mono)))
        raise AudioFormatError(f"{origin}: sample {first} is not a finite number; send -1..1")
    return np.clip(mono, -1.0, 1.0)


class StreamingResampler:
    """Any rate to 16 kHz in chunks of any size; the result does not depend on how it was cut.

    Windowed-sinc interpolation (Smith, "Digital Audio Resampling Home Page"), each output sample at
    its exact rational place, so that nothing creeps over hours. Output sample n is ready as soon as
    the input reaches 1.5 ms beyond it; block resamplers hold back tens of milliseconds.
    """

    def __init__(self, rate_hz: int) -> None:
        """Prepares the filters.

        Args:
            rate_hz: rate of the input, 8000..192000.

        Raises:
            AudioFormatError: the rate is outside.
        """
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioFormatError(f"rate {rate_hz} Hz is outside {MIN_RATE_HZ}..{MAX_RATE_HZ} Hz")
        self.rate_hz = int(rate_hz)
        shared = gcd(self.rate_hz, SAMPLE_RATE_HZ)
        self._up, self._down = SAMPLE_RATE_HZ // shared, self.rate_hz // shared
        cutoff = min(1.0, SAMPLE_RATE_HZ / self.rate_hz) * _ROLL_OFF
        self._half = ceil(_LOBES / cutoff)
        # Row p: the taps for an output that lies p / up of an input sample after one.
        offsets = np.arange(1 - self._half, self._half + 1)
        distance = offsets[None, :] - np.arange(self._up)[:, None] / self._up
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (distance / self._half) ** 2)))
        taps = np.sinc(distance * cutoff) * window
        self._taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
        self._pending = np.zeros(self._half - 1, np.float32)
        self._pending_start = 1 - self._half
        self._in_samples = self._out_samples = 0

    def push(self, samples: Float) -> Float:
        """Takes float32 [T] at `rate_hz`; returns the float32 samples at 16 kHz that are ready now."""
        self._in_samples += len(samples)
        if self._up == self._down:
            self._out_samples += len(samples)
            return samples
        return self._produce(samples, None)

    def flush(self) -> Float:
        """Returns what is left, silence taken for what follows; ceil(T * 16000 / rate) samples in all."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        tail = np.zeros(self._half + 1, np.float32)
        return self._produce(tail, -(-self._in_samples * self._up // self._down))

    def _produce(self, samples: Float, limit: int | None) -> Float:
        self._pending = np.concatenate([self._pending, samples])
        # The newest tap lies `half` after the place: stop where the input does not reach it yet.
        last = self._pending_start + len(self._pending) - 1 - self._half
        ready = (last * self._up + self._up - 1) // self._down + 1
        stop = ready if limit is None else min(limit, ready)
        blocks = []
        while self._out_samples < stop:
            n = np.arange(self._out_samples, min(stop, self._out_samples + _BLOCK), dtype=np.int64)
            place, phase = np.divmod(n * self._down, self._up)
            index = (place - self._pending_start + 1 - self._half)[:, None] + np.arange(2 * self._half)
            blocks.append(np.einsum("nt,nt->n", self._pending[index], self._taps[phase]))
            self._out_samples = int(n[-1]) + 1
        drop = self._out_samples * self._down // self._up + 1 - self._half - self._pending_start
        if drop > 0:
            self._pending, self._pending_start = self._pending[drop:], self._pending_start + drop
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def resample(samples: Float, rate_hz: int) -> Float:
    """A whole recording, float32 [T] at `rate_hz`, to float32 [ceil(T * 16000 / rate_hz)] at 16 kHz."""
    resampler = StreamingResampler(rate_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


class AudioRing:
    """What was heard, by absolute 16 kHz sample index; the past is dropped when told so.

    Holds the utterance of every sample too, longer than the samples: frames ask for it when they leave.
    """

    def __init__(self) -> None:
        self._buffer = np.zeros(SAMPLE_RATE_HZ, np.float32)
        self.start_samples = 0
        """First sample still held."""
        self.end_samples = 0
        """One after the last sample pushed: where the next chunk has to start."""
        self.finished = False
        """Nothing follows: what the look-ahead lacks counts as silence."""
        self._utterances: list[tuple[int, str]] = [(0, "")]

    def append(self, chunk: AudioChunk) -> None:
        """Adds the next chunk.

        Raises:
            AudioFormatError: empty, not finite, not float32 [T], or not at `end_samples`.
        """
        if chunk.start_samples != self.end_samples:
            raise AudioFormatError(
                f"audio chunk starts at sample {chunk.start_samples}, expected {self.end_samples}: "
                "push every sample once and in order, silence too"
            )
        samples = checked_samples(chunk.samples, origin=f"audio chunk at sample {chunk.start_samples}")
        held = self.end_samples - self.start_samples
        if held + len(samples) > len(self._buffer):
            grown = np.zeros(2 * (held + len(samples)), np.float32)
            grown[:held] = self._buffer[:held]
            self._buffer = grown
        self._buffer[held : held + len(samples)] = samples
        self._note(chunk.utterance_id)
        self.end_samples += len(samples)

    def _note(self, utterance_id: str) -> None:
        if self._utterances[-1][1] != utterance_id:
            self._utterances.append((self.end_samples, utterance_id))

    def cut(self, at_samples: int) -> None:
        """Forgets what lies at or after a sample; where less was pushed, silence fills up to it.

        Raises:
            AudioFormatError: the sample is older than what is held.
        """
        if at_samples < self.start_samples:
            raise AudioFormatError(
                f"cannot clear from sample {at_samples}: audio before {self.start_samples} is gone"
            )
        if at_samples > self.end_samples:
            silence = np.zeros(at_samples - self.end_samples, np.float32)
            self.append(AudioChunk(silence, self.end_samples))
        self.end_samples = at_samples
        kept = [entry for entry in self._utterances if entry[0] < at_samples]
        self._utterances = kept or [(at_samples, "")]

    def hush(self) -> None:
        """Makes silence of all that is held; utterances keep their places."""
        self._buffer[:] = 0

    def discard_before(self, sample: int) -> None:
        """Lets go of samples that nobody will read again."""
        drop = min(sample, self.end_samples) - self.start_samples
        # Moving memory is worth while only once half of it is old.
        if drop > 0 and drop > len(self._buffer) // 2:
            held = self.end_samples - self.start_samples
            self._buffer[: held - drop] = self._buffer[drop:held].copy()
            self.start_samples += drop
            while len(self._utterances) > 1 and self._utterances[1][0] <= self.start_samples:
                self._utterances.pop(0)

    def utterance_at(self, sample: int) -> str:
        """The utterance heard at a sample, "" if none."""
        return next((name for start, name in reversed(self._utterances) if start <= sample), "")

    def read(self, start: int, stop: int) -> Float:
        """Samples [start, stop), zeros where none are."""
        block = np.zeros(stop - start, np.float32)
        low, high = max(start, self.start_samples), min(stop, self.end_samples)
        if low < high:
            held = self._buffer[low - self.start_samples : high - self.start_samples]
            block[low - start : high - start] = held
        return block

    def frames_ready(self, frame_samples: int) -> int:
        """Number of video frames, from the clock's zero, whose audio is all here."""
        if self.finished:
            return -(-self.end_samples // frame_samples)
        return max(0, (self.end_samples - _LOOKAHEAD_SAMPLES) // frame_samples + 1)

    def mel_windows(self, first_frame: int, frame_count: int, frame_samples: int = 640) -> Float:
        """The windows of some video frames, the same as `features.mel_windows` cuts out of the whole.

        Returns:
            float32 [frame_count, 40, 40].
        """
        per_frame = frame_samples // HOP_SAMPLES
        first_mel = first_frame * per_frame - (WINDOW_FRAMES - LOOKAHEAD_FRAMES)
        count = WINDOW_FRAMES + (frame_count - 1) * per_frame
        start = first_mel * HOP_SAMPLES - WIN_SAMPLES // 2
        mel = log_mel(self.read(start, start + (count - 1) * HOP_SAMPLES + WIN_SAMPLES))
        # Outside the recording the whole-file timeline holds pure silence, not the recording's edge.
        index = np.arange(first_mel, first_mel + count)
        outside = index < 0
        if self.finished:
            outside |= index >= -(-self.end_samples // HOP_SAMPLES)
        mel[outside] = np.float32(np.log(1e-4) / 4.0)
        starts = np.arange(frame_count) * per_frame
        windows: Float = mel[starts[:, None] + np.arange(WINDOW_FRAMES)]
        return windows

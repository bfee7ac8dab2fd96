"""The payload of `audio` messages to float32 samples; gaps and repetitions are mended by sample index."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from bridge.errors import AudioInputError
from bridge.protocol.messages import Audio

Float = npt.NDArray[np.float32]

MAX_GAP_S = 10
MAX_FOLLOWED = 256
"""Utterances whose next index is remembered."""

BYTES_PER_SAMPLE = {"s16": 2, "f32": 4}


class AudioReader:
    """Reads payloads and follows each utterance's sample index. Not thread-safe."""

    def __init__(self) -> None:
        self._next_index: OrderedDict[str, int] = OrderedDict()

    def read(self, message: Audio, payload: bytes | memoryview) -> Float:
        """Decodes a payload and places it behind the utterance's earlier audio.

        Args:
            message: the header; its `sample_index` -1 means "follows the last one".
            payload: little-endian s16 or f32, channels interleaved.

        Returns:
            float32 [T, channels]: silence for what is missing before, then what is new of the payload.

        Raises:
            AudioInputError: the length is no whole number of samples, or the gap is too long.
        """
        width = message.channels * BYTES_PER_SAMPLE[message.format]
        if len(payload) % width or (not len(payload) and not message.final):
            raise AudioInputError(
                f"utterance {message.utterance_id!r}: {len(payload)} bytes of audio; "
                f"{message.channels} channel(s) of {message.format} take a multiple of {width}, and not none"
            )
        if message.format == "s16":
            samples = np.frombuffer(payload, "<i2").astype(np.float32) / 32_768.0
        else:
            samples = np.frombuffer(payload, "<f4").astype(np.float32)
        samples = samples.reshape(-1, message.channels)
        return self._placed(message, samples) if message.sample_index >= 0 else samples

    def taken(self, message: Audio, payload_bytes: int) -> None:
        """The audio was accepted: the next piece is expected behind it."""
        width = message.channels * BYTES_PER_SAMPLE[message.format]
        start = message.sample_index if message.sample_index >= 0 else self._expected(message.utterance_id)
        reached = max(start + payload_bytes // width, self._expected(message.utterance_id))
        self._next_index[message.utterance_id] = reached
        self._next_index.move_to_end(message.utterance_id)
        while len(self._next_index) > MAX_FOLLOWED:
            self._next_index.popitem(last=False)

    def ended(self, utterance_id: str) -> None:
        """The utterance is complete; its id may be used anew."""
        self._next_index.pop(utterance_id, None)

    def forget(self) -> None:
        """Everything was cancelled."""
        self._next_index.clear()

    def _expected(self, utterance_id: str) -> int:
        return self._next_index.get(utterance_id, 0)

    def _placed(self, message: Audio, samples: Float) -> Float:
        gap = message.sample_index - self._expected(message.utterance_id)
        if gap > MAX_GAP_S * message.sample_rate_hz:
            raise AudioInputError(
                f"utterance {message.utterance_id!r}: sample_index {message.sample_index} leaves a gap of "
                f"{gap} samples; {MAX_GAP_S} s at most are filled with silence"
            )
        if gap > 0:
            return np.concatenate([np.zeros((gap, message.channels), np.float32), samples])
        return samples[-gap:]

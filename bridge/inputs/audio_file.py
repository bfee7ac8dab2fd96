"""Speaks an audio file of any format, as fast as the avatar's queue takes it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bridge.audio_file import decode_audio
from bridge.errors import BridgeError, QueueFullError, UtteranceCancelledError
from engine.types import SAMPLE_RATE_HZ

RETRY_S = 0.5

_log = logging.getLogger(__name__)


class FileSpeaker:
    """Reads a file on a thread of its own and pushes it under one utterance id."""

    def __init__(
        self,
        path: Path,
        utterance_id: str,
        push: Callable[[npt.NDArray[np.float32], int, str], None],
        end: Callable[[str], None],
    ) -> None:
        """Starts speaking.

        Args:
            path: any file that PyAV reads.
            utterance_id: its utterance.
            push: takes float32 [T], a rate in Hz and the id (`AvatarSession.push_audio`).
            end: takes the id (`AvatarSession.end_utterance`).

        Raises:
            AudioInputError: the file cannot be read; told before anything is spoken.
        """
        self._path, self._utterance_id, self._push, self._end = path, utterance_id, push, end
        self._blocks = decode_audio(path, rate_hz=SAMPLE_RATE_HZ)
        self._closed = threading.Event()
        # The first block here and not on the thread: files that are started in order are spoken in order.
        self._push_block(next(self._blocks)[0])
        self._thread = threading.Thread(target=self._speak, name=f"speak-{utterance_id}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops reading; what was pushed already is still spoken."""
        self._closed.set()
        self._thread.join(timeout=2.0)

    def _speak(self) -> None:
        try:
            for block in self._blocks:
                if self._closed.is_set():
                    break
                self._push_block(block[0])
        except UtteranceCancelledError:  # a barge-in: the rest is not wanted
            pass
        except BridgeError as error:
            _log.error("%s", error)
        self._end(self._utterance_id)

    def _push_block(self, samples: npt.NDArray[np.float32]) -> None:
        while not self._closed.is_set():
            try:
                self._push(samples, SAMPLE_RATE_HZ, self._utterance_id)
                return
            except QueueFullError:  # a long file: wait until some of it has been spoken
                self._closed.wait(RETRY_S)

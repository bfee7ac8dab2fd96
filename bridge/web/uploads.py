"""Audio files that a page sends: decoded and queued as speech, one thread each."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING

from bridge.audio_file import decode_audio
from bridge.errors import BridgeError, QueueFullError, UtteranceCancelledError
from engine.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

MAX_UPLOAD_BYTES = 64 * 1024 * 1024
MAX_AT_ONCE = 4
RETRY_S = 0.2


class Upload(threading.Thread):
    """One file on its way to the avatar; waits where more speech is queued than the session's limit."""

    def __init__(self, session: AvatarSession, data: bytes, name: str, utterance_id: str) -> None:
        """Prepares the thread.

        Args:
            session: who speaks.
            data: the file.
            name: the file's name, for messages.
            utterance_id: of its speech.
        """
        super().__init__(name=f"upload-{utterance_id}", daemon=True)
        self._session = session
        self._data = data
        self._file_name = name
        self._utterance_id = utterance_id
        self._begun = threading.Event()
        self._stopped = threading.Event()
        self._error: BridgeError | None = None

    def wait_begun(self, timeout_s: float) -> None:
        """Waits until the first samples are queued.

        Raises:
            BridgeError: the file cannot be read; the message says why.
        """
        self._begun.wait(timeout_s)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ends the thread early."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Decodes and pushes until the file or its utterance is over."""
        try:
            for samples in decode_audio(io.BytesIO(self._data), rate_hz=SAMPLE_RATE_HZ, name=self._file_name):
                while not self._stopped.is_set():
                    try:
                        self._session.push_audio(samples[0], SAMPLE_RATE_HZ, self._utterance_id)
                        break
                    except QueueFullError:
                        self._begun.set()
                        time.sleep(RETRY_S)
                if self._stopped.is_set():
                    return
                self._begun.set()
            self._session.end_utterance(self._utterance_id)
        except UtteranceCancelledError:
            pass  # a barge-in: the rest of the file is not wanted any more
        except BridgeError as error:
            self._error = error
            self._session.end_utterance(self._utterance_id)
        finally:
            self._begun.set()

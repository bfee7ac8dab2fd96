from __future__ import annotations

import time
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bridge.errors import AudioInputError, QueueFullError, UtteranceCancelledError
from bridge.inputs import audio_file
from bridge.inputs.audio_file import FileSpeaker

Float = npt.NDArray[np.float32]


class Avatar:
    """Takes what is pushed; refuses with `refusals`, one a push after the first."""

    def __init__(self, *refusals: Exception) -> None:
        self.samples = 0
        self.pushes = 0
        self.ended = ""
        self.refusals = list(refusals)

    def push(self, samples: Float, sample_rate_hz: int, utterance_id: str) -> None:
        self.pushes += 1
        if self.pushes > 1 and self.refusals:
            raise self.refusals.pop(0)
        assert sample_rate_hz == 16_000
        self.samples += len(samples)

    def end(self, utterance_id: str) -> None:
        self.ended = utterance_id

    def await_end(self) -> None:
        deadline_s = time.monotonic() + 5
        while not self.ended and time.monotonic() < deadline_s:
            time.sleep(0.005)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(bytes(44_100 * 4))
    return path


def test_a_file_of_any_rate_is_spoken_whole(speech: Path) -> None:
    avatar = Avatar()
    speaker = FileSpeaker(speech, "file", avatar.push, avatar.end)
    assert avatar.samples > 0  # the first block at once
    avatar.await_end()
    assert avatar.ended == "file" and abs(avatar.samples - 16_000) <= 32
    speaker.close()


def test_a_full_queue_is_waited_for(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_file, "RETRY_S", 0.01)
    avatar = Avatar(QueueFullError("full"), QueueFullError("full"))
    speaker = FileSpeaker(speech, "file", avatar.push, avatar.end)
    avatar.await_end()
    assert abs(avatar.samples - 16_000) <= 32
    speaker.close()


def test_a_barge_in_ends_the_file_silently(speech: Path, caplog: pytest.LogCaptureFixture) -> None:
    avatar = Avatar(UtteranceCancelledError("cancelled"))
    speaker = FileSpeaker(speech, "file", avatar.push, avatar.end)
    avatar.await_end()
    assert avatar.pushes == 2 and not caplog.text
    speaker.close()


def test_an_unreadable_file_is_told_before_anything_is_spoken(tmp_path: Path) -> None:
    avatar = Avatar()
    (tmp_path / "bad.wav").write_bytes(b"RIFF....WAVE")
    for name in ("bad.wav", "none.wav"):
        with pytest.raises(AudioInputError, match=name):
            FileSpeaker(tmp_path / name, "file", avatar.push, avatar.end)
    assert avatar.pushes == 0

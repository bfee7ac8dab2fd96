from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bridge import devices
from bridge.errors import AvatarFailedError, DeviceError, UtteranceCancelledError
from bridge.inputs import microphone
from bridge.inputs.microphone import Microphone


class FakeSound:
    """What the bridge needs of the module sounddevice."""

    class PortAudioError(Exception):
        pass

    def __init__(self, names: list[str], *, opens: bool = True) -> None:
        self.default = SimpleNamespace(device=[len(names) - 1, -1])
        self.opens = opens
        self.streams: list[dict[str, Any]] = []
        self._devices = [
            {
                "name": name,
                "default_samplerate": 44_100.0,
                "max_input_channels": 0 if name == "speaker" else 2,
            }
            for name in names
        ]

    def query_devices(self) -> list[dict[str, Any]]:
        return self._devices

    def InputStream(self, **options: Any) -> Any:  # noqa: N802
        if not self.opens:
            raise self.PortAudioError("Device unavailable")
        self.streams.append(options)
        return SimpleNamespace(start=lambda: None, close=lambda: options["finished_callback"]())


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*names: str, opens: bool = True) -> FakeSound:
        fake = FakeSound(list(names), opens=opens)
        for module in (devices, microphone):
            monkeypatch.setattr(module, "sound_library", lambda: fake)
        return fake

    return use


def test_microphones_are_found_by_part_of_their_name(sound: Any) -> None:
    sound("speaker", "USB Headset", "Built-in")
    assert [m.name for m in devices.list_microphones()] == ["USB Headset", "Built-in"]
    assert devices.find_microphone("headset").index == 1
    assert devices.find_microphone("").name == "Built-in"
    with pytest.raises(DeviceError, match="'USB Headset', 'Built-in'"):
        devices.find_microphone("studio")


def test_no_microphone_is_one_clear_line(sound: Any) -> None:
    sound("speaker")
    with pytest.raises(DeviceError, match="no microphone was found"):
        Microphone("", lambda *a, **k: None, lambda name: None)


def test_a_microphone_that_does_not_open_is_named(sound: Any) -> None:
    sound("USB Headset", opens=False)
    with pytest.raises(DeviceError, match="'USB Headset' cannot be opened: Device unavailable"):
        Microphone("", lambda *a, **k: None, lambda name: None)


def test_what_is_heard_is_pushed_and_goes_on_after_a_barge_in(sound: Any) -> None:
    fake = sound("USB Headset")
    pushed: list[tuple[int, int, str, bool]] = []
    ended: list[str] = []

    def push(samples: Any, rate_hz: int, utterance_id: str, live: bool = False) -> None:
        pushed.append((len(samples), rate_hz, utterance_id, live))
        if len(pushed) == 2:
            raise UtteranceCancelledError("cancelled")

    opened = Microphone("", push, ended.append)
    for _ in range(3):
        fake.streams[0]["callback"](np.zeros((882, 1), np.float32), 882, None, None)
    deadline_s = time.monotonic() + 5
    while len(pushed) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    opened.close()
    assert pushed[0] == (882, 44_100, "microphone-1", True)
    assert pushed[2][2] == "microphone-2"
    assert ended == ["microphone-1", "microphone-2"]


def test_a_microphone_that_vanishes_ends_its_utterance(sound: Any, caplog: pytest.LogCaptureFixture) -> None:
    fake = sound("USB Headset")
    ended: list[str] = []
    opened = Microphone("", lambda *a, **k: None, ended.append)
    fake.streams[0]["finished_callback"]()
    opened._thread.join(2.0)
    assert ended == ["microphone-1"]
    assert "'USB Headset' is gone" in caplog.text
    opened.close()


def test_a_failed_avatar_ends_the_microphone(sound: Any, caplog: pytest.LogCaptureFixture) -> None:
    fake = sound("USB Headset")

    def push(*args: Any, **kwargs: Any) -> None:
        raise AvatarFailedError("avatar 'default' has stopped")

    opened = Microphone("", push, lambda name: None)
    fake.streams[0]["callback"](np.zeros((882, 1), np.float32), 882, None, None)
    opened._thread.join(2.0)
    assert "has stopped" in caplog.text
    opened.close()


def test_cameras_are_listed(tmp_path: Path) -> None:
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("LLIA\n")
    (tmp_path / "video1").mkdir()
    found = devices.list_cameras(tmp_path)
    assert [(c.path, c.name) for c in found] == [("/dev/video0", "LLIA"), ("/dev/video1", "")]
    assert devices.list_cameras(tmp_path / "none") == []

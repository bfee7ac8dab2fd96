"""Devices and the microphone with a fake sound system; the real one is in tests/integration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge import devices
from bridge.cli import main
from bridge.errors import AvatarFailedError, DeviceError, QueueFullError, UtteranceCancelledError
from bridge.inputs import microphone
from bridge.inputs.echo_guard import EchoGuard
from bridge.inputs.microphone import Microphone
from bridge.inputs.talk_gate import TalkGate
from tests.bridge.test_vad import speech

Float = npt.NDArray[np.float32]


class FakeStream:
    """A stream that a test feeds by `hear`; `die` is a device that is pulled out."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.open = True

    def start(self) -> None:
        pass

    def close(self, ignore_errors: bool = False) -> None:
        if self.open:
            self.open = False
            self.options["finished_callback"]()

    def hear(self, samples: Float) -> None:
        self.options["callback"](samples[:, None], len(samples), None, None)

    def die(self) -> None:
        self.options["finished_callback"]()


class FakeSound:
    """What the bridge needs of the module sounddevice."""

    class PortAudioError(Exception):
        pass

    def __init__(self, names: list[str], *, opens: bool = True, rate_hz: float = 44_100.0) -> None:
        self.default = SimpleNamespace(device=[len(names) - 1, 0])
        self.opens = opens
        self.rate_hz = rate_hz
        self.streams: list[FakeStream] = []
        self.names = names
        self.plugged = names
        self.renewals = 0

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "default_samplerate": self.rate_hz,
                "max_input_channels": 0 if name == "speaker" else 2,
                "max_output_channels": 2 if name == "speaker" else 0,
            }
            for name in self.names
        ]

    def InputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        if not self.opens:
            raise self.PortAudioError("Device unavailable")
        self.streams.append(FakeStream(options))
        return self.streams[-1]

    def _terminate(self) -> None:
        assert not any(stream.open for stream in self.streams), "PortAudio would end them"

    def _initialize(self) -> None:
        self.names = self.plugged
        self.renewals += 1


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*names: str, **options: Any) -> FakeSound:
        fake = FakeSound(list(names), **options)
        for module in (devices, microphone):
            monkeypatch.setattr(module, "sound_library", lambda: fake)
        monkeypatch.setattr(microphone, "RETRY_S", 0.02)
        return fake

    return use


class Avatar:
    """Takes what a microphone gives; `refuse` is raised once."""

    def __init__(self) -> None:
        self.pushed: list[tuple[Float, int, str]] = []
        self.ended: list[str] = []
        self.refuse: Exception | None = None

    def push(self, samples: Float, sample_rate_hz: int, utterance_id: str, live: bool = False) -> None:
        assert live and samples.ndim == 2 and samples.shape[1] == 1 and samples.dtype == np.float32
        self.pushed.append((samples[:, 0], sample_rate_hz, utterance_id))
        if self.refuse is not None:
            refuse, self.refuse = self.refuse, None
            raise refuse

    def said(self, utterance_id: str) -> Float:
        return np.concatenate([samples for samples, _, name in self.pushed if name == utterance_id])


def gate(mode: str = "open") -> TalkGate:
    return TalkGate(mode, 400.0, EchoGuard("off", lambda _: True))


def opened(avatar: Avatar, mode: str = "open", device: str = "", **more: Any) -> Microphone:
    return Microphone(device, avatar.push, avatar.ended.append, gate=gate(mode), **more)


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)


def block(value: float = 0.0, samples: int = 882) -> Float:
    return np.full(samples, value, np.float32)


def test_devices_are_found_by_their_name_or_part_of_it(sound: Any) -> None:
    sound("speaker", "USB Headset 2", "USB Headset", "Built-in")
    assert [m.name for m in devices.list_microphones()] == ["USB Headset 2", "USB Headset", "Built-in"]
    assert devices.find_microphone("headset").index == 1
    assert devices.find_microphone("USB Headset").index == 2
    assert devices.find_microphone("").name == "Built-in"
    assert devices.find_output("").name == "speaker"
    with pytest.raises(DeviceError, match=r"no microphone is named 'studio'; .*'USB Headset', 'Built-in'"):
        devices.find_microphone("studio")
    with pytest.raises(DeviceError, match="no sound output is named 'cable'; there are 'speaker'"):
        devices.find_output("cable")


def test_no_microphone_is_one_clear_line(sound: Any) -> None:
    sound("speaker")
    with pytest.raises(DeviceError, match="no microphone was found"):
        opened(Avatar())


def test_a_microphone_that_does_not_open_is_named(sound: Any) -> None:
    sound("USB Headset", opens=False)
    with pytest.raises(DeviceError, match="'USB Headset' cannot be opened: Device unavailable"):
        opened(Avatar())


@pytest.mark.parametrize("rate_hz", [4_000, 384_000])
def test_a_rate_that_cannot_be_read_is_told(sound: Any, rate_hz: int) -> None:
    sound("USB Headset", rate_hz=rate_hz)
    with pytest.raises(DeviceError, match=f"runs at {rate_hz} Hz; 8000 to 192000 Hz can be read"):
        opened(Avatar())


def test_the_list_names_every_device_and_its_default(sound: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sound("speaker", "USB Headset", "Built-in")
    assert main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "microphone  USB Headset  44100 Hz  2 channels",
        "microphone  Built-in  44100 Hz  2 channels  (default)",
        "output      speaker  44100 Hz  2 channels  (default)",
    ]


def test_the_list_tells_what_is_missing(
    sound: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound()
    assert main(["devices"]) == 0
    assert "microphone  none found; plug one in, or start" in capsys.readouterr().out

    def missing() -> Any:
        raise DeviceError("sound is not available (no PortAudio); install PortAudio")

    monkeypatch.setattr(devices, "sound_library", missing)
    assert main(["devices"]) == 0
    assert "sound       sound is not available" in capsys.readouterr().out


def test_what_is_heard_is_pushed_and_goes_on_after_a_barge_in(sound: Any) -> None:
    fake, avatar = sound("USB Headset"), Avatar()
    avatar.refuse = UtteranceCancelledError("cancelled")
    running = opened(avatar)
    for _ in range(3):
        fake.streams[0].hear(block())
    wait_until(lambda: len(avatar.pushed) == 3)
    running.close()
    running.close()
    assert [(len(s), rate, name) for s, rate, name in avatar.pushed] == [
        (882, 44_100, "microphone-1"), (882, 44_100, "microphone-2"), (882, 44_100, "microphone-2"),
    ]  # fmt: skip
    assert avatar.ended == ["microphone-1", "microphone-2"]


def test_a_full_avatar_is_told_once_and_does_not_end_the_microphone(
    sound: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake, avatar = sound("USB Headset"), Avatar()
    running = opened(avatar)
    for number in range(4):
        avatar.refuse = QueueFullError("no room") if number < 3 else None
        fake.streams[0].hear(block())
        wait_until(lambda number=number: len(avatar.pushed) == number + 1)  # type: ignore[misc]
    running.close()
    assert caplog.text.count("no room") == 1
    assert avatar.pushed[-1][2] == "microphone-4"


def test_a_failed_avatar_ends_the_microphone(sound: Any, caplog: pytest.LogCaptureFixture) -> None:
    fake, avatar = sound("USB Headset"), Avatar()
    avatar.refuse = AvatarFailedError("avatar 'default' has stopped")
    running = opened(avatar)
    fake.streams[0].hear(block())
    wait_until(lambda: not running._thread.is_alive())
    assert "has stopped" in caplog.text
    running.close()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
def test_by_voice_an_utterance_begins_before_its_first_sound_at_any_rate(sound: Any, rate_hz: int) -> None:
    fake, avatar = sound("USB Headset", rate_hz=rate_hz), Avatar()
    spoken = speech()[: 5 * 16_000]
    times_s = np.arange(len(spoken) * rate_hz // 16_000) / rate_hz
    heard = np.interp(times_s, np.arange(len(spoken)) / 16_000, spoken).astype(np.float32)
    forwarded: list[Float] = []
    running = opened(avatar, "vad", forward=lambda samples, rate: forwarded.append(samples))
    size = rate_hz // 100
    count = len(heard) // size
    for number in range(count):
        fake.streams[0].hear(heard[number * size : (number + 1) * size])
        wait_until(lambda number=number: len(forwarded) == number + 1)  # type: ignore[misc]
    running.close()
    said = avatar.said("microphone-1")
    # What was said is a piece of what was heard, from 200 ms before the voice was found.
    place = next(p for p in range(0, len(heard), size) if np.array_equal(heard[p : p + len(said)], said))
    onset = int(np.flatnonzero(np.abs(heard) > 0.02 * np.abs(heard).max())[0])
    assert -0.4 < (place - onset) / rate_hz <= 0.02
    assert len(avatar.pushed[0][0]) == 21 * size and running.added_ms == 200.0
    assert np.array_equal(np.concatenate(forwarded), heard[: count * size]), "all that is heard is forwarded"


def test_push_to_talk_mute_and_modes(sound: Any) -> None:
    fake, avatar = sound("USB Headset"), Avatar()
    forwarded: list[Float] = []
    running = opened(avatar, "push_to_talk", forward=lambda samples, rate: forwarded.append(samples))

    def hear(value: float) -> float:
        """Returns the loudness of what was forwarded."""
        count = len(forwarded)
        fake.streams[0].hear(block(value))
        wait_until(lambda: len(forwarded) > count)
        return float(forwarded[-1].max())

    assert hear(0.1) == 0.0
    running.set_talking(True)
    assert hear(0.2) == np.float32(0.2)
    running.mute(True)
    assert hear(0.3) == 0.0
    running.mute(False)
    assert hear(0.4) == np.float32(0.4)
    running.set_talking(False)
    assert hear(0.5) == 0.0 and not running.speaks
    running.gate.mode = "open"
    assert hear(0.6) == np.float32(0.6) and running.speaks and running.added_ms == 0.0
    running.close()
    assert [(round(float(s.max()), 3), name) for s, _, name in avatar.pushed] == [
        (0.2, "microphone-1"), (0.4, "microphone-2"), (0.6, "microphone-3"),
    ]  # fmt: skip
    assert avatar.ended == ["microphone-1", "microphone-2", "microphone-3"]


def test_a_microphone_that_vanishes_is_told_once_and_comes_back(
    sound: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake, avatar = sound("other", "USB Headset"), Avatar()
    running = opened(avatar, device="headset")
    fake.streams[0].hear(block())
    wait_until(lambda: bool(avatar.pushed))
    fake.plugged = ["other"]
    fake.streams[0].die()
    wait_until(lambda: fake.renewals > 3)
    assert avatar.ended == ["microphone-1"]
    assert len(fake.streams) == 1, "it must not take another device meanwhile"
    fake.plugged = ["USB Headset", "other"]  # under another number
    wait_until(lambda: len(fake.streams) == 2)
    assert fake.streams[1].options["device"] == 0
    fake.streams[1].hear(block())
    wait_until(lambda: len(avatar.pushed) == 2)
    assert avatar.pushed[1][2] == "microphone-2"
    running.close()
    assert [record.message for record in caplog.records] == [
        "microphone 'USB Headset' is gone; waiting for it to return",
        "microphone 'USB Headset' is back",
    ]


def test_a_device_that_falls_silent_for_good_is_opened_anew(
    sound: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "SILENT_DEVICE_S", 0.05)
    fake = sound("USB Headset")
    running = opened(Avatar())
    wait_until(lambda: len(fake.streams) > 1)
    running.close()
    assert not any(stream.open for stream in fake.streams)


def test_it_closes_while_it_waits_for_its_device(sound: Any) -> None:
    fake = sound("USB Headset")
    running = opened(Avatar())
    fake.plugged = []
    fake.streams[0].die()
    wait_until(lambda: fake.renewals > 1)
    running.close()
    assert "microphone" not in [thread.name for thread in threading.enumerate()]


def test_cameras_are_listed(tmp_path: Path) -> None:
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("LLIA\n")
    (tmp_path / "video1").mkdir()
    found = devices.list_cameras(tmp_path)
    assert [(c.path, c.name) for c in found] == [("/dev/video0", "LLIA"), ("/dev/video1", "")]
    assert devices.list_cameras(tmp_path / "none") == []

"""The virtual camera with a recording backend; the device itself is tested in a real kernel (integration)."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bridge.avatar import AvatarSession
from bridge.config import CameraSettings, RecordingSettings, VmcSettings
from bridge.errors import DeviceError, SettingError
from bridge.outputs import camera as module
from bridge.outputs.camera import VirtualCamera
from bridge.outputs.canvas import Canvas
from bridge.outputs.v4l2loopback import MODPROBE, keep_writable
from bridge.picture_outputs import PictureOutputs
from bridge.relay import Relay
from engine.types import AvatarState, VideoFrame
from tests.bridge.fake_pipeline import FakePipeline
from tests.require import skip_for_want_of

try:
    import pyvirtualcam
except ImportError:
    skip_for_want_of("pyvirtualcam")

SETTINGS = CameraSettings(enabled=True, width_px=160, height_px=120, fps=50, background="#000080")


class Backend:
    """What pyvirtualcam calls a backend: keeps what it is sent, with the time."""

    opened: list[Backend]
    refused = ""
    broken = False

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        if Backend.refused:
            raise RuntimeError(Backend.refused)
        self.size = (width, height)
        self.pictures: list[tuple[float, np.ndarray]] = []
        self.closed = 0
        Backend.opened.append(self)

    def send(self, frame: np.ndarray) -> None:
        if Backend.broken:
            raise RuntimeError("gone")
        self.pictures.append((time.monotonic(), frame.copy()))

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return "Recorder"

    def native_fourcc(self) -> None:
        return None


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    Backend.opened, Backend.refused, Backend.broken = [], "", False
    monkeypatch.setitem(pyvirtualcam.camera.BACKENDS, "recorder", Backend)
    monkeypatch.setitem(module.DRIVERS, sys.platform, (("recorder",), "do this"))


@pytest.fixture
def camera() -> Iterator[VirtualCamera]:
    opened = VirtualCamera(SETTINGS)
    yield opened
    opened.close()
    opened.close()
    assert Backend.opened[-1].closed == 1


def pictures() -> list[tuple[float, np.ndarray]]:
    return Backend.opened[-1].pictures


def wait_for(count: int) -> None:
    deadline_s = time.monotonic() + 10
    while len(pictures()) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def frame(red: int, alpha: int = 255, size_px: int = 64) -> VideoFrame:
    rgba = np.zeros((size_px, size_px, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = red, alpha
    return VideoFrame(rgba, 0, "", 0, AvatarState.IDLE)


def bytes_of(canvas: Canvas, rgba: np.ndarray) -> np.ndarray:
    """BT.601 by its definition, for pictures of flat colour."""
    rgb = canvas.compose(rgba).astype(float)
    y = 16 + (65.481 * rgb[..., 0] + 128.553 * rgb[..., 1] + 24.966 * rgb[..., 2]) / 255
    return y


def test_a_placeholder_then_the_avatar_then_a_placeholder(
    camera: VirtualCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 1.5)
    wait_for(3)
    starting = pictures()[0][1]
    assert starting.shape == (160 * 120 * 3 // 2,) and starting.std() > 1
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)
    relay.publish(frame(255))
    wait_for(len(pictures()) + 3)
    avatar = pictures()[-1][1]
    luma = avatar[: 160 * 120].reshape(120, 160)
    expected = bytes_of(Canvas(160, 120, "#000080"), frame(255).rgba)
    assert np.abs(luma - expected)[:, 22:138].max() <= 2 and np.abs(luma - expected)[:, :18].max() <= 2
    deadline_s = time.monotonic() + 10
    while np.array_equal(pictures()[-1][1], avatar):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    stopped = pictures()[-1][1]
    assert stopped.std() > 1 and not np.array_equal(stopped, starting)
    relay.publish(frame(255))
    wait_for(len(pictures()) + 3)
    assert np.array_equal(pictures()[-1][1], avatar)


def test_the_cadence_is_exact_whatever_the_avatar_does(camera: VirtualCamera) -> None:
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)
    wait_for(1)
    start_s, before = time.monotonic(), len(pictures()) + camera.late
    for k in range(60):  # faster than the camera, slower, not at all
        relay.publish(frame(k * 4))
        time.sleep((0.003, 0.03, 0.09)[k % 3])
    ticks = len(pictures()) + camera.late - before
    assert ticks == pytest.approx((time.monotonic() - start_s) * 50, abs=8)


def test_after_a_stall_nothing_is_made_up_in_a_burst(
    camera: VirtualCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Backend.send

    def stall_once(self: Backend, picture: np.ndarray) -> None:
        if len(self.pictures) == 5:
            time.sleep(0.5)
        send(self, picture)

    monkeypatch.setattr(Backend, "send", stall_once)
    wait_for(40)
    times = np.array([at_s for at_s, _ in pictures()[:40]])
    assert camera.late >= 20
    # One picture may be late and the next in time, but never three within a tick.
    assert (times[2:] - times[:-2]).min() > 0.01


def test_the_newest_frame_wins(camera: VirtualCamera) -> None:
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)
    for red in range(200):
        relay.publish(frame(red))
    relay.publish(frame(255))
    wait_for(len(pictures()) + 4)
    alone = [picture for _, picture in pictures()[-2:]]
    expected = bytes_of(Canvas(160, 120, "#000080"), frame(255).rgba)[60, 80]
    assert abs(float(alone[-1][60 * 160 + 80]) - expected) <= 2


def test_what_a_barge_in_withdrew_is_not_shown(
    camera: VirtualCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay: Relay[VideoFrame] = Relay()
    compose = Canvas.compose

    def compose_while_cancelled(self: Canvas, rgba: np.ndarray) -> np.ndarray:
        if rgba[0, 0, 0] == 255:
            relay.withdraw()
        return compose(self, rgba)

    monkeypatch.setattr(Canvas, "compose", compose_while_cancelled)
    camera.show(relay)
    relay.publish(frame(100))
    wait_for(len(pictures()) + 3)
    old = pictures()[-1][1]
    relay.publish(frame(255))
    wait_for(len(pictures()) + 4)
    assert all(np.array_equal(picture, old) for _, picture in pictures()[-3:])


def test_background_and_mirror_change_while_it_runs(camera: VirtualCamera) -> None:
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)
    with pytest.raises(SettingError, match="no colour"):
        camera.apply(dataclasses.replace(SETTINGS, background="blurple"))
    camera.apply(dataclasses.replace(SETTINGS, background="#ffffff"))
    relay.publish(frame(0))
    wait_for(len(pictures()) + 4)
    assert abs(int(pictures()[-1][1][0]) - 235) <= 2


def test_the_delay_is_measured(camera: VirtualCamera) -> None:
    relay: Relay[VideoFrame] = Relay()
    camera.show(relay)
    for k in range(40):
        relay.publish(frame(k))
        time.sleep(0.02)
    assert 0.0 < camera.delay_ms < 200.0


def test_the_delay_stands_in_the_statistics_with_the_lead() -> None:
    outputs = PictureOutputs(SETTINGS, VmcSettings(), RecordingSettings())
    session = AvatarSession(FakePipeline(), fps=25, size_px=8)
    try:
        assert session.statistics().delays_ms == {}
        outputs.show(session)
        assert outputs.camera is not None and outputs.places() == [("camera", "Recorder")]
        wait_for(len(pictures()) + 20)
        delay_ms = session.statistics().delays_ms["camera"]
        assert session.lead_ms < delay_ms < session.lead_ms + 200
    finally:
        session.close()
        outputs.close()


def test_a_device_that_goes_is_told_once_and_taken_up_again(
    camera: VirtualCamera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 0.05)
    wait_for(2)
    Backend.refused, Backend.broken = "not there", True
    deadline_s = time.monotonic() + 10
    while "has gone" not in caplog.text:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    time.sleep(0.3)
    assert sum("has gone" in record.message for record in caplog.records) == 1
    Backend.refused, Backend.broken = "", False
    deadline_s = time.monotonic() + 10
    while len(Backend.opened) < 2 or len(pictures()) < 3:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert "is back" in caplog.text
    assert Backend.opened[0].closed == 1


def test_without_a_device_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    Backend.refused = "No device found. See also the documentation."
    with pytest.raises(DeviceError) as caught:
        VirtualCamera(SETTINGS)
    assert str(caught.value) == "no virtual camera ('recorder' backend: No device found); do this"
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(DeviceError, match=r"pip install 'llia-bridge\[camera\]'"):
        VirtualCamera(SETTINGS)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's driver")
@pytest.mark.skipif(any(Path("/dev").glob("video*")), reason="there may be a device")
def test_on_linux_the_line_holds_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(DeviceError) as caught:
        VirtualCamera(SETTINGS)
    assert str(caught.value).endswith(MODPROBE) and "\n" not in str(caught.value)
    assert MODPROBE == 'sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label="LLIA"'


def test_sizes_and_backgrounds_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="even"):
        VirtualCamera(CameraSettings(width_px=161))
    for text, words in (("transparent", "no transparency"), ("blurple", "no colour")):
        with pytest.raises(SettingError, match=words):
            VirtualCamera(CameraSettings(background=text))
    assert not Backend.opened


def test_keep_writable_leaves_other_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_text("x")
    with path.open() as file:
        keep_writable(str(path))
        assert os.fstat(file.fileno()).st_size == 1


def test_the_canvas_places_mirrors_and_blurs(tmp_path: Path) -> None:
    half = np.zeros((64, 64, 4), np.uint8)
    half[:, :32] = (255, 0, 0, 255)
    plain = Canvas(320, 180, "#00ff00").compose(half)
    mirrored = Canvas(320, 180, "#00ff00", mirror=True).compose(half)
    assert plain.shape == (180, 320, 3)
    assert (plain[:, :70] == (0, 255, 0)).all() and (plain[:, 75:150] == (255, 0, 0)).all()
    assert (plain[:, 165:] == (0, 255, 0)).all()
    assert np.array_equal(mirrored, plain[:, ::-1])
    stripes = np.zeros((180, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    nobody = np.zeros((64, 64, 4), np.uint8)
    sharp = Canvas(320, 180, str(tmp_path / "stripes.png")).compose(nobody)
    blurred = Canvas(320, 180, str(tmp_path / "stripes.png"), blur_px=10).compose(nobody)
    assert np.array_equal(sharp, stripes)
    assert np.abs(blurred[20:-20, 40:-40].astype(int) - 127).max() <= 2
    placeholder = Canvas(320, 180, "#00ff00").placeholder("Wait")
    assert placeholder.shape == (180, 320, 3) and len(np.unique(placeholder[140:160])) > 2


def test_edges_take_no_hidden_colour() -> None:
    """Transparent pixels may hold any colour; scaled up it must not show."""
    disc = np.zeros((64, 64, 4), np.uint8)
    disc[..., 1] = 255
    disc[16:48, 16:48] = (255, 0, 0, 255)
    picture = Canvas(320, 180, "#0000ff").compose(disc)
    assert picture[..., 1].max() == 0


def test_only_one_file_imports_the_gpl_library() -> None:
    root = Path(__file__).parents[2]
    users = [
        str(path.relative_to(root))
        for package in ("bridge", "engine")
        for path in (root / package).rglob("*.py")
        if "import pyvirtualcam" in path.read_text("utf-8")
    ]
    assert users == [str(Path("bridge/outputs/camera.py"))]
    imported: dict[str, Any] = {}
    exec("import bridge.outputs.camera", imported)
    assert "pyvirtualcam" not in vars(module)

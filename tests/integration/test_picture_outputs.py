"""Recordings and VMC of the real daemon with the toy pack."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle

from bridge.config import Settings
from bridge.config_reader import read_settings
from bridge.daemon import Daemon
from bridge.errors import BridgeError, SettingError
from bridge.web.panel import Panel

ROOT = Path(__file__).parents[2]
SIZE_PX = 64


def settings(pack: Path, **flags: object) -> Settings:
    given = {
        "engine.pack": str(pack),
        "engine.size_px": SIZE_PX,
        "engine.provider": "CPU",
        "engine.seed": 1,
        "sockets.control_port": 0,
        "sockets.frames_port": 0,
        "page.enabled": False,
        "speech.greeting": False,
    }
    return read_settings(None, given | {name.replace("__", "."): value for name, value in flags.items()})


@pytest.fixture
def beep(tmp_path: Path) -> Path:
    """A second of silence, one of sound, one of silence."""
    tone = (np.sin(np.arange(16_000) * 0.3) * 16_000).astype("<i2")
    silence = np.zeros(16_000, "<i2")
    path = tmp_path / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.concatenate([silence, tone, silence]).tobytes())
    return path


def wait_until(path: Path, seconds: float, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            if redness(path)[0][-1] >= seconds:
                return
        except (OSError, av.FFmpegError, IndexError):
            pass
        assert time.monotonic() < deadline_s, f"{path} never held {seconds} s"
        time.sleep(0.2)


def redness(path: Path) -> tuple[list[float], list[float]]:
    """Times of the pictures and how red they are: the toy pack shows the loudness so."""
    times, reds = [], []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                times.append(float(frame.pts * frame.time_base))
                reds.append(float(frame.to_ndarray(format="rgb24")[..., 0].mean()))
        except av.FFmpegError:  # the last piece of an unfinished file may be cut off
            pass
    return times, reds


def loud_s(path: Path) -> tuple[float, float]:
    """When the file's sound begins and ends."""
    with av.open(str(path)) as container:
        blocks = list(container.decode(audio=0))
    start_s = float(blocks[0].pts * blocks[0].time_base)
    sound = np.concatenate([block.to_ndarray()[0] for block in blocks])
    loud = np.flatnonzero(np.abs(sound) > 0.1) / 48_000 + start_s
    return float(loud[0]), float(loud[-1])


def require_in_step(path: Path) -> None:
    times, reds = redness(path)
    middle = (max(reds) + min(reds)) / 2
    red = [at_s for at_s, value in zip(times, reds, strict=True) if value > middle]
    start_s, end_s = loud_s(path)
    assert end_s - start_s == pytest.approx(1.0, abs=0.05)
    # The toy's audio windows are 100 ms wide, its frames 40 ms.
    assert red[0] == pytest.approx(start_s, abs=0.14)
    assert red[-1] == pytest.approx(end_s, abs=0.14)


@pytest.mark.parametrize("name", ["talk.mp4", "talk.webm"])
def test_llia_run_records_in_step_and_ends_with_a_whole_file(
    toy_pack: Path, tmp_path: Path, beep: Path, name: str
) -> None:
    path = tmp_path / name
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", "run", "--pack", str(toy_pack), "--size", str(SIZE_PX),
         "--control-port", "0", "--frames-port", "0", "--no-page", "--no-greeting",
         "--say", str(beep), "--record", str(path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(path, 4.5)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0 and errors == ""
    assert re.search(rf"^recording +{re.escape(str(path))}$", out, re.MULTILINE)
    require_in_step(path)


def test_a_killed_daemon_leaves_a_recording_in_step(toy_pack: Path, tmp_path: Path, beep: Path) -> None:
    path = tmp_path / "talk.mp4"
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", "run", "--pack", str(toy_pack), "--size", str(SIZE_PX),
         "--control-port", "0", "--frames-port", "0", "--no-page", "--no-greeting",
         "--say", str(beep), "--set", f"recording.file={path}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(path, 4.5)
    finally:
        process.kill()
        process.communicate()
    require_in_step(path)
    assert redness(path)[0][-1] >= 4.5


@pytest.fixture
def daemon(toy_pack: Path, tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(settings(toy_pack, recording__folder=str(tmp_path)))
    yield running
    running.close()


def test_the_page_starts_and_stops_recordings(daemon: Daemon, tmp_path: Path) -> None:
    panel = Panel()
    daemon.pictures.offer(panel)
    session = daemon.session
    assert panel.states(session)["recording"]["active"] is False
    with pytest.raises(BridgeError, match="unknown format"):
        panel.carry_out(session, "record_start", {"format": "avi"})
    panel.carry_out(session, "record_start", {"format": "webm"})
    state = panel.states(session)["recording"]
    assert state["active"] and Path(state["file"]).parent == tmp_path
    with pytest.raises(BridgeError, match="stop it first"):
        panel.carry_out(session, "record_start", {"format": "mp4"})
    deadline_s = time.monotonic() + 20
    while panel.states(session)["recording"]["seconds"] < 0.5:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    panel.carry_out(session, "record_stop", {})
    panel.carry_out(session, "record_stop", {})
    state = panel.states(session)["recording"]
    assert not state["active"]
    assert redness(Path(state["file"]))[0][-1] == pytest.approx(state["seconds"], abs=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_recording_that_fails_is_told_to_clients_and_the_avatar_lives_on(
    daemon: Daemon, tmp_path: Path
) -> None:
    events = daemon.session.events.subscribe(newest=False)
    daemon.pictures.record(daemon.session, str(tmp_path / "talk.mp4"))
    recording = daemon.pictures.recording
    assert recording is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recording._file._file._file.fileno())  # the disk is full from now on
    os.close(full)
    deadline_s = time.monotonic() + 20
    told = None
    while told is None and time.monotonic() < deadline_s:
        event = events.get(1.0)
        told = event if event is not None and event.type == "error" else None
    events.close()
    assert told is not None and told.code == "recording" and "No space left" in told.text
    assert not recording.active
    shown = daemon.session.frames.subscribe(newest=True)
    assert shown.get(5.0) is not None
    shown.close()
    daemon.pictures.record(daemon.session, str(tmp_path / "again.mp4"))


def test_vmc_leaves_with_every_frame(toy_pack: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        port = receiver.getsockname()[1]
        daemon = Daemon(settings(toy_pack, vmc__enabled=True, vmc__port=port))
        try:
            times = []
            while len(times) < 30:
                for message in OscBundle(receiver.recv(2_048)):
                    if message.address == "/VMC/Ext/T":
                        times.append(message.params[0])
        finally:
            daemon.close()
    steps = np.diff(times)
    assert np.median(steps) == pytest.approx(0.04, abs=1e-3) and (steps > 0).all()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("recording.file", "talk.avi", "end in .mp4 or .webm"),
        ("recording.file", "none/talk.mp4", "does not exist"),
        ("vmc.host", "no such host", "not known"),
        ("camera.background", "blurple", "no colour"),
    ],
)
def test_wrong_settings_are_one_line_and_leave_nothing_running(
    toy_pack: Path, key: str, value: str, words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        section = key.split(".")[0]
        enabled = {} if section == "recording" else {f"{section}__enabled": True}
        Daemon(settings(toy_pack, **{key.replace(".", "__"): value}, **enabled))

"""The plug-in in OBS's core, against the real daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.daemon import Daemon
from tests.integration.wire import WireClient
from tests.obs import latency
from tests.obs.build import build
from tests.obs.harness import Harness, Pixels
from tests.obs.toy_daemon import toy_daemon
from tests.reliability.processes import DaemonProcess

SIZE_PX = 96
OTHER_PX = 64
RESTARTED_PX = 128
NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    with toy_daemon(toy_pack, SIZE_PX, page__enabled=False) as running:
        yield running


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with Harness() as running:
        yield running
    assert (running.left, running.exit_code) == (0, 0)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WireClient]:
    made = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("frame/", "event/"))
    yield made
    made.close()


@contextmanager
def opened(client: WireClient, **settings: object) -> Iterator[str]:
    """Another avatar of the daemon; closed at the end, whatever the test did to it."""
    avatar_id = client.ask("open_avatar", **settings)["avatar_id"]
    try:
        yield avatar_id
    finally:
        client.ask("close_avatar", avatar_id=avatar_id)


@contextmanager
def source(harness: Harness, **settings: object) -> Iterator[str]:
    """A source in the scene; waits until its first picture where its daemon lives."""
    harness.create("avatar", **settings)
    try:
        if settings["endpoint"] != NOBODY:
            harness.wait_for("a first picture", lambda: harness.ask("size avatar") != "0 0")
        yield "avatar"
    finally:
        harness.ask("remove avatar")


class Frames:
    """What the daemon has published of one avatar."""

    def __init__(self, client: WireClient, avatar_id: str = "default") -> None:
        self._client, self._topic = client, f"frame/{avatar_id}"
        self.seen: list[Pixels] = []

    def collect(self) -> list[Pixels]:
        while self._client.frames.poll(0 if self.seen else 3_000):
            topic, header, pixels = self._client.published()
            if topic == self._topic:
                shape = (header["height"], header["width"], 4)
                if header["format"] == "I420":
                    shape = (header["height"] * 3 // 2, header["width"])
                self.seen.append(np.frombuffer(pixels, np.uint8).reshape(shape))
        return self.seen[-100:]


def straight(premultiplied: Pixels) -> Pixels:
    """Colours divided by alpha, rounded to the nearest."""
    values = premultiplied.astype(np.uint32)
    alpha = values[..., 3:]
    colours = np.where(
        alpha > 0, (values[..., :3] * 510 + alpha) // np.maximum(alpha * 2, 1), values[..., :3]
    )
    return np.concatenate([np.minimum(colours, 255), alpha], -1).astype(np.uint8)


def test_the_pixels_are_the_daemons(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    frames = Frames(client)
    with source(harness, endpoint=daemon.control_endpoint):
        harness.wait_for(
            "a picture that equals a frame",
            lambda: any(np.array_equal(harness.grab("avatar"), frame) for frame in frames.collect()),
        )
        shown = harness.grab("avatar")
        assert shown.shape == (SIZE_PX, SIZE_PX, 4)
        assert 0.2 < (shown[..., 3] == 255).mean() < 0.9 and (shown[..., 3] == 0).any()
        assert ((shown[..., 3] > 0) & (shown[..., 3] < 255)).any(), "no soft edge"
        harness.wait_for("a rate", lambda: " FPS" in harness.ask("status avatar"))
        told = harness.ask("status avatar")
        assert re.match(r"Connected \| \d+ FPS, ", told), told
        connected, fps, latency_ms, p95_ms, _ = map(float, harness.ask("figures avatar").split())
        assert connected and 1 < fps < 27 and 0 < latency_ms <= p95_ms < 5_000
        assert "96 x 96 px" in told and "latency <" in told and "straight alpha" in told


@pytest.mark.parametrize(
    ("pixel_format", "alpha"), [("RGBA", "premultiplied"), ("BGRA", "straight"), ("BGRA", "premultiplied")]
)
def test_other_formats_show_the_same_pixels(
    daemon: Daemon, harness: Harness, client: WireClient, pixel_format: str, alpha: str
) -> None:
    def wanted(frame: Pixels) -> Pixels:
        rgba = frame if pixel_format == "RGBA" else frame[..., (2, 1, 0, 3)]
        return straight(rgba) if alpha == "premultiplied" else rgba

    with opened(client, format=pixel_format, alpha=alpha, size_px=OTHER_PX) as avatar_id:
        frames = Frames(client, avatar_id)

        def same() -> bool:
            client.send("ping")
            shown = harness.grab("avatar")
            return any(np.array_equal(shown, wanted(frame)) for frame in frames.collect())

        with source(harness, endpoint=daemon.control_endpoint, avatar_id=avatar_id):
            harness.wait_for("a picture that equals a frame", same)
            harness.wait_for("its alpha", lambda: f"{alpha} alpha" in harness.ask("status avatar"))
        assert client.ask("close_avatar", avatar_id=avatar_id)["type"] == "ok"


def colours(planes: Pixels) -> npt.NDArray[np.float32]:
    """An I420 frame of OTHER_PX (BT.601, video range) as red, green and blue."""
    luma = planes[:OTHER_PX].astype(np.float32) - 16.0
    chroma = planes[OTHER_PX:].astype(np.float32).reshape(2, OTHER_PX // 2, OTHER_PX // 2) - 128.0
    blue, red = chroma.repeat(2, 1).repeat(2, 2)
    parts = [
        luma * 1.164 + 1.596 * red,
        luma * 1.164 - 0.813 * red - 0.392 * blue,
        luma * 1.164 + 2.017 * blue,
    ]
    return np.stack(parts, -1).clip(0, 255)


def test_i420_keeps_its_colours(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    with opened(client, format="I420", size_px=OTHER_PX) as avatar_id:
        frames = Frames(client, avatar_id)

        def same() -> bool:
            client.send("ping")
            shown = harness.grab("avatar")
            assert (shown[..., 3] == 255).all()
            return any(np.abs(shown[..., :3] - colours(f)).mean() < 1.0 for f in frames.collect()[-10:])

        with source(harness, endpoint=daemon.control_endpoint, avatar_id=avatar_id):
            harness.wait_for("a picture of a frame's colours", same)


def test_picture_files_are_told_and_not_shown(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    with opened(client, format="JPEG", size_px=OTHER_PX) as avatar_id:
        harness.create("avatar", endpoint=daemon.control_endpoint, avatar_id=avatar_id)
        try:
            harness.wait_for("a word", lambda: "sent as picture files" in harness.ask("status avatar"))
            assert harness.ask("size avatar") == "0 0"
        finally:
            harness.ask("remove avatar")


def test_another_size_in_flight(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    with opened(client, size_px=OTHER_PX) as other, source(harness, endpoint=daemon.control_endpoint):
        for _ in range(5):
            for avatar_id, size_px in ((other, OTHER_PX), ("", SIZE_PX)):
                frames = Frames(client, avatar_id or "default")
                harness.update("avatar", avatar_id=avatar_id)

                def same(frames: Frames = frames, size_px: int = size_px) -> bool:
                    shown = harness.grab("avatar")
                    return shown.shape == (size_px, size_px, 4) and any(
                        np.array_equal(shown, frame) for frame in frames.collect()
                    )

                harness.wait_for(f"a picture of {size_px} px", same)
        assert harness.ask("choices avatar avatar_id").split(";") == [
            "=The daemon's default avatar", "default=default (toy)", f"{other}={other} (toy)",
        ]  # fmt: skip
        # Its avatar is closed: told, and the last picture stays.
        harness.update("avatar", avatar_id=other)
        harness.wait_for("the other", lambda: harness.ask("size avatar") == f"{OTHER_PX} {OTHER_PX}")
        client.ask("close_avatar", avatar_id=other)
        harness.wait_for("a word", lambda: "no such avatar" in harness.ask("status avatar"))
        assert harness.ask("size avatar") == f"{OTHER_PX} {OTHER_PX}"


def test_nobody_looks_nothing_is_drawn(daemon: Daemon, harness: Harness) -> None:
    with source(harness, endpoint=daemon.control_endpoint):
        for _ in range(3):
            assert daemon.session.watched and daemon.session.audio.subscribers == 1
            harness.ask("show avatar 0")
            harness.wait_for("a pause", lambda: not daemon.session.watched, 2.0)
            assert daemon.session.audio.subscribers == 0
            assert "paused" in harness.ask("status avatar")
            assert harness.ask("size avatar") == f"{SIZE_PX} {SIZE_PX}"
            harness.ask("show avatar 1")
            harness.wait_for("going on", lambda: daemon.session.watched, 2.0)
            harness.wait_for("sound", lambda: daemon.session.audio.subscribers == 1, 2.0)
        harness.update("avatar", when_hidden="keep")
        harness.ask("show avatar 0")
        time.sleep(0.3)
        assert daemon.session.watched
        harness.update("avatar", when_hidden="pause", audio=False)
        harness.wait_for("a pause", lambda: not daemon.session.watched, 2.0)
        harness.ask("show avatar 1")
        harness.wait_for("going on", lambda: daemon.session.watched, 2.0)
        assert daemon.session.audio.subscribers == 0
    harness.wait_for("the end of its subscriptions", lambda: not daemon.session.watched, 2.0)


def test_a_restarted_daemon_is_back_within_a_second(harness: Harness) -> None:
    with DaemonProcess() as first:
        endpoint = first.control_endpoint
        ports = {
            "control_port": int(endpoint.rpartition(":")[2]),
            "frames_port": int(first.frames_endpoint.rpartition(":")[2]),
        }
        with source(harness, endpoint=endpoint, on_lost="clear"):
            assert harness.ask("size avatar") == "64 64"
            first.kill()
            harness.wait_for("nothing to be seen", lambda: harness.ask("size avatar") == "0 0", 3.0)
            assert "No daemon answers" in harness.ask("status avatar")
            # Under the same topic, of another size.
            with DaemonProcess("--size", str(RESTARTED_PX), **ports):
                back_s = harness.wait_for(
                    "its picture", lambda: harness.ask("size avatar") == f"{RESTARTED_PX} {RESTARTED_PX}"
                )
                print(f"its picture {back_s * 1_000:.0f} ms after the daemon says that it runs")
                assert back_s < 1.0


def test_what_is_shown_without_a_daemon(harness: Harness) -> None:
    with DaemonProcess() as running, source(harness, endpoint=running.control_endpoint):
        os.kill(running.pid, signal.SIGSTOP)
        try:
            harness.wait_for("a word", lambda: "says nothing" in harness.ask("status avatar"), 5.0)
            assert harness.ask("size avatar") == "64 64"  # kept
            harness.update("avatar", on_lost="placeholder")
            outline = harness.grab("avatar")
            harness.wait_for("the outline", lambda: (harness.grab("avatar")[..., :3] == 128).all(), 2.0)
            outline = harness.grab("avatar")
            assert outline.shape == (64, 64, 4) and 0 < (outline[..., 3] > 0).mean() < 0.5
            harness.update("avatar", on_lost="clear")
            harness.wait_for("nothing", lambda: harness.ask("size avatar") == "0 0", 2.0)
        finally:
            os.kill(running.pid, signal.SIGCONT)
        harness.wait_for("going on", lambda: harness.ask("size avatar") == "64 64", 3.0)
    with source(harness, endpoint=NOBODY, on_lost="placeholder"):
        harness.wait_for("the outline", lambda: harness.ask("size avatar") == "512 512", 2.0)
    with source(harness, endpoint=NOBODY):
        harness.update("avatar", endpoint="somewhere")
        harness.wait_for("a word", lambda: "no address" in harness.ask("status avatar"), 2.0)


class Switches:
    """Stands for a microphone; `tests/integration/test_microphone.py` works a real one."""

    def __init__(self) -> None:
        self.gate = self
        self.muted = self.talking = False
        self.mode = "push_to_talk"

    def mute(self, muted: bool) -> None:
        self.muted = muted

    def set_talking(self, talking: bool) -> None:
        self.talking = talking


def test_hotkeys_and_the_interact_window(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    microphone: Any = Switches()
    tone = np.zeros(16_000 * 20, "<i2").tobytes()

    def speak(utterance_id: str) -> None:
        client.send("audio", tone, utterance_id=utterance_id, sample_rate_hz=16_000, final=True)
        assert client.event("utterance_started")["utterance_id"] == utterance_id

    with source(harness, endpoint=daemon.control_endpoint):
        harness.wait_for("hotkeys", lambda: "llia.expression.happy" in harness.ask("saved avatar"))
        saved = json.loads(harness.ask("saved avatar"))
        names = [item["name"] for item in saved["settings"]["expressions"]]
        assert names[:2] == ["neutral", "happy"] and {"llia.talk", "llia.mute", "llia.cancel"} <= set(
            saved["hotkeys"]
        )
        harness.ask("press avatar llia.expression.happy 1")
        assert client.event("expression")["preset"] == "happy"
        harness.ask("key avatar 1 1")
        assert client.event("expression")["preset"] == "neutral"
        for command in ("press avatar llia.cancel 1", "key avatar x 1"):
            speak(command)
            harness.ask(command)
            assert client.event("cancelled")["utterance_id"] == command
        # Without a microphone the daemon says so, in the log and in the properties.
        harness.ask("press avatar llia.mute 1")
        harness.wait_for("a word", lambda: "no microphone" in harness.ask("status avatar"))
        daemon._control.microphone = microphone
        try:
            for press, let_go in (
                ("press avatar llia.talk 1", "press avatar llia.talk 0"),
                ("key avatar space 1", "key avatar space 0"),
                ("key avatar space 1", "focus avatar 0"),
            ):
                harness.ask(press)
                harness.wait_for("talking", lambda: microphone.talking, 2.0)
                harness.ask(let_go)
                harness.wait_for("silence", lambda: not microphone.talking, 2.0)
            for command in ("press avatar llia.mute 1", "key avatar m 1"):
                before = microphone.muted
                harness.ask(command)
                harness.wait_for("the switch", lambda before=before: microphone.muted != before, 2.0)
            # A source that is removed while the button is down lets go of it.
            harness.ask("press avatar llia.talk 1")
            harness.wait_for("talking", lambda: microphone.talking, 2.0)
            harness.ask("remove avatar")
            harness.wait_for("silence", lambda: not microphone.talking, 2.0)
            # Its hotkeys are there again before any daemon is.
            harness.create("avatar", endpoint=NOBODY, expressions=saved["settings"]["expressions"])
            harness.ask("press avatar llia.expression.happy 1")
        finally:
            daemon._control.microphone = None


def test_sound_is_whole_and_without_gaps(daemon: Daemon, harness: Harness, client: WireClient) -> None:
    tone = (np.sin(np.arange(16_000 * 4) * 0.2) * 16_000).astype("<i2").tobytes()
    with source(harness, endpoint=daemon.control_endpoint):
        client.send("audio", tone, utterance_id="tone", sample_rate_hz=16_000, final=True)
        client.wait_for(lambda header: header["type"] == "first_frame")
        reading = threading.Thread(target=_read_for, args=(client, 2.5))
        reading.start()
        frames, peak, gap_ms = map(float, harness.ask("listen avatar 2000").split())
        reading.join()
        assert abs(frames - 96_000) < 9_600 and 0.45 < peak < 0.6
        assert gap_ms < 1.0, "what OBS is given has a gap"
        harness.update("avatar", audio=False)
        time.sleep(0.2)
        assert harness.ask("listen avatar 300").startswith("0 ")
        client.send("cancel")


def _read_for(client: WireClient, time_s: float) -> None:
    end_s = time.monotonic() + time_s
    while time.monotonic() < end_s:
        client.published()


def test_a_hundred_sources_come_and_go(harness: Harness) -> None:
    """Whatever the daemon does: lives, hangs, floods, is not there."""
    flood = subprocess.Popen(
        [build() / "tests" / "flooding-daemon"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with DaemonProcess() as running:
        assert flood.stdout is not None and flood.stdin is not None
        try:
            for name, endpoint in (
                ("lives", running.control_endpoint),
                ("hangs", running.control_endpoint),
                ("floods", f"tcp://127.0.0.1:{int(flood.stdout.readline())}"),
                ("is not there", NOBODY),
            ):
                if name == "hangs":
                    os.kill(running.pid, signal.SIGSTOP)
                longest_ms = float(harness.ask(f"churn 100 {json.dumps({'endpoint': endpoint})}"))
                os.kill(running.pid, signal.SIGCONT)
                print(f"the daemon {name}: {longest_ms:.0f} ms to remove a source at worst")
                assert longest_ms < 10_000.0  # a busy machine takes its time; a hang has no end
        finally:
            flood.communicate("")
        assert running.runs and not running.complaints()


def test_the_latency_can_be_measured() -> None:
    """Its figures depend on the machine and are no test; that they make sense is."""
    own = latency.measure_own((64, 64), 25, 1.5)
    assert 0 < own[0] <= own[1] < 5_000
    found = latency.measure(30, "lowest", (64, 64), 25, 2.0)
    assert found.frames > 0 and 0 < found.raw[0] <= found.raw[1] < 10_000

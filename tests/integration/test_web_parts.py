"""What parts of the daemon offer on the page: shown, asked for, hidden where refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from bridge.avatar import AvatarSession
from bridge.config_reader import read_settings
from bridge.daemon import Daemon
from bridge.errors import UnsupportedError
from bridge.outputs.web import WebServer
from bridge.packs import Packs
from bridge.web.panel import Panel, choice, flag, numbers
from engine.config import EngineConfig
from tests.integration.browser import Browser, wait_for
from tests.integration.page import (
    ENDPOINTS,
    drawn,
    fps,
    live_avatar,
    live_server,
    state,
    write_tone,
)
from tests.require import require_program


@pytest.fixture(scope="module")
def session(toy_pack: Path) -> Iterator[AvatarSession]:
    with live_avatar(toy_pack) as live:
        yield live


@pytest.fixture(scope="module")
def server(session: AvatarSession) -> Iterator[WebServer]:
    with live_server(session) as running:
        yield running


class Parts:
    """Stands in for a daemon's microphone, recorder and expressions: keeps what the page asks."""

    def __init__(self) -> None:
        self.microphone: dict[str, Any] = {
            "name": "Headset", "modes": ["open", "vad", "push_to_talk"], "mode": "open", "muted": False,
        }  # fmt: skip
        self.recording: dict[str, Any] = {
            "active": False, "formats": ["mp4", "webm"], "file": "", "seconds": 0.0,
        }  # fmt: skip
        self.expression: dict[str, float] = {}
        self.talking = False
        self.panel = Panel()
        self.panel.tell("microphone", lambda _: self.microphone)
        self.panel.tell("recording", lambda _: self.recording)
        self.panel.tell("expression", lambda _: {"possible": True})
        self.panel.offer(
            "microphone_mode",
            lambda _, asked: self.microphone.update(mode=choice(asked, "mode", *self.microphone["modes"])),
        )
        self.panel.offer(
            "microphone_mute", lambda _, asked: self.microphone.update(muted=flag(asked, "muted"))
        )
        self.panel.offer("microphone_talk", lambda _, asked: setattr(self, "talking", flag(asked, "pressed")))
        self.panel.offer("set_expression", lambda _, asked: self.expression.update(numbers(asked, "values")))
        self.panel.offer(
            "record_start",
            lambda _, asked: self.recording.update(
                active=True, file="avatar." + choice(asked, "format", "mp4", "webm"), seconds=3.0
            ),
        )
        self.panel.offer("record_stop", lambda *_: self.recording.update(active=False))


def test_everything_offered_is_shown_and_asked_for(
    session: AvatarSession, toy_pack: Path, tmp_path: Path
) -> None:
    require_program("chromium", "chromedriver")
    parts = Parts()
    config = EngineConfig(pack=str(toy_pack), size_px=64)
    packs = Packs(config, lead_ms=200.0, queue_limit_s=60.0)
    other = packs.open()
    other.avatar_id, other.name = "second", "other"
    avatars = [session]
    running = WebServer(lambda: avatars, parts.panel, "127.0.0.1", 0, ENDPOINTS)
    running.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav", size=(1280, 900)) as window:
            window.open(running.url)
            wait_for(lambda: fps(window) > 0, "frames")
            for card in ("microphone", "expression", "recording"):
                wait_for(lambda card=card: window.visible(f"#{card}-card"), card)
            window.click("#daemon-microphone input[value=vad]")
            wait_for(lambda: parts.microphone["mode"] == "vad", "the mode")
            window.click("#daemon-microphone .mute")
            wait_for(lambda: window.text("#daemon-microphone .mute") == "Muted", "the answer")
            assert parts.microphone["muted"]
            window.run(
                "const s = document.querySelector('[name=mouthSmile]');"
                "s.value = 0.6; s.dispatchEvent(new Event('input'))"
            )
            wait_for(lambda: parts.expression.get("mouthSmile") == 0.6, "the smile")
            window.click("[name=record-format][value=webm]")
            window.click("#record")
            wait_for(lambda: window.text("#record").strip() == "Stop · 0:03", "recording")
            assert window.text("#record-file") == "avatar.webm"
            window.click("#record")
            wait_for(lambda: not parts.recording["active"], "its end")
            assert not window.visible("#avatars-card")
            avatars.append(other)
            wait_for(lambda: window.visible("#avatars-card"), "the list of avatars")
            window.click("#avatars li:nth-child(2) button")
            wait_for(lambda: window.text("#avatar-name") == "other", "the other avatar")
            wait_for(lambda: drawn(window)[0] == 64, "its frames")
            window.choose_file("#file", write_tone(tmp_path / "tone.wav", 20.0))
            wait_for(lambda: state(window) == "Speaking", "speaking")
            assert session.statistics().state == "idle"
            avatars.remove(other)
            other.close()
            wait_for(lambda: window.text("#avatar-name") == "toy", "the avatar that is left")
            wait_for(lambda: not window.visible("#lost") and not window.visible("#avatars-card"), "its page")
            assert window.errors() == []
    finally:
        running.close()
        other.close()
        packs.close()


def test_the_page_records_the_daemons_avatar(toy_pack: Path, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    flags = {
        "engine.pack": str(toy_pack), "engine.size_px": 64, "speech.greeting": False,
        "sockets.control_port": 0, "sockets.frames_port": 0, "page.port": 0,
        "recording.folder": str(tmp_path),
    }  # fmt: skip
    daemon = Daemon(read_settings(None, flags, environment={}))
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window:
            window.open(daemon.page_url)
            wait_for(lambda: window.visible("#recording-card"), "the card")
            window.click("[name=record-format][value=webm]")
            window.click("#record")
            wait_for(lambda: window.text("#record").strip() == "Stop · 0:01", "a second of it")
            window.click("#record")
            wait_for(lambda: window.text("#record").strip() == "Record", "its end")
            with av.open(window.text("#record-file")) as file:
                frames = sum(1 for _ in file.decode(video=0))
            assert frames >= 20 and file.name.endswith(".webm")
            assert not window.visible("#microphone-card") and window.errors() == []
    finally:
        daemon.close()


def test_a_refused_expression_hides_its_card(session: AvatarSession, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    panel = Panel()

    def refuse(_: AvatarSession, arguments: dict[str, Any]) -> None:
        raise UnsupportedError("this pack has no expressions")

    panel.offer("set_expression", refuse)
    panel.tell("expression", lambda _: {"possible": True})
    running = WebServer(lambda: [session], panel, "127.0.0.1", 0, ENDPOINTS)
    running.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window:
            window.open(running.url)
            wait_for(lambda: fps(window) > 0, "frames")
            wait_for(lambda: window.visible("#expression-card"), "the sliders")
            window.run("document.querySelector('[name=mouthSmile]').dispatchEvent(new Event('input'))")
            wait_for(lambda: not window.visible("#expression-card"), "no sliders")
            assert window.text("#note") == ""
    finally:
        running.close()

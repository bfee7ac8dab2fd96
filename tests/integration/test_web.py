"""The page in a real headless Chromium against a live avatar; what foreign sites may not do."""

from __future__ import annotations

import http.client
import json
import re
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from bridge.avatar import AvatarSession, open_session
from bridge.errors import PortError, SettingError
from bridge.outputs.web import WebServer
from engine.config import EngineConfig
from tests.integration.browser import Browser, wait_for
from tests.require import require_program

ENDPOINTS = {"Audio and control": "tcp://127.0.0.1:5570", "Frames and events": "tcp://127.0.0.1:5571"}


def write_tone(path: Path, seconds: float, rate_hz: int = 22_050) -> Path:
    tone = 0.6 * np.sin(2 * np.pi * 300.0 * np.arange(int(seconds * rate_hz)) / rate_hz)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((tone * 32_767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def session(toy_pack: Path) -> Iterator[AvatarSession]:
    live = open_session(EngineConfig(pack=str(toy_pack), size_px=128), lead_ms=200.0, queue_limit_s=60.0)
    yield live
    live.close()


@pytest.fixture(scope="module")
def server(session: AvatarSession) -> Iterator[WebServer]:
    running = WebServer(session, "127.0.0.1", 0, ENDPOINTS)
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser(server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require_program("chromium", "chromedriver")
    folder = tmp_path_factory.mktemp("browser")
    with Browser(folder / "profile", microphone=write_tone(folder / "microphone.wav", 30.0)) as window:
        window.open(server.url)
        wait_for(lambda: fps(window) > 0, "the first frames")
        yield window


def fps(browser: Browser) -> int:
    shown = browser.text("#fps")
    return int(shown) if shown.isdigit() else 0


def state(browser: Browser) -> str:
    return browser.text("#state").strip()


def page_delay_ms(browser: Browser) -> int:
    """How long the page holds pictures back; with sound on, until their sound is heard."""
    told = browser.run("return document.querySelector('#latency-box').title")
    found = re.search(r"this page (\d+) ms", told)
    return int(found[1]) if found else 0


def redness(browser: Browser) -> float:
    """Mean red of the drawn canvas; the toy avatar reddens with the loudness of what it says."""
    return float(
        browser.run(
            "const c = document.querySelector('#view'); let sum = 0;"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "for (let i = 0; i < d.length; i += 4) sum += d[i]; return sum / (d.length / 4);"
        )
    )


def test_page_shows_the_live_avatar(browser: Browser) -> None:
    assert browser.run("return [document.title, location.protocol]") == ["LLIA · toy", "http:"]
    wait_for(lambda: fps(browser) >= 15, "15 frames a second")
    wait_for(lambda: browser.text("#latency").endswith("ms"), "the latency")
    assert 80 <= int(browser.text("#latency").split()[0]) < 1_000
    width, corner, middle = browser.run(
        "const c = document.querySelector('#view'), p = c.getContext('2d');"
        "return [c.width, p.getImageData(0, 0, 1, 1).data[3], p.getImageData(64, 64, 1, 1).data[3]]"
    )
    assert (width, corner, middle) == (128, 0, 255)
    assert not browser.visible("#lost")
    assert browser.errors() == []


def test_a_file_is_spoken_and_stop_ends_it(browser: Browser, tmp_path: Path) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    quiet = redness(browser)
    browser.choose_file("#file", write_tone(tmp_path / "tone.wav", 1.5))
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    assert "tone.wav" in browser.text("#note")
    wait_for(lambda: redness(browser) > quiet + 20, "frames that show the sound")
    wait_for(lambda: state(browser) == "Idle", "the end of the file")
    wait_for(lambda: redness(browser) < quiet + 10, "quiet frames")

    browser.choose_file("#file", write_tone(tmp_path / "long.wav", 50.0))
    wait_for(lambda: state(browser) == "Speaking", "speaking again")
    browser.click("#stop")
    wait_for(lambda: state(browser) == "Idle", "idle after stop", timeout_s=2.0)
    assert browser.errors() == []


def test_a_dropped_file_is_spoken(browser: Browser) -> None:
    browser.run(
        "const samples = new Uint8Array(16000 * 2 * 2).map((_, i) => (i % 64 < 32 ? 40 : 200));"
        "const header = new DataView(new ArrayBuffer(44)); const put = (at, text) =>"
        " [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));"
        "put(0, 'RIFF'); header.setUint32(4, 36 + samples.length, true); put(8, 'WAVEfmt ');"
        "header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);"
        "header.setUint32(24, 16000, true); header.setUint32(28, 32000, true); header.setUint16(32, 2, true);"
        "header.setUint16(34, 16, true); put(36, 'data'); header.setUint32(40, samples.length, true);"
        "const files = new DataTransfer(); files.items.add(new File([header, samples], 'dropped.wav'));"
        "const event = (kind) => dispatchEvent(new DragEvent(kind, {dataTransfer: files, cancelable: true}));"
        "event('dragover'); window.overlay = document.body.className; event('drop');"
    )
    assert browser.run("return window.overlay") == "dragging"
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    browser.click("#stop")
    wait_for(lambda: state(browser) == "Idle", "idle after stop")


def test_a_file_that_is_no_sound_is_told_in_one_line(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("no sound in here " * 100)
    browser.choose_file("#file", tmp_path / "notes.mp3")
    wait_for(lambda: "not an audio file" in browser.text("#note"), "the error")
    assert browser.run("return document.querySelector('#note').dataset.kind") == "error"
    assert [line for line in browser.errors() if "400" not in line] == []


def test_state_chips_work(browser: Browser) -> None:
    for value, shown in (("listening", "Listening"), ("speaking", "Speaking"), ("idle", "Idle")):
        browser.click(f"#states input[value={value}]")
        wait_for(lambda shown=shown: state(browser) == shown, shown)
    browser.click("#states input[value=auto]")
    wait_for(lambda: state(browser) == "Idle", "idle by itself")


def test_microphone_drives_the_avatar(browser: Browser) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    quiet = redness(browser)
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    wait_for(lambda: redness(browser) > quiet + 20, "frames that show the microphone's sound")
    assert browser.visible("#level")
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Idle", "idle after the microphone")
    assert not browser.visible("#level")
    assert browser.errors() == []


def test_sound_on_keeps_pictures_in_step(browser: Browser, tmp_path: Path) -> None:
    browser.click("#sound")
    wait_for(lambda: browser.text("#sound").strip() == "Mute", "sound on")
    browser.choose_file("#file", write_tone(tmp_path / "tone.wav", 1.0))
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    wait_for(lambda: page_delay_ms(browser) > 40, "pictures that wait for their sound")
    assert fps(browser) >= 15
    browser.click("#sound")
    wait_for(lambda: browser.text("#sound").strip() == "Turn sound on", "muted")
    wait_for(lambda: page_delay_ms(browser) < 40, "pictures that come at once")
    assert browser.errors() == []


def test_backgrounds_and_addresses(browser: Browser) -> None:
    browser.click("#backgrounds input[value='#00b140']")
    colour = browser.run("return getComputedStyle(document.querySelector('#stage')).backgroundColor")
    wait_for(
        lambda: (
            browser.run("return getComputedStyle(document.querySelector('#stage')).backgroundColor")
            == "rgb(0, 177, 64)"
        ),
        f"the green screen (it was {colour})",
    )
    browser.click("#backgrounds input[value=checker]")
    listed = browser.run("return [...document.querySelectorAll('#endpoints code')].map((c) => c.textContent)")
    assert listed == list(ENDPOINTS.values())
    assert browser.run("return document.querySelectorAll('#endpoints button').length") == len(ENDPOINTS)


def test_controls_have_names_and_take_the_keyboard(browser: Browser) -> None:
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas, meter')].filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()))"
        ".map((e) => e.id || e.outerHTML)"
    )
    assert nameless == []
    unreachable = browser.run(
        "return [...document.querySelectorAll('button')].filter((e) => { e.focus();"
        " return document.activeElement !== e; }).map((e) => e.id)"
    )
    assert unreachable == []


def test_lost_connection_is_shown_and_comes_back(session: AvatarSession, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    first = WebServer(session, "127.0.0.1", 0, ENDPOINTS)
    second: WebServer | None = None
    first.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window:
            window.open(first.url)
            wait_for(lambda: fps(window) > 0, "frames")
            began_s = time.monotonic()
            first.close()
            assert time.monotonic() - began_s < 2.0
            wait_for(lambda: window.visible("#lost"), "the banner")
            assert state(window) == "Not connected"
            second = WebServer(session, "127.0.0.1", urlsplit(first.url).port or 0, ENDPOINTS)
            second.start()
            wait_for(lambda: not window.visible("#lost"), "the connection")
            wait_for(lambda: fps(window) > 0, "frames again")
    finally:
        for server in (first, second):
            if server is not None:
                server.close()


def request(
    server: WebServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Plain HTTP; underscores in header names stand for dashes."""
    link = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=10)
    try:
        link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def test_foreign_sites_cannot_drive_it(server: WebServer) -> None:
    origin = server.url.rstrip("/")
    token = json.loads(request(server, "GET", "/session")[1])["token"]
    assert request(server, "GET", "/", Host="evil.example")[0] == 403
    assert request(server, "GET", "/session", Host="evil.example:80")[0] == 403
    for headers in (
        {"X_LLIA_Token": token},
        {"X_LLIA_Token": token, "Origin": "https://evil.example"},
        {"X_LLIA_Token": "wrong", "Origin": origin},
        {"Origin": origin},
    ):
        assert request(server, "POST", "/speak", b"", **headers)[0] == 403
    for path, headers in (
        (f"/live?token={token}", {}),
        (f"/live?token={token}", {"Origin": "https://evil.example"}),
        ("/live?token=wrong", {"Origin": origin}),
        ("/live", {"Origin": origin}),
    ):
        assert request(server, "GET", path, **UPGRADE, **headers)[0] == 403


def test_too_large_and_empty_files_are_refused(server: WebServer) -> None:
    token = json.loads(request(server, "GET", "/session")[1])["token"]
    allowed = {"X_LLIA_Token": token, "Origin": server.url.rstrip("/")}
    status, text = request(server, "POST", "/speak?name=none.wav", b"", **allowed)
    assert (status, "error" in json.loads(text)) == (400, True)
    status, text = request(server, "POST", "/speak?name=huge.wav", bytes(64 * 2**20 + 1), **allowed)
    assert status == 413 and "64 MB" in json.loads(text)["error"]


def test_files_outside_the_page_are_not_served(server: WebServer) -> None:
    for path in ("/static/../viewer.py", "/static/%2e%2e/guard.py", "/static/", "/nothing"):
        assert request(server, "GET", path)[0] in (403, 404)


def test_busy_port_and_open_network_are_refused(session: AvatarSession, server: WebServer) -> None:
    with pytest.raises(PortError, match="choose another port"):
        WebServer(session, "127.0.0.1", urlsplit(server.url).port or 0, {}).start()
    with pytest.raises(SettingError, match="not loopback"):
        WebServer(session, "0.0.0.0", 0, {})

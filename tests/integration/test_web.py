"""The page in a real headless Chromium against a live avatar; what foreign sites may not do."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import threading
import time
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import numpy as np
import pytest

from bridge.avatar import AvatarSession
from bridge.errors import PortError, SettingError, UnsupportedError
from bridge.outputs.web import WORKERS, WebServer
from bridge.packs import Packs
from bridge.web.panel import Panel, choice, flag, numbers
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
    live = Packs(EngineConfig(pack=str(toy_pack), size_px=128), lead_ms=200.0, queue_limit_s=60.0).open()
    yield live
    live.close()


@pytest.fixture(scope="module")
def server(session: AvatarSession) -> Iterator[WebServer]:
    running = WebServer(lambda: [session], Panel(), "127.0.0.1", 0, ENDPOINTS)
    running.start()
    # All worker threads are there before a test counts threads.
    together, loop = threading.Barrier(WORKERS), running._loop
    assert loop is not None
    asyncio.run_coroutine_threadsafe(
        asyncio.wait([loop.run_in_executor(None, together.wait) for _ in range(WORKERS)]), loop
    ).result()
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


def origin(server: WebServer) -> str:
    return server.viewer_url.removesuffix("/view")


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
    wait_for(lambda: state(browser) == "Idle", "idle after the barge-in")
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
    assert listed[:-1] == list(ENDPOINTS.values()) and listed[-1].endswith("/view")
    assert browser.run("return document.querySelectorAll('#endpoints button').length") == len(listed)


def test_controls_have_names_and_take_the_keyboard(browser: Browser) -> None:
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas, meter')].filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()))"
        ".map((e) => e.id || e.outerHTML)"
    )
    assert nameless == []
    unreachable = browser.run(
        "return [...document.querySelectorAll('button')].filter((e) => { e.focus();"
        " return e.checkVisibility() && document.activeElement !== e; }).map((e) => e.id)"
    )
    assert unreachable == []


def test_lost_connection_is_shown_and_viewers_come_back(session: AvatarSession, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    first = WebServer(lambda: [session], Panel(), "127.0.0.1", 0, ENDPOINTS)
    second: WebServer | None = None
    first.start()
    try:
        with (
            Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window,
            Browser(tmp_path / "viewer", microphone=tmp_path / "none.wav") as viewer,
        ):
            window.open(first.url)
            viewer.open(first.viewer_url)
            wait_for(lambda: fps(window) > 0, "frames")
            wait_for(lambda: drawn(viewer)[0] == 128, "the viewer's frames")
            began_s = time.monotonic()
            first.close()
            assert time.monotonic() - began_s < 2.0
            wait_for(lambda: window.visible("#lost"), "the banner")
            assert state(window) == "Not connected"
            wait_for(lambda: drawn(viewer)[2] == 0, "an empty viewer")
            port = urlsplit(first.url).port or 0
            second = WebServer(lambda: [session], Panel(), "127.0.0.1", port, ENDPOINTS)
            second.start()
            wait_for(lambda: drawn(viewer)[2] == 255, "the viewer's frames again")
            wait_for(lambda: "started anew" in window.text("#lost"), "what to do")
            window.open(second.url)
            wait_for(lambda: fps(window) > 0, "frames again")
            assert not window.visible("#lost")
    finally:
        for server in (first, second):
            if server is not None:
                server.close()


def drawn(browser: Browser) -> tuple[int, int, int]:
    """Width of the canvas, alpha in its corner and in its middle."""
    width, corner, middle = browser.run(
        "const c = document.querySelector('#view'), p = c.getContext('2d'), h = c.width / 2;"
        "return [c.width, p.getImageData(0, 0, 1, 1).data[3], p.getImageData(h, h, 1, 1).data[3]]"
    )
    return width, corner, middle


def test_viewer_shows_only_the_avatar(server: WebServer, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav", size=(640, 360)) as viewer:
        viewer.open(f"{server.viewer_url}?avatar=default")
        wait_for(lambda: drawn(viewer) == (128, 0, 255), "the avatar on nothing")
        bodies, colours, size = viewer.run(
            "return [document.body.children.length, [document.documentElement, document.body, "
            "document.querySelector('canvas')].map((e) => getComputedStyle(e).backgroundColor), "
            "[document.querySelector('canvas').clientHeight, innerHeight]]"
        )
        assert bodies == 1 and set(colours) == {"rgba(0, 0, 0, 0)"} and size[0] == size[1]
        assert viewer.run("return document.cookie") == "" and viewer.errors() == []


def test_statistics_are_drawn(browser: Browser) -> None:
    wait_for(lambda: browser.run("return document.querySelectorAll('#legend li').length") >= 2, "stages")
    wait_for(
        lambda: browser.run(
            "const c = document.querySelector('#chart');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return d.some((value, i) => i % 4 === 0 && value > 150 && d[i + 2] < 150)"
        ),
        "the chart's first colour",
    )
    legend = browser.text("#delay-legend")
    assert "listens ahead83 ms" in legend and "computes" in legend and "transport" in legend
    wait_for(lambda: browser.text("#waiting") == "0 ms", "the queue's length")
    wait_for(lambda: browser.text("#first-frame").endswith("ms"), "the last speech's first frame")


def test_only_what_is_offered_is_shown(browser: Browser) -> None:
    for card in ("avatars", "microphone", "expression", "recording"):
        assert not browser.visible(f"#{card}-card"), card
    assert browser.visible("#stop") and browser.visible("#states")


def test_push_to_talk_and_mute_of_the_browsers_microphone(browser: Browser) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    browser.click("#own-microphone .mute")
    wait_for(lambda: state(browser) == "Idle", "idle when muted")
    browser.click("#own-microphone input[value=push_to_talk]")
    browser.click("#own-microphone .mute")
    assert browser.visible("#own-microphone .talk") and not browser.visible("#level")
    press = "const b = document.querySelector('#own-microphone .talk'); b.focus();"
    browser.run(press + "b.dispatchEvent(new KeyboardEvent('keydown', {key: ' '}))")
    wait_for(lambda: state(browser) == "Speaking", "speaking while held")
    browser.run(press + "b.dispatchEvent(new KeyboardEvent('keyup', {key: ' '}))")
    wait_for(lambda: state(browser) == "Idle", "idle after letting go")
    browser.click("#own-microphone input[value=open]")
    browser.click("#microphone")
    assert not browser.visible("#own-microphone")
    assert browser.errors() == []


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
    other = Packs(config, lead_ms=200.0, queue_limit_s=60.0).open()
    other.avatar_id, other.name = "second", "other"
    running = WebServer(lambda: [session, other], parts.panel, "127.0.0.1", 0, ENDPOINTS)
    running.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav", size=(1280, 900)) as window:
            window.open(running.url)
            wait_for(lambda: fps(window) > 0, "frames")
            for card in ("avatars", "microphone", "expression", "recording"):
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
            window.click("#avatars li:nth-child(2) button")
            wait_for(lambda: window.text("#avatar-name") == "other", "the other avatar")
            wait_for(lambda: drawn(window)[0] == 64, "its frames")
            other.close()
            wait_for(lambda: window.text("#avatar-name") == "other" and window.visible("#lost"), "its end")
            assert window.errors() == []
    finally:
        running.close()
        other.close()


def test_a_refused_expression_hides_its_card(session: AvatarSession, tmp_path: Path) -> None:
    require_program("chromium", "chromedriver")
    panel = Panel()

    def refuse(_: AvatarSession, arguments: dict[str, Any]) -> None:
        raise UnsupportedError("this pack has no expressions")

    panel.offer("set_expression", refuse)
    running = WebServer(lambda: [session], panel, "127.0.0.1", 0, ENDPOINTS)
    running.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window:
            window.open(running.url)
            wait_for(lambda: fps(window) > 0, "frames")
            assert not window.visible("#expression-card") and window.text("#note") == ""
    finally:
        running.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (400, 800)])
def test_nothing_is_cut_off(browser: Browser, width: int, height: int) -> None:
    browser.resize(width, height)
    try:
        too_wide = browser.run(
            "return [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility() &&"
            " e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.id || e.outerHTML.slice(0, 80))"
        )
        assert too_wide == []
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.resize(1280, 800)


def request(
    server: WebServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Plain HTTP; underscores in header names stand for dashes."""
    link = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=10)
    try:
        link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        link.close()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def cookie(server: WebServer) -> str:
    token = parse_qs(urlsplit(server.url).query)["token"][0]
    return f"llia_{urlsplit(server.url).port}={token}"


def test_the_printed_address_gives_the_cookie_and_nothing_else_does(server: WebServer) -> None:
    status, _, headers = request(server, "GET", "/?" + urlsplit(server.url).query)
    kept = headers["Set-Cookie"]
    assert status == 200 and kept.startswith(cookie(server))
    assert "HttpOnly" in kept and "SameSite=Strict" in kept
    assert request(server, "GET", "/", Cookie=cookie(server))[0] == 200
    for path, wrong in (
        ("/", ""),
        ("/?token=wrong", ""),
        ("/", "llia_1=wrong"),
        ("/?token=", cookie(server)[:-1]),
    ):
        before = server.refused
        status, text, headers = request(server, "GET", path, **({"Cookie": wrong} if wrong else {}))
        assert (status, server.refused) == (403, before + 1)
        assert "llia run" in text and "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/view", "/session", "/static/app.js", "/live", "/watch", "/nothing"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "127.0.0.1:1", "127.0.0.1", ""])
def test_names_that_only_resolve_here_are_refused(server: WebServer, path: str, host: str) -> None:
    """DNS rebinding: the site's name leads to this machine, its requests are its own origin's."""
    name = host.replace("PORT", str(urlsplit(server.url).port))
    right = {
        "Cookie": cookie(server),
        "Origin": f"http://{name}",
        **(UPGRADE if path in ("/live", "/watch") else {}),
    }
    assert request(server, "GET", path, Host=name, **right)[0] == 403


def test_foreign_sites_and_strangers_cannot_drive_it(server: WebServer) -> None:
    ours, token = origin(server), cookie(server)
    refused: list[dict[str, str]] = [
        {},
        {"Cookie": token},
        {"Cookie": token, "Origin": "https://evil.example"},
        {"Cookie": token, "Origin": "null"},
        {"Cookie": token, "Origin": "http://127.0.0.1:1"},
        {"Origin": ours},
        {"Origin": ours, "Cookie": token[:-1]},
        {"Origin": ours, "Cookie": token[:-1] + "\xe9"},
    ]
    for headers in refused:
        assert request(server, "POST", "/speak", b"", **headers)[0] == 403, headers
        assert request(server, "GET", "/live", **UPGRADE, **headers)[0] == 403, headers
        query = "/live?" + urlsplit(server.url).query  # the address's token is for the page alone
        assert request(server, "GET", query, **UPGRADE, **headers)[0] == 403, headers
    for headers in refused[:5]:
        assert request(server, "GET", "/watch", **UPGRADE, **headers)[0] == 403, headers
    assert request(server, "GET", "/session")[0] == 403
    assert request(server, "GET", "/session", Cookie=token)[0] == 200
    assert request(server, "GET", "/live?avatar=nobody", Origin=ours, Cookie=token, **UPGRADE)[0] == 404


async def _talk(url: str, messages: list[str | bytes], headers: dict[str, str]) -> list[dict[str, Any]]:
    """JSON answers up to one error or ok per message."""
    answers = []
    async with aiohttp.ClientSession() as client, client.ws_connect(url, headers=headers) as live:
        for message in messages:
            await (live.send_str(message) if isinstance(message, str) else live.send_bytes(message))
            while True:
                answer = await live.receive(timeout=5.0)
                if answer.type is aiohttp.WSMsgType.TEXT and answer.json()["type"] in ("error", "ok"):
                    answers.append(answer.json())
                    break
    return answers


def test_a_viewer_takes_no_commands(server: WebServer) -> None:
    url = origin(server).replace("http", "ws") + "/watch"
    messages: list[str | bytes] = [
        '{"type": "cancel"}',
        "x",
        b"\0\0",
        '{"type": "set_state", "state": "idle"}',
    ]
    for answer in asyncio.run(_talk(url, messages, {"Origin": origin(server)})):
        assert answer["type"] == "error" and "command" in answer["text"]


def test_wrong_commands_are_told_and_survived(server: WebServer) -> None:
    url = origin(server).replace("http", "ws") + "/live"
    wrong: list[str | bytes] = [
        "[]", "{", '{"type": 1}', '{"type": "nonesuch", "id": 7}', '{"type": "set_state", "state": []}',
        '{"type": "microphone_start", "sample_rate_hz": 1}', b"\0\0", "[" * 60_000,
    ]  # fmt: skip
    headers = {"Origin": origin(server), "Cookie": cookie(server)}
    *errors, last = asyncio.run(_talk(url, [*wrong, '{"type": "cancel", "id": 8}'], headers))
    assert [error["type"] for error in errors] == ["error"] * len(wrong)
    assert (errors[3]["code"], errors[3]["id"]) == ("unsupported", 7)
    assert last == {"type": "ok", "id": 8}


def test_pages_forbid_frames_and_foreign_scripts(server: WebServer) -> None:
    for path in ("/", "/nothing", "/session", "/static/app.js"):
        headers = request(server, "GET", path)[2]
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "script-src 'self';" in policy
        assert "unsafe" not in policy and headers["X-Content-Type-Options"] == "nosniff"
    policy = request(server, "GET", "/view")[2]["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'self' http://127.0.0.1:* http://localhost:*")
    for document in ("index.html", "view.html", "closed.html"):
        text = request(server, "GET", f"/static/{document}")[1]
        assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=| style=", text), document


FOREIGN_PAGE = b"""<!doctype html><script>
const at = location.hash.slice(1), told = (name, promise) =>
  promise.then(() => "came through", () => "refused").then((end) => (results[name] = end));
const results = {};
const open = (path) => new Promise((yes, no) => {
  const socket = new WebSocket(at.replace("http", "ws") + path);
  socket.onopen = yes; socket.onerror = no;
});
told("read", fetch(at + "/session", {credentials: "include"}));
told("upload", fetch(at + "/speak", {method: "POST", body: "x", credentials: "include"}));
told("live", open("/live"));
told("watch", open("/watch"));
const frame = document.createElement("iframe");
frame.src = at + "/";
frame.onload = () => (results.frame = "loaded");
onload = () => document.body.append(frame);
</script><body></body>"""


class ForeignSite(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(FOREIGN_PAGE)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def test_a_site_in_the_same_browser_is_kept_out(server: WebServer, tmp_path: Path) -> None:
    """The worst case: the site is on loopback, too, so that the browser sends it our cookie."""
    require_program("chromium", "chromedriver")
    site = ThreadingHTTPServer(("127.0.0.1", 0), ForeignSite)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav") as window:
            window.open(server.url)
            wait_for(lambda: fps(window) > 0, "frames")
            window.errors()
            before = server.refused
            window.open(f"http://127.0.0.1:{site.server_port}/#{origin(server)}")
            wait_for(lambda: len(window.run("return results")) == 5, "all tries")
            results = window.run("return results")
            results.pop("frame")
            assert set(results.values()) == {"refused"} and len(results) == 4
            assert any("frame-ancestors" in line for line in window.errors())
            assert server.refused >= before + 3  # the upload and both sockets reached the server
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def test_too_large_and_empty_files_are_refused(server: WebServer) -> None:
    allowed = {"Cookie": cookie(server), "Origin": origin(server)}
    status, text, _ = request(server, "POST", "/speak?name=none.wav", b"", **allowed)
    assert (status, "error" in json.loads(text)) == (400, True)
    status, text, _ = request(server, "POST", "/speak?name=huge.wav", bytes(64 * 2**20 + 1), **allowed)
    assert status == 413 and "64 MB" in json.loads(text)["error"]


def test_files_outside_the_page_are_not_served(server: WebServer) -> None:
    for path in ("/static/../viewer.py", "/static/%2e%2e/guard.py", "/static/", "/nothing"):
        assert request(server, "GET", path)[0] in (403, 404)


def test_busy_port_and_open_network_are_refused(session: AvatarSession, server: WebServer) -> None:
    with pytest.raises(PortError, match="choose another port"):
        WebServer(lambda: [session], Panel(), "127.0.0.1", urlsplit(server.url).port or 0).start()
    with pytest.raises(SettingError, match="not loopback"):
        WebServer(lambda: [session], Panel(), "0.0.0.0", 0)

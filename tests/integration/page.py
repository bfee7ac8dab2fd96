"""What the page's tests share: a live avatar, its server, looks at the page, plain HTTP."""

from __future__ import annotations

import asyncio
import http.client
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from bridge.avatar import AvatarSession
from bridge.meter import Counter
from bridge.outputs.web import WORKERS, WebServer
from bridge.packs import Packs
from bridge.web.panel import Panel
from engine.config import EngineConfig
from tests.integration.browser import Browser

ENDPOINTS = {"Audio and control": "tcp://127.0.0.1:5570", "Frames and events": "tcp://127.0.0.1:5571"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@contextmanager
def live_avatar(pack: Path) -> Iterator[AvatarSession]:
    packs = Packs(EngineConfig(pack=str(pack), size_px=128), lead_ms=200.0, queue_limit_s=60.0)
    live = packs.open()
    try:
        yield live
    finally:
        live.close()
        packs.close()


@contextmanager
def live_server(session: AvatarSession, counter: Counter | None = None) -> Iterator[WebServer]:
    running = WebServer(lambda: [session], Panel(), "127.0.0.1", 0, ENDPOINTS, counter)
    running.start()
    # All worker threads are there before a test counts threads.
    together, loop = threading.Barrier(WORKERS), running._loop
    assert loop is not None
    asyncio.run_coroutine_threadsafe(
        asyncio.wait([loop.run_in_executor(None, together.wait) for _ in range(WORKERS)]), loop
    ).result()
    try:
        yield running
    finally:
        running.close()


def write_tone(path: Path, seconds: float, rate_hz: int = 22_050) -> Path:
    tone = 0.6 * np.sin(2 * np.pi * 300.0 * np.arange(int(seconds * rate_hz)) / rate_hz)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((tone * 32_767).astype("<i2").tobytes())
    return path


def origin(server: WebServer) -> str:
    return server.viewer_url.removesuffix("/view")


def fps(browser: Browser) -> int:
    shown = browser.text("#fps")
    return int(shown) if shown.isdigit() else 0


def state(browser: Browser) -> str:
    return browser.text("#state").strip()


def redness(browser: Browser) -> float:
    """Mean red of the drawn canvas; the toy avatar reddens with the loudness of what it says."""
    return float(
        browser.run(
            "const c = document.querySelector('#view'); let sum = 0;"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "for (let i = 0; i < d.length; i += 4) sum += d[i]; return sum / (d.length / 4);"
        )
    )


def drawn(browser: Browser) -> tuple[int, int, int]:
    """Width of the canvas, alpha in its corner and in its middle."""
    width, corner, middle = browser.run(
        "const c = document.querySelector('#view'), p = c.getContext('2d'), h = c.width / 2;"
        "return [c.width, p.getImageData(0, 0, 1, 1).data[3], p.getImageData(h, h, 1, 1).data[3]]"
    )
    return width, corner, middle


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


def cookie(server: WebServer) -> str:
    token = parse_qs(urlsplit(server.url).query)["token"][0]
    return f"llia_{urlsplit(server.url).port}={token}"

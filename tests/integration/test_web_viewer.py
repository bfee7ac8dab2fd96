"""The viewer for OBS and overlays, and what pages do when the daemon goes and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from bridge.avatar import AvatarSession
from bridge.outputs.web import WebServer
from bridge.web.panel import Panel
from tests.integration.browser import Browser, wait_for
from tests.integration.page import (
    ENDPOINTS,
    drawn,
    fps,
    live_avatar,
    live_server,
    redness,
    state,
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


LISTEN = """window.heard = 0;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const ear = new AnalyserNode(this.context), wave = new Float32Array(ear.fftSize);
    connect.call(this, ear);
    setInterval(() => {
      ear.getFloatTimeDomainData(wave);
      heard = Math.max(heard, ...wave);
    }, 20);
  }
  return connect.call(this, to, ...rest);
};"""
"""Keeps the loudest sample that a page sends to the loudspeaker."""

WATCH = """window.reddest = -1;
const canvas = document.querySelector("#view");
setInterval(() => {
  const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
  reddest = Math.max(reddest, row.filter((_, i) => i % 4 === 0).reduce((a, b) => a + b) / canvas.width);
}, 30);"""
"""Keeps the reddest that the picture's middle row has been: a slow look from outside may miss it."""


@pytest.mark.parametrize(("query", "plays"), [("", False), ("?sound=1", True)])
def test_viewer_plays_the_voice_where_it_is_asked_to(
    session: AvatarSession, server: WebServer, tmp_path: Path, query: str, plays: bool
) -> None:
    require_program("chromium", "chromedriver")
    allowed = ("--autoplay-policy=no-user-gesture-required",)  # as in OBS's browser
    with Browser(tmp_path / "profile", microphone=tmp_path / "none.wav", flags=allowed) as viewer:
        viewer.run_first(LISTEN)
        viewer.open(server.viewer_url + query)
        wait_for(lambda: drawn(viewer) == (128, 0, 255), "frames")
        wait_for(lambda: session.statistics().state == "idle", "silence")
        quiet = redness(viewer)
        viewer.run(WATCH)
        wait_for(lambda: viewer.run("return reddest") >= 0, "a first look")
        before = viewer.run("return reddest")
        tone = np.sin(np.arange(32_000, dtype=np.float32)) * 0.6
        session.push_audio(tone, 16_000, f"voice{query}")
        session.end_utterance(f"voice{query}")
        wait_for(lambda: viewer.run("return reddest") > before + 20, "frames that show the voice")
        wait_for(lambda: session.statistics().state == "idle", "its end")
        wait_for(lambda: redness(viewer) < quiet + 10, "quiet frames")
        heard = viewer.run("return heard")
        assert 0.5 < heard < 0.7 if plays else heard == 0
        assert viewer.errors() == []

"""Who may not drive the page: foreign sites, strangers, rebound names; by HTTP and in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from bridge.avatar import AvatarSession
from bridge.errors import PortError, SettingError
from bridge.meter import Counter
from bridge.outputs.web import WebServer
from bridge.web.panel import Panel
from tests.integration.browser import Browser, wait_for
from tests.integration.page import (
    UPGRADE,
    cookie,
    fps,
    live_avatar,
    live_server,
    origin,
    request,
)
from tests.require import require_program

COUNTER = Counter()


@pytest.fixture(scope="module")
def session(toy_pack: Path) -> Iterator[AvatarSession]:
    with live_avatar(toy_pack) as live:
        yield live


@pytest.fixture(scope="module")
def server(session: AvatarSession) -> Iterator[WebServer]:
    with live_server(session, COUNTER) as running:
        yield running


def refused() -> int:
    return COUNTER.counts().get("page_strangers", 0)


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
        before = refused()
        status, text, headers = request(server, "GET", path, **({"Cookie": wrong} if wrong else {}))
        assert (status, refused()) == (403, before + 1)
        assert "llia run" in text and "Set-Cookie" not in headers


def test_the_daemon_prints_the_address_and_owns_it(toy_pack: Path) -> None:
    ports = [f"--{name}-port=0" for name in ("control", "frames", "page")]
    command = ["run", "--pack", str(toy_pack), "--size", "64", "--no-greeting", *ports]
    daemon = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", *command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert daemon.stdout is not None
        printed = next(line.split()[1] for line in daemon.stdout if line.startswith("page "))
        assert len(printed) < 66  # stays in one line of a narrow terminal, name and margin included
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(printed, timeout=10) as page:
            assert page.status == 200 and "HttpOnly" in page.headers["Set-Cookie"]
    finally:
        daemon.send_signal(signal.SIGINT)
        daemon.communicate(timeout=10)


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
    strangers: list[dict[str, str]] = [
        {},
        {"Cookie": token},
        {"Cookie": token, "Origin": "https://evil.example"},
        {"Cookie": token, "Origin": "null"},
        {"Cookie": token, "Origin": "http://127.0.0.1:1"},
        {"Origin": ours},
        {"Origin": ours, "Cookie": token[:-1]},
        {"Origin": ours, "Cookie": token[:-1] + "\xe9"},
    ]
    for headers in strangers:
        assert request(server, "POST", "/speak", b"", **headers)[0] == 403, headers
        assert request(server, "GET", "/live", **UPGRADE, **headers)[0] == 403, headers
        query = "/live?" + urlsplit(server.url).query  # the address's token is for the page alone
        assert request(server, "GET", query, **UPGRADE, **headers)[0] == 403, headers
    for headers in strangers[:5]:
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
            before = refused()
            window.open(f"http://127.0.0.1:{site.server_port}/#{origin(server)}")
            wait_for(lambda: len(window.run("return results")) == 5, "all tries")
            results = window.run("return results")
            results.pop("frame")
            assert set(results.values()) == {"refused"} and len(results) == 4
            assert any("frame-ancestors" in line for line in window.errors())
            assert refused() >= before + 3  # the upload and both sockets reached the server
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

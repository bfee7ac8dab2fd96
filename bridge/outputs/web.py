"""The page on loopback: the live avatar in a browser, audio in by file or microphone; a viewer for OBS."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bridge.errors import BridgeError, PortError, SettingError
from bridge.meter import Counter
from bridge.web.controller import Controller
from bridge.web.guard import LOOPBACK_NAMES, SECURITY_HEADERS, VIEWER_HEADERS, Guard
from bridge.web.panel import Panel
from bridge.web.uploads import MAX_AT_ONCE, MAX_UPLOAD_BYTES, Upload
from bridge.web.viewer import MAX_MESSAGE_BYTES, Viewer

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5580
STATIC = Path(__file__).parents[1] / "web" / "static"
MAX_VIEWERS = 16
WORKERS = 6
"""Threads for what may wait: files, commands, decoding."""
MAX_NAME_CHARS = 120
UPLOAD_BEGIN_TIMEOUT_S = 10.0


class WebServer:
    """Serves the page from a thread and event loop of its own.

    Attributes:
        url: address of the page with its token, "" before `start`; whoever has it can drive the avatars.
        viewer_url: address of the viewer for OBS, which takes no commands; "" before `start`.
    """

    def __init__(
        self,
        avatars: Callable[[], Sequence[AvatarSession]],
        panel: Panel,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        endpoints: dict[str, str] | None = None,
        counter: Counter | None = None,
    ) -> None:
        """Prepares the server; `start` opens it.

        Args:
            avatars: gives the open avatars, the default one first; they stay their owner's to close.
            panel: what the page may ask besides.
            host: a loopback address.
            port: 1..65535, 0 takes any free one.
            endpoints: shown on the page with copy buttons, address by name.
            counter: counts refused requests as `page_strangers`.

        Raises:
            SettingError: the host is not a loopback address.
        """
        if host not in (*LOOPBACK_NAMES, "::1"):
            raise SettingError(
                f"web host {host!r} is not loopback; use 127.0.0.1, the page is for this machine only"
            )
        self.url = self.viewer_url = ""
        self._avatars = avatars
        self._panel = panel
        panel.tell("avatars", lambda _: {"open": self._described()})
        self._host = host.strip("[]")
        self._port = port
        self._endpoints = endpoints or {}
        self._counter = counter or Counter()
        self._guard = Guard(port)
        self._live_sockets: set[web.WebSocketResponse] = set()
        self._uploads: list[Upload] = []
        self._upload_numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.5)

    def start(self) -> None:
        """Opens the port; returns when the page can be loaded.

        Raises:
            PortError: the port is taken or not allowed.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            raise PortError(
                f"page: cannot open {self._host}:{self._port} ({error.strerror or error}); "
                "end the program that uses it or choose another port"
            ) from error
        port = listener.getsockname()[1]
        self._guard = Guard(port)
        address = f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{port}"
        self.url = f"{address}/?token={self._guard.token}"
        self.viewer_url = f"{address}/view"
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(WORKERS, "web-worker"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="web", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(listener), self._loop).result()

    def close(self) -> None:
        """Says goodbye to all pages and ends the thread; calling it again does nothing."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(loop), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        for upload in self._uploads:
            upload.stop()

    async def _open(self, listener: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        farewells = [live.close(code=1001, message=b"the daemon ends") for live in self._live_sockets]
        await asyncio.gather(*farewells)
        await self._runner.cleanup()
        await loop.shutdown_default_executor()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._check], client_max_size=MAX_UPLOAD_BYTES)
        application.router.add_get("/", self._page)
        application.router.add_get("/view", self._view)
        application.router.add_get("/session", self._describe)
        application.router.add_get("/live", self._live)
        application.router.add_get("/watch", self._watch)
        application.router.add_post("/speak", self._speak)
        application.router.add_static("/static/", STATIC)
        return application

    @web.middleware
    async def _check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        headers = VIEWER_HEADERS if request.path == "/view" else SECURITY_HEADERS
        try:
            self._guard.check_host(request)
            response = await handler(request)
        except web.HTTPException as refusal:
            if isinstance(refusal, web.HTTPForbidden):
                self._counter.add("page_strangers")
            refusal.headers.update(headers)
            raise
        if not response.prepared:
            response.headers.update(headers)
        return response

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """The page; the printed address carries the token, afterwards the cookie does."""
        response = web.FileResponse(STATIC / "index.html")
        if self._guard.knows(request.query.get("token", "")):
            self._guard.keep_token(response)
            return response
        try:
            self._guard.check_token(request)
        except web.HTTPForbidden:
            self._counter.add("page_strangers")
            return web.FileResponse(STATIC / "closed.html", status=403)
        return response

    async def _view(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "view.html")

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        """Tells what stays the same; browsers let no other site read the answer."""
        self._guard.check_token(request)
        return web.json_response(
            {
                "avatars": self._described(),
                "endpoints": {**self._endpoints, "OBS browser source": self.viewer_url},
                "max_upload_bytes": MAX_UPLOAD_BYTES,
            }
        )

    def _described(self) -> list[dict[str, Any]]:
        """The open avatars."""
        return [
            {
                "avatar_id": session.avatar_id,
                "name": session.name or session.avatar_id,
                "size_px": session.size_px,
                "fps": session.fps,
                "lookahead_ms": session.lookahead_ms,
                "provider": session.provider,
            }
            for session in self._avatars()
        ]

    async def _live(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_origin(request)
        self._guard.check_token(request)
        session = self._session(request)
        return await self._talk(request, session, lambda live: Controller(session, live, self._panel))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Needs no token: an OBS scene keeps its address over restarts, and a viewer takes no commands."""
        self._guard.check_origin(request)
        session = self._session(request)
        sound = request.query.get("sound", "") == "1"
        return await self._talk(request, session, lambda live: Viewer(session, live, sound=sound))

    def _session(self, request: web.Request) -> AvatarSession:
        avatar_id, avatars = request.query.get("avatar", ""), self._avatars()
        for session in avatars:
            if avatar_id in ("", session.avatar_id):
                return session
        known = ", ".join(session.avatar_id for session in avatars) or "none"
        raise web.HTTPNotFound(text=f"there is no avatar {avatar_id[:MAX_NAME_CHARS]!r}; open are: {known}\n")

    async def _talk(
        self,
        request: web.Request,
        session: AvatarSession,
        make: Callable[[web.WebSocketResponse], Viewer],
    ) -> web.StreamResponse:
        if len(self._live_sockets) >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VIEWERS} pages are open already; close one\n")
        # No compression: deflating pictures would cost more than sending them over loopback.
        live = web.WebSocketResponse(
            heartbeat=10.0, timeout=1.0, compress=False, max_msg_size=MAX_MESSAGE_BYTES
        )
        self._live_sockets.add(live)
        try:
            await live.prepare(request)
            await make(live).serve({"state": session.statistics().state, "size_px": session.size_px})
        finally:
            self._live_sockets.discard(live)
        return live

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        self._guard.check_origin(request)
        self._guard.check_token(request)
        session = self._session(request)
        self._uploads = [upload for upload in self._uploads if upload.is_alive()]
        if len(self._uploads) >= MAX_AT_ONCE:
            return _refusal(
                429, f"{MAX_AT_ONCE} files are being spoken already; wait for one to end or press Stop"
            )
        try:
            data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _refusal(
                413, f"the file is larger than {MAX_UPLOAD_BYTES // 2**20} MB; send a shorter one"
            )
        name = (
            "".join(c for c in request.query.get("name", "") if c.isprintable())[:MAX_NAME_CHARS]
            or "the file"
        )
        utterance_id = f"page-file-{next(self._upload_numbers)}"
        upload = Upload(session, data, name, utterance_id)
        self._uploads.append(upload)
        upload.start()
        try:
            await asyncio.to_thread(upload.wait_begun, UPLOAD_BEGIN_TIMEOUT_S)
        except BridgeError as error:
            return _refusal(400, str(error))
        return web.json_response({"utterance_id": utterance_id}, status=202)


def _refusal(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)

"""One browser's live picture: frames, sound and events out; `bridge.web.controller` adds commands in.

Binary messages of the server start with 24 bytes, little endian:
uint8 kind (1 picture, 2 sound), uint8 state, uint8 flags (1: sound of a page's own microphone), uint8 0,
uint32 width, uint32 height, uint32 epoch, float64 pts in 16 kHz samples; then RGBA bytes or float32 samples.
The page answers each picture with `{"type": "ack"}`; one that does not keep up is never more than
`WINDOW_FRAMES` behind and then gets the newest. All the rest is JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from bridge.errors import BridgeError
from bridge.protocol.messages import Event
from engine.types import AudioChunk, VideoFrame

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

HEADER = struct.Struct("<BBBxIIId")
PICTURE, SOUND = 1, 2
OWN_MICROPHONE = 1
WINDOW_FRAMES = 3
MAX_MESSAGE_BYTES = 64 * 1024
MICROPHONE_PREFIX = "page-microphone-"
LOOK_S = 1.0
"""How often a silent avatar is looked at: it may have been closed."""
AVATAR_CLOSED = 4404
"""WebSocket close code: the avatar was closed."""

_log = logging.getLogger(__name__)


class Viewer:
    """Serves one WebSocket until the page, the avatar or the server ends it. Takes nothing but `ack`."""

    def __init__(self, session: AvatarSession, socket: web.WebSocketResponse, *, sound: bool) -> None:
        """Joins the session's relays; call from the event loop's thread.

        Args:
            session: the avatar shown.
            socket: prepared.
            sound: send what is heard with the frames, too.
        """
        loop = asyncio.get_running_loop()
        self._session = session
        self._socket = socket
        self._news = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; so has this viewer
                loop.call_soon_threadsafe(self._news.set)

        self._frames = session.frames.subscribe(newest=True, notify=wake)
        self._audio = session.audio.subscribe(newest=False, notify=wake) if sound else None
        self._events = session.events.subscribe(newest=False, notify=wake)
        self._unanswered_s: deque[float] = deque()
        self._transport_ms = 0.0

    async def serve(self, welcome: dict[str, Any]) -> None:
        """Talks with the page until it goes or the server closes.

        Args:
            welcome: fields of the first message.
        """
        sender = asyncio.create_task(self._send_until_end())
        try:
            await self._socket.send_json({"type": "welcome", **welcome})
            async for message in self._socket:
                try:
                    await self._receive(message)
                except BridgeError as error:
                    await self._socket.send_json({"type": "error", "code": error.code, "text": str(error)})
        except ConnectionError:
            pass  # the page has gone; nothing is owed to it
        finally:
            for subscription in (self._frames, self._audio, self._events):
                if subscription is not None:
                    subscription.close()
            await self._leave()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _receive(self, message: WSMessage) -> None:
        command = read_command(message.data) if message.type is WSMsgType.TEXT else {"type": "sound"}
        if command["type"] != "ack":
            raise BridgeError("this is a viewer: it takes no commands; open the page to drive the avatar")
        self._acknowledged()

    async def _leave(self) -> None:
        """The page has gone."""

    async def _told(self, event: Event) -> None:
        await self._socket.send_json(self._described(event))

    def _acknowledged(self) -> None:
        if self._unanswered_s:
            took_ms = (time.monotonic() - self._unanswered_s.popleft()) * 1_000.0
            self._transport_ms += (took_ms - self._transport_ms) / 8.0
        self._news.set()

    async def _send_until_end(self) -> None:
        try:
            await self._send_news()
        except ConnectionError:
            pass  # the page has gone; `serve` ends
        except Exception:  # our own bug: the page comes back by itself
            _log.exception("a page's connection failed")
            await self._socket.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _send_news(self) -> None:
        while not self._socket.closed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_S)
            self._news.clear()
            while (event := self._events.get(0)) is not None:
                await self._told(event)
            while self._audio is not None and (chunk := self._audio.get(0)) is not None:
                await self._socket.send_bytes(_sound(chunk))
            if len(self._unanswered_s) < WINDOW_FRAMES and (frame := self._frames.get(0)) is not None:
                self._unanswered_s.append(time.monotonic())
                await self._socket.send_bytes(_picture(frame))
            elif self._frames.closed:
                await self._socket.close(code=AVATAR_CLOSED, message=b"the avatar was closed")

    def _described(self, event: Event) -> dict[str, Any]:
        described = {"type": event.type, **dataclasses.asdict(event)}
        if event.type == "statistics":
            described["transport_ms"] = round(self._transport_ms, 1)
        return described


def read_command(text: str) -> dict[str, Any]:
    """A page's JSON message; its `type` is a text.

    Raises:
        BridgeError: it is something else.
    """
    try:
        command = json.loads(text)
    except (ValueError, RecursionError):
        command = None
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise BridgeError(f"not a command: {text[:60]!r}")
    return command


def _picture(frame: VideoFrame) -> bytes:
    height, width = frame.rgba.shape[:2]
    header = HEADER.pack(PICTURE, frame.state, 0, width, height, frame.epoch, float(frame.pts_samples))
    return header + frame.rgba.tobytes()


def _sound(chunk: AudioChunk) -> bytes:
    own = OWN_MICROPHONE if chunk.utterance_id.startswith(MICROPHONE_PREFIX) else 0
    header = HEADER.pack(SOUND, 0, own, 0, 0, 0, float(chunk.start_samples))
    return header + chunk.samples.astype("<f4").tobytes()

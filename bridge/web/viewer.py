"""One browser's live connection: frames, sound and events out, microphone and commands in.

Binary messages of the server start with 24 bytes, little endian:
uint8 kind (1 picture, 2 sound), uint8 state, uint8 flags (1: sound of a page's own microphone), uint8 0,
uint32 width, uint32 height, uint32 epoch, float64 pts in 16 kHz samples; then RGBA bytes or float32 samples.
The page answers each picture with `{"type": "ack"}`; one that does not keep up is never more than
`WINDOW_FRAMES` behind and then gets the newest.
Binary messages of the page are microphone samples, int16 mono. All the rest is JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import WSMsgType, web

from bridge.errors import BridgeError, UtteranceCancelledError
from bridge.protocol.messages import Event
from engine.types import AudioChunk, AvatarState, VideoFrame

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

HEADER = struct.Struct("<BBBxIIId")
PICTURE, SOUND = 1, 2
OWN_MICROPHONE = 1
WINDOW_FRAMES = 3
MAX_MESSAGE_BYTES = 64 * 1024
MICROPHONE_PREFIX = "page-microphone-"
STATES = {"auto": None, **{state.name.lower(): state for state in AvatarState}}

_microphones = itertools.count(1)


class Viewer:
    """Serves one WebSocket until either side ends it."""

    def __init__(self, session: AvatarSession, socket: web.WebSocketResponse) -> None:
        """Joins the session's relays; call from the event loop's thread."""
        loop = asyncio.get_running_loop()
        self._session = session
        self._socket = socket
        self._news = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; so has this viewer
                loop.call_soon_threadsafe(self._news.set)

        self._frames = session.frames.subscribe(newest=True, notify=wake)
        self._audio = session.audio.subscribe(newest=False, notify=wake)
        self._events = session.events.subscribe(newest=False, notify=wake)
        self._unanswered_s: deque[float] = deque()
        self._transport_ms = 0.0
        self._microphone: tuple[str, int] | None = None

    async def serve(self, welcome: dict[str, Any]) -> None:
        """Talks with the page until it goes or the server closes."""
        sender = asyncio.create_task(self._send_news())
        try:
            await self._socket.send_json({"type": "welcome", **welcome})
            async for message in self._socket:
                try:
                    if message.type is WSMsgType.BINARY:
                        await self._hear(message.data)
                    elif message.type is WSMsgType.TEXT:
                        await self._obey(message.data)
                except BridgeError as error:
                    await self._socket.send_json({"type": "error", "text": str(error)})
        except ConnectionError:
            pass  # the page has gone; nothing is owed to it
        finally:
            for subscription in (self._frames, self._audio, self._events):
                subscription.close()
            await self._end_microphone()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send_news(self) -> None:
        while not self._socket.closed:
            await self._news.wait()
            self._news.clear()
            while (event := self._events.get(0)) is not None:
                await self._socket.send_json(self._described(event))
            while (chunk := self._audio.get(0)) is not None:
                await self._socket.send_bytes(_sound(chunk))
            if len(self._unanswered_s) < WINDOW_FRAMES and (frame := self._frames.get(0)) is not None:
                self._unanswered_s.append(time.monotonic())
                await self._socket.send_bytes(_picture(frame))

    def _described(self, event: Event) -> dict[str, Any]:
        described = {"type": event.type, **dataclasses.asdict(event)}
        if event.type == "statistics":
            described["transport_ms"] = round(self._transport_ms, 1)
        return described

    async def _hear(self, data: bytes) -> None:
        if self._microphone is None:
            raise BridgeError("microphone samples came before microphone_start; turn the microphone on again")
        utterance_id, rate_hz = self._microphone
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32_768.0
        try:
            await asyncio.to_thread(self._session.push_audio, samples, rate_hz, utterance_id, live=True)
        except UtteranceCancelledError:  # another page or client pressed stop; this microphone goes on
            self._renew_microphone()

    async def _obey(self, text: str) -> None:
        try:
            command = json.loads(text)
            kind = command["type"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BridgeError(f"not a command: {text[:60]!r}") from error
        if kind == "ack":
            if self._unanswered_s:
                took_ms = (time.monotonic() - self._unanswered_s.popleft()) * 1_000.0
                self._transport_ms += (took_ms - self._transport_ms) / 8.0
            self._news.set()
        elif kind == "set_state":
            state = command.get("state")
            if not isinstance(state, str) or state not in STATES:
                raise BridgeError(f"unknown state {state!r}; known are {', '.join(STATES)}")
            await asyncio.to_thread(self._session.set_state, STATES[state])
        elif kind == "cancel":
            await asyncio.to_thread(self._session.cancel)
            self._renew_microphone()
        elif kind == "microphone_start":
            await self._end_microphone()
            rate_hz = command.get("sample_rate_hz")
            if not isinstance(rate_hz, int) or not 8_000 <= rate_hz <= 192_000:
                raise BridgeError(f"microphone at {rate_hz!r} Hz; 8000 to 192000 is possible")
            self._microphone = (f"{MICROPHONE_PREFIX}{next(_microphones)}", rate_hz)
        elif kind == "microphone_stop":
            await self._end_microphone()
        else:
            raise BridgeError(f"unknown command {str(kind)[:60]!r}")

    def _renew_microphone(self) -> None:
        """A barge-in ends the running utterance; an open microphone goes on under a new name."""
        if self._microphone is not None:
            self._microphone = (f"{MICROPHONE_PREFIX}{next(_microphones)}", self._microphone[1])

    async def _end_microphone(self) -> None:
        if self._microphone is not None:
            utterance_id, _ = self._microphone
            self._microphone = None
            await asyncio.to_thread(self._session.end_utterance, utterance_id)


def _picture(frame: VideoFrame) -> bytes:
    height, width = frame.rgba.shape[:2]
    header = HEADER.pack(PICTURE, frame.state, 0, width, height, frame.epoch, float(frame.pts_samples))
    return header + frame.rgba.tobytes()


def _sound(chunk: AudioChunk) -> bytes:
    own = OWN_MICROPHONE if chunk.utterance_id.startswith(MICROPHONE_PREFIX) else 0
    header = HEADER.pack(SOUND, 0, own, 0, 0, 0, float(chunk.start_samples))
    return header + chunk.samples.astype("<f4").tobytes()

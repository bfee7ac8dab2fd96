"""The control page's connection: a viewer that also takes commands and the browser's microphone.

Binary messages of the page are microphone samples, int16 mono, between `microphone_start` (with
`sample_rate_hz`) and `microphone_stop`; every other command is the panel's, see `bridge.web.panel`.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import WSMessage, WSMsgType, web

from bridge.errors import BridgeError, UtteranceCancelledError
from bridge.protocol.messages import Event
from bridge.web.panel import Panel
from bridge.web.viewer import MICROPHONE_PREFIX, Viewer, read_command

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

_microphones = itertools.count(1)


class Controller(Viewer):
    """A viewer that drives its avatar."""

    def __init__(self, session: AvatarSession, socket: web.WebSocketResponse, panel: Panel) -> None:
        """Joins the session's relays, sound included; call from the event loop's thread.

        Args:
            session: the avatar shown and driven.
            socket: prepared.
            panel: what may be asked.
        """
        super().__init__(session, socket, sound=True)
        self._panel = panel
        self._microphone: tuple[str, int] | None = None

    async def serve(self, welcome: dict[str, Any]) -> None:
        """Talks with the page; tells first what it may ask."""
        states = await asyncio.to_thread(self._panel.states, self._session)
        await super().serve({**welcome, "offers": self._panel.offers, "parts": states})

    async def _receive(self, message: WSMessage) -> None:
        if message.type is WSMsgType.BINARY:
            await self._hear(message.data)
        elif message.type is WSMsgType.TEXT:
            await self._obey(read_command(message.data))

    async def _leave(self) -> None:
        await self._end_microphone()

    async def _told(self, event: Event) -> None:
        await super()._told(event)
        if event.type == "statistics":
            await self._tell_states()

    async def _tell_states(self) -> None:
        states = await asyncio.to_thread(self._panel.states, self._session)
        if states:
            await self._socket.send_json({"type": "parts", "parts": states})

    async def _hear(self, data: bytes) -> None:
        if self._microphone is None:
            raise BridgeError("microphone samples came before microphone_start; turn the microphone on again")
        utterance_id, rate_hz = self._microphone
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32_768.0
        try:
            await asyncio.to_thread(self._session.push_audio, samples, rate_hz, utterance_id, live=True)
        except UtteranceCancelledError:  # another page or client pressed stop; this microphone goes on
            self._renew_microphone()

    async def _obey(self, command: dict[str, Any]) -> None:
        kind = command["type"]
        if kind == "ack":
            self._acknowledged()
            return
        number = command.get("id")
        answer = {"id": number} if isinstance(number, int) else {}
        try:
            if kind == "microphone_start":
                await self._start_microphone(command.get("sample_rate_hz"))
            elif kind == "microphone_stop":
                await self._end_microphone()
            else:
                await asyncio.to_thread(self._panel.carry_out, self._session, kind, command)
                if kind == "cancel":
                    self._renew_microphone()
        except BridgeError as error:
            await self._socket.send_json({"type": "error", "code": error.code, "text": str(error), **answer})
            return
        if answer:
            await self._socket.send_json({"type": "ok", **answer})
        await self._tell_states()

    async def _start_microphone(self, rate_hz: object) -> None:
        await self._end_microphone()
        if not isinstance(rate_hz, int) or not 8_000 <= rate_hz <= 192_000:
            raise BridgeError(f"microphone at {rate_hz!r} Hz; 8000 to 192000 is possible")
        self._microphone = (f"{MICROPHONE_PREFIX}{next(_microphones)}", rate_hz)

    def _renew_microphone(self) -> None:
        """A barge-in ends the running utterance; an open microphone goes on under a new name."""
        if self._microphone is not None:
            self._microphone = (f"{MICROPHONE_PREFIX}{next(_microphones)}", self._microphone[1])

    async def _end_microphone(self) -> None:
        if self._microphone is not None:
            utterance_id, _ = self._microphone
            self._microphone = None
            await asyncio.to_thread(self._session.end_utterance, utterance_id)

"""Answers the requests of ZeroMQ clients: audio and control in, replies and errors out."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from bridge.avatar import AvatarSession
from bridge.errors import BridgeError, UnknownAvatarError
from bridge.inputs.zmq_audio import MAX_GAP_S, AudioReader
from bridge.protocol.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, Part, ProtocolError, decode, encode
from bridge.protocol.messages import (
    MAX_ID_CHARS,
    PROTOCOL_VERSION,
    REQUESTS,
    Audio,
    AvatarInfo,
    Cancel,
    End,
    Error,
    GetAvatarInfo,
    GetStatistics,
    Hello,
    Ok,
    Reply,
    Request,
    SetState,
    Welcome,
)
from engine.audio import MAX_RATE_HZ, MIN_RATE_HZ
from engine.types import SAMPLE_RATE_HZ, AvatarState

CAPABILITIES = ["audio_in", "audio_echo", "events", "statistics", "cancel", "set_state", "live_audio"]

_log = logging.getLogger(__name__)


def daemon_version() -> str:
    """Version of the installed package."""
    try:
        return version("llia-bridge")
    except PackageNotFoundError:
        return "source"


class Control:
    """Turns each request into calls of an avatar's session. Called from one thread."""

    def __init__(self, frames_endpoint: str, speech_limit_s: float) -> None:
        """Starts with no avatars.

        Args:
            frames_endpoint: told to clients in `welcome`.
            speech_limit_s: told to clients in `welcome`.
        """
        self._frames_endpoint = frames_endpoint
        self._speech_limit_s = speech_limit_s
        self._sessions: dict[str, AvatarSession] = {}
        self._readers: dict[str, AudioReader] = {}

    def add(self, session: AvatarSession) -> None:
        """Makes an avatar reachable; the first one is the default."""
        self._sessions[session.avatar_id] = session
        self._readers[session.avatar_id] = AudioReader()

    def answer(self, identity: bytes, parts: list[memoryview]) -> list[bytes]:
        """Carries out one message.

        Args:
            identity: the client's ZeroMQ identity, for the log.
            parts: the message; anything may stand in it.

        Returns:
            Headers to send back: the reply, an error, or nothing.
        """
        request_id = ""
        try:
            request, payload = decode(parts, REQUESTS)
            request_id = request.request_id
            reply = self._carry_out(request, payload)
            if reply is None:
                return [encode(Ok(request_id=request_id))] if request_id else []
            return [encode(replace(reply, request_id=request_id))]
        except ProtocolError as error:
            code, text, request_id = error.code, str(error), error.request_id
        except BridgeError as error:
            code, text = error.code, str(error)
        except Exception as error:  # our own bug: the client is told and the daemon lives on
            _log.exception("a request failed", extra={"client": identity.hex()})
            code, text = "internal", f"the daemon failed on this request: {type(error).__name__}"
        _log.info("refused a message: %s", text, extra={"client": identity.hex()})
        return [encode(Error(code=code, text=text[:400], request_id=request_id))]

    def _carry_out(self, request: Request, payload: Part) -> Reply | None:
        if isinstance(request, Hello):
            return self._welcome(request)
        session = self._session(request.avatar_id)
        reader = self._readers[session.avatar_id]
        match request:
            case Audio():
                self._speak(session, reader, request, payload)
            case End():
                session.end_utterance(request.utterance_id)
                reader.ended(request.utterance_id)
            case Cancel():
                session.cancel()
                reader.forget()
            case SetState():
                state = None if request.state == "auto" else AvatarState[request.state.upper()]
                session.set_state(state)
            case GetStatistics():
                return session.statistics()
            case GetAvatarInfo():
                return _avatar_info(session)
        return None

    def _session(self, avatar_id: str) -> AvatarSession:
        if not avatar_id and self._sessions:
            return next(iter(self._sessions.values()))
        if avatar_id not in self._sessions:
            known = ", ".join(self._sessions) or "none"
            raise UnknownAvatarError(f"there is no avatar {avatar_id!r}; open are: {known}")
        return self._sessions[avatar_id]

    def _speak(self, session: AvatarSession, reader: AudioReader, audio: Audio, payload: Part) -> None:
        samples = reader.read(audio, payload)
        if len(samples):
            session.push_audio(samples, audio.sample_rate_hz, audio.utterance_id, audio.live)
        reader.taken(audio, len(payload))
        if audio.final:
            session.end_utterance(audio.utterance_id)
            reader.ended(audio.utterance_id)

    def _welcome(self, hello: Hello) -> Welcome:
        if PROTOCOL_VERSION not in hello.versions:
            raise ProtocolError(
                "unsupported_version",
                f"the client speaks versions {hello.versions}, this daemon version {PROTOCOL_VERSION} only",
            )
        return Welcome(
            daemon=f"llia {daemon_version()}",
            capabilities=CAPABILITIES,
            limits={
                "header_bytes": MAX_HEADER_BYTES,
                "payload_bytes": MAX_PAYLOAD_BYTES,
                "id_chars": MAX_ID_CHARS,
                "sample_rate_min_hz": MIN_RATE_HZ,
                "sample_rate_max_hz": MAX_RATE_HZ,
                "waiting_speech_s": int(self._speech_limit_s),
                "gap_s": MAX_GAP_S,
            },
            frames_endpoint=self._frames_endpoint,
            avatars=list(self._sessions),
        )


def _avatar_info(session: AvatarSession) -> AvatarInfo:
    return AvatarInfo(
        avatar_id=session.avatar_id,
        name=session.name,
        width=session.size_px,
        height=session.size_px,
        fps=session.fps,
        sample_rate_hz=SAMPLE_RATE_HZ,
        lookahead_ms=session.lookahead_ms,
        lead_ms=session.lead_ms,
        provider=session.provider,
    )

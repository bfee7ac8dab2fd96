"""Answers the requests of ZeroMQ clients: audio and control in, replies and errors out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import PackageNotFoundError, version
from weakref import WeakKeyDictionary

from bridge.avatar import AvatarSession
from bridge.errors import AvatarOpenError, BridgeError, UnsupportedError
from bridge.expressions import PRESETS, expression
from bridge.inputs.microphone import Microphone
from bridge.inputs.zmq_audio import MAX_GAP_S, AudioReader
from bridge.meter import Counter
from bridge.packs import Packs
from bridge.pixels import MAX_PICTURE_PX, alpha_of, read_picture
from bridge.protocol.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, Part, ProtocolError, decode, encode
from bridge.protocol.messages import (
    MAX_ID_CHARS,
    PROTOCOL_VERSION,
    REQUESTS,
    Audio,
    AvatarInfo,
    AvatarOpened,
    Cancel,
    CloseAvatar,
    End,
    Error,
    GetAvatarInfo,
    GetStatistics,
    Hello,
    Ok,
    OpenAvatar,
    Ping,
    Pong,
    Reply,
    Request,
    SetExpression,
    SetMicrophone,
    SetState,
    Welcome,
)
from bridge.sessions import Client, Sessions
from engine.audio import MAX_RATE_HZ, MIN_RATE_HZ
from engine.types import SAMPLE_RATE_HZ, AvatarState

CAPABILITIES = [
    "audio_in", "audio_echo", "events", "statistics", "cancel", "set_state", "live_audio", "avatars",
    "resume", "other_party", "pixel_formats", "blendshapes", "visemes", "last_value", "shared_frames",
]  # fmt: skip

_log = logging.getLogger(__name__)


def daemon_version() -> str:
    """Version of the installed package."""
    try:
        return version("llia-bridge")
    except PackageNotFoundError:
        return "source"


_LATER = Ok()
"""Stands for an answer that is posted when the request is done."""


class Control:
    """Turns each request into calls of an avatar's session. Called from one thread.

    Attributes:
        post: sends an answer that comes later to a client's identity; its owner sets it.
        speech_limit_s: most speech that may wait for an avatar, told to clients.
        microphone: the daemon's, which speaks for the default avatar; None without one. Its owner sets it.
    """

    def __init__(
        self,
        sessions: Sessions,
        packs: Packs,
        *,
        frames_endpoint: str,
        speech_limit_s: float,
        local: bool,
        counter: Counter | None = None,
    ) -> None:
        """Starts with the avatars that are there.

        Args:
            sessions: avatars and clients.
            packs: opens avatars.
            frames_endpoint: told to clients in `welcome`.
            speech_limit_s: see the attribute.
            local: the sockets are on loopback, so that clients may name files of this machine.
            counter: counts messages as `answered` or `refused`.
        """
        self.post: Callable[[bytes, bytes], None] = lambda identity, header: None
        self._sessions = sessions
        self._packs = packs
        self._frames_endpoint = frames_endpoint
        self.speech_limit_s = speech_limit_s
        self.microphone: Microphone | None = None
        self._local = local
        self._counter = counter or Counter()
        self._readers: WeakKeyDictionary[AvatarSession, dict[str, AudioReader]] = WeakKeyDictionary()

    def answer(self, identity: bytes, parts: list[memoryview]) -> list[bytes]:
        """Carries out one message.

        Args:
            identity: the client's ZeroMQ identity.
            parts: the message; anything may stand in it.

        Returns:
            Headers to send back: the reply, an error, or nothing. What comes later goes through `post`.
        """
        request_id = ""
        try:
            try:
                request, payload = decode(parts, REQUESTS)
                request_id = request.request_id
            finally:  # what cannot be read shows that the client lives, too
                client = self._sessions.seen(identity)
            reply = self._carry_out(client, request, payload)
            if reply is _LATER:
                return []
            self._counter.add("answered")
            if reply is None:
                return [encode(Ok(request_id=request_id))] if request_id else []
            return [encode(replace(reply, request_id=request_id))]
        except ProtocolError as error:
            self._counter.add("malformed")
            code, text, request_id = error.code, str(error), error.request_id
        except BridgeError as error:
            code, text = error.code, str(error)
        except Exception as error:  # our own bug: the client is told and the daemon lives on
            _log.exception("a request failed", extra={"client": identity.hex()})
            code, text = "internal", f"the daemon failed on this request: {type(error).__name__}"
        return [self._refuse(identity, request_id, code, text)]

    def _refuse(self, identity: bytes, request_id: str, code: str, text: str) -> bytes:
        self._counter.add("refused")
        _log.info("refused a message: %s", text, extra={"client": identity.hex()})
        return encode(Error(code=code, text=text[:400], request_id=request_id))

    def _carry_out(self, client: Client, request: Request, payload: Part) -> Reply | None:
        match request:
            case Hello():
                return self._welcome(client, request)
            case Ping():
                return Pong(daemon_ns=time.monotonic_ns())
            case OpenAvatar():
                self._open(client, request, payload)
                return _LATER
            case CloseAvatar():
                self._close(client, request)
                return _LATER
            case GetStatistics():
                return self._sessions.find(request.avatar_id).statistics()
            case GetAvatarInfo():
                return _avatar_info(self._sessions.find(request.avatar_id))
        session = self._sessions.driven_by(client, request.avatar_id)
        if isinstance(request, SetMicrophone):
            if session is not self._sessions.find(""):
                raise UnsupportedError(
                    "the microphone speaks for the default avatar only; leave avatar_id out"
                )
            self._set_microphone(request)
        else:
            self._drive(session, request, payload)
        return None

    def _set_microphone(self, request: SetMicrophone) -> None:
        microphone = self.microphone
        if microphone is None:
            raise UnsupportedError(
                "this daemon listens to no microphone; start it with `llia run --microphone`"
            )
        if request.mode:
            microphone.gate.mode = request.mode
        if request.talk:
            microphone.set_talking(request.talk == "on")
        if request.mute:
            muted = not microphone.gate.muted if request.mute == "toggle" else request.mute == "on"
            microphone.mute(muted)

    def _drive(self, session: AvatarSession, request: Request, payload: Part) -> None:
        readers = self._readers.setdefault(session, {"self": AudioReader(), "other": AudioReader()})
        match request:
            case Audio():
                self._hear(session, readers[request.role], request, payload)
            case End():
                _end(session, readers[request.role], request)
            case Cancel():
                session.cancel()
                readers["self"].forget()
            case SetState():
                state = None if request.state == "auto" else AvatarState[request.state.upper()]
                session.set_state(state)
            case SetExpression():
                session.set_expression(expression(request.preset, request.controls), request.preset)

    def _hear(self, session: AvatarSession, reader: AudioReader, audio: Audio, payload: Part) -> None:
        samples = reader.read(audio, payload)
        if len(samples):
            push = session.push_audio if audio.role == "self" else session.push_other
            push(samples, audio.sample_rate_hz, audio.utterance_id, audio.live)
        reader.taken(audio, len(payload))
        if audio.final:
            _end(session, reader, audio)

    def _open(self, client: Client, request: OpenAvatar, payload: Part) -> None:
        if len(payload) and request.picture:
            raise AvatarOpenError("the picture comes as payload and by name; leave one of them out")

        def start(avatar_id: str) -> AvatarSession:
            return self._packs.open(
                avatar_id,
                read_picture(payload) if len(payload) else request.picture,
                pack=request.pack,
                names_only=not self._local,
                size_px=request.size_px,
                fps=request.fps,
                seed=request.seed,
                pixel_format=request.format,
                alpha=request.alpha,
            )

        def done(outcome: AvatarSession | BridgeError) -> None:
            if isinstance(outcome, BridgeError):
                header = self._refuse(client.identity, request.request_id, outcome.code, str(outcome))
            else:
                self._counter.add("answered")
                header = encode(self._opened(client, outcome, request.request_id))
            self.post(client.identity, header)

        self._sessions.open(client, start, done)

    def _opened(self, client: Client, session: AvatarSession, request_id: str) -> AvatarOpened:
        info = _avatar_info(session)
        told = {field.name: getattr(info, field.name) for field in fields(AvatarInfo)}
        able = ["audio_in", "other_party", "cancel", "set_state", "blendshapes", "visemes", "audio_echo"]
        return AvatarOpened(
            **{**told, "request_id": request_id},
            resume_token=client.resume_token,
            capabilities=able + (["set_expression"] if session.can_set_expression else []),
            limits={
                "waiting_speech_s": int(self.speech_limit_s),
                "client_timeout_ms": round(self._sessions.settings.client_timeout_s * 1_000),
            },
        )

    def _close(self, client: Client, request: CloseAvatar) -> None:
        def done() -> None:
            self._counter.add("answered")
            if request.request_id:
                self.post(client.identity, encode(Ok(request_id=request.request_id)))

        self._sessions.close_avatar(client, request.avatar_id, done)

    def _welcome(self, client: Client, hello: Hello) -> Welcome:
        if PROTOCOL_VERSION not in hello.versions:
            raise ProtocolError(
                "unsupported_version",
                f"the client speaks versions {hello.versions}, this daemon version {PROTOCOL_VERSION} only",
            )
        taken = self._sessions.resume(client, hello.resume) if hello.resume else []
        _log.info("hello from %r", hello.client, extra={"client": client.identity.hex()})
        for avatar_id in taken:
            _log.info("taken up again", extra={"client": client.identity.hex(), "avatar_id": avatar_id})
        sessions, settings = self._sessions.all(), self._sessions.settings
        expressive = any(session.can_set_expression for session in sessions)
        return Welcome(
            daemon=f"llia {daemon_version()}",
            capabilities=CAPABILITIES
            + (["set_expression"] if expressive else [])
            + (["set_microphone"] if self.microphone is not None else []),
            limits={
                "header_bytes": MAX_HEADER_BYTES,
                "payload_bytes": MAX_PAYLOAD_BYTES,
                "id_chars": MAX_ID_CHARS,
                "sample_rate_min_hz": MIN_RATE_HZ,
                "sample_rate_max_hz": MAX_RATE_HZ,
                "waiting_speech_s": int(self.speech_limit_s),
                "gap_s": MAX_GAP_S,
                "picture_px": MAX_PICTURE_PX,
                "avatars": settings.max_avatars,
                "avatars_per_client": settings.max_avatars_per_client,
                "clients": settings.max_clients,
                "client_timeout_ms": round(settings.client_timeout_s * 1_000),
            },
            frames_endpoint=self._frames_endpoint,
            avatars=[session.avatar_id for session in sessions],
            own_avatars=sorted(client.avatars & {session.avatar_id for session in sessions}),
            resume_token=client.resume_token,
            expressions=list(PRESETS),
        )


def _end(session: AvatarSession, reader: AudioReader, message: Audio | End) -> None:
    end = session.end_utterance if message.role == "self" else session.end_other
    end(message.utterance_id)
    reader.ended(message.utterance_id)


def _avatar_info(session: AvatarSession) -> AvatarInfo:
    return AvatarInfo(
        avatar_id=session.avatar_id,
        name=session.name,
        width=session.size_px,
        height=session.size_px,
        fps=session.fps,
        format=session.pixel_format,
        alpha=alpha_of(session.pixel_format, session.alpha),
        sample_rate_hz=SAMPLE_RATE_HZ,
        lookahead_ms=session.lookahead_ms,
        lead_ms=session.lead_ms,
        provider=session.provider,
    )

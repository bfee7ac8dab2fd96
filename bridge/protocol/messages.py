"""A dataclass per message of protocol version 1; `bridge/PROTOCOL.md` describes them for any language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

PROTOCOL_VERSION = 1
STATES = ("speaking", "listening", "idle")
AUDIO_FORMATS = ("s16", "f32")
PIXEL_FORMATS = ("RGBA", "BGRA", "I420", "JPEG", "WEBP")
ALPHAS = ("straight", "premultiplied")
ROLES = ("self", "other")
MAX_ID_CHARS = 64


def _bounded(low: float, high: float, **extra: Any) -> Any:
    """A field with bounds, which the codec checks: a number's value, a text's length."""
    return field(metadata={"low": low, "high": high}, **extra)


def _one_of(*choices: str, **extra: Any) -> Any:
    """A text's field with its allowed values, which the codec checks."""
    return field(metadata={"choices": choices}, **extra)


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages.

    Attributes:
        type: the message's name on the wire.
        has_payload: whether one raw part follows the header.
        payload_optional: whether that part may be left out.
    """

    type: ClassVar[str]
    has_payload: ClassVar[bool] = False
    payload_optional: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Request(Message):
    """What a client sends to the ROUTER socket.

    Attributes:
        request_id: chosen by the client and repeated in the answer; without one, success is not answered.
        avatar_id: the avatar meant; "" is the daemon's default avatar.
    """

    request_id: str = ""
    avatar_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply(Message):
    """What the daemon answers on the same socket.

    Attributes:
        request_id: that of the request, "" if it had none.
    """

    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Hello(Request):
    """Opens the talk and asks for the daemon's version, capabilities and limits; optional.

    Attributes:
        versions: protocol versions the client speaks.
        client: the client's name, for the log.
        resume: the token of an earlier connection whose avatars are to be taken up again, "" for none.
    """

    type: ClassVar[str] = "hello"
    versions: list[int] = field(default_factory=lambda: [PROTOCOL_VERSION])
    client: str = ""
    resume: str = ""


@dataclass(frozen=True, kw_only=True)
class Ping(Request):
    """Sign of life; asks for `pong`."""

    type: ClassVar[str] = "ping"


@dataclass(frozen=True, kw_only=True)
class OpenAvatar(Request):
    """Asks for an avatar of the client's own; the payload may hold its picture as PNG, JPEG or WebP.

    Attributes:
        picture: an avatar of the pack by name, or, on loopback, a file's path; "" is the pack's default.
            Empty where the payload holds the picture.
        pack: name of a shipped model pack; "" is the daemon's.
        size_px: width and height of the frames, 64..1024 in steps of 32; 0 is the daemon's.
        fps: frames per second, 10..60; 0 is the daemon's.
        format: pixel format of the published frames.
        alpha: "straight" or "premultiplied", where the format has alpha.
        seed: of the noise; -1 is another one each time.
    """

    type: ClassVar[str] = "open_avatar"
    has_payload: ClassVar[bool] = True
    payload_optional: ClassVar[bool] = True
    picture: str = ""
    pack: str = ""
    size_px: int = _bounded(0, 1_024, default=0)
    fps: int = _bounded(0, 60, default=0)
    format: str = _one_of(*PIXEL_FORMATS, default="RGBA")
    alpha: str = _one_of(*ALPHAS, default="straight")
    seed: int = _bounded(-1, 2**63 - 1, default=-1)


@dataclass(frozen=True, kw_only=True)
class CloseAvatar(Request):
    """Frees an avatar that this client has opened."""

    type: ClassVar[str] = "close_avatar"


@dataclass(frozen=True, kw_only=True)
class GetAvatarInfo(Request):
    """Asks for `avatar_info`."""

    type: ClassVar[str] = "get_avatar_info"


@dataclass(frozen=True, kw_only=True)
class Audio(Request):
    """A piece of speech; the payload holds the samples, little endian, channels interleaved.

    Attributes:
        utterance_id: the utterance it belongs to; a new id opens a new utterance.
        sample_rate_hz: rate of the payload, the same for the whole utterance.
        channels: 1 or 2; stereo is averaged.
        format: "s16" (int16) or "f32" (float32, -1..1).
        sample_index: index of the payload's first sample (per channel) within the utterance; -1 means
            "follows the last one". A gap is filled with silence, a repetition is cut off.
        final: True on the last piece; the same as an `end` right after it.
        live: True for sound that is recorded now: what cannot be shown in time is skipped instead of queued.
        role: "self" is spoken by the avatar; "other" is the other party, whom the avatar listens to.
    """

    type: ClassVar[str] = "audio"
    has_payload: ClassVar[bool] = True
    utterance_id: str = _bounded(1, MAX_ID_CHARS)
    sample_rate_hz: int = _bounded(8_000, 192_000)
    channels: int = _bounded(1, 2, default=1)
    format: str = _one_of(*AUDIO_FORMATS, default="s16")
    sample_index: int = _bounded(-1, 2**53, default=-1)
    final: bool = False
    live: bool = False
    role: str = _one_of(*ROLES, default="self")


@dataclass(frozen=True, kw_only=True)
class End(Request):
    """The utterance is complete.

    Attributes:
        utterance_id: the utterance.
        role: that of its audio.
    """

    type: ClassVar[str] = "end"
    utterance_id: str = _bounded(1, MAX_ID_CHARS)
    role: str = _one_of(*ROLES, default="self")


@dataclass(frozen=True, kw_only=True)
class Cancel(Request):
    """Barge-in: everything that is spoken or waits to be spoken is dropped at once."""

    type: ClassVar[str] = "cancel"


@dataclass(frozen=True, kw_only=True)
class SetState(Request):
    """Sets the avatar's state.

    Attributes:
        state: "speaking", "listening", "idle", or "auto": speaking while there is speech, listening while the
            other party speaks, else idle.
    """

    type: ClassVar[str] = "set_state"
    state: str = _one_of(*STATES, "auto")


@dataclass(frozen=True, kw_only=True)
class SetExpression(Request):
    """Sets the avatar's expression until the next one.

    Attributes:
        preset: one of `welcome`'s presets, "" for none.
        controls: controls by name, laid over the preset; those not named keep the preset's value or 0.
    """

    type: ClassVar[str] = "set_expression"
    preset: str = ""
    controls: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SetMicrophone(Request):
    """Works the switches of the daemon's microphone; what is "" stays as it is.

    Attributes:
        mode: when it is heard, see `microphone.mode` of the configuration.
        talk: the button of push-to-talk.
        mute: "toggle" is the other way round than it was.
    """

    type: ClassVar[str] = "set_microphone"
    mode: str = _one_of("", "vad", "open", "push_to_talk", default="")
    talk: str = _one_of("", "on", "off", default="")
    mute: str = _one_of("", "on", "off", "toggle", default="")


@dataclass(frozen=True, kw_only=True)
class GetStatistics(Request):
    """Asks for `statistics`."""

    type: ClassVar[str] = "get_statistics"


@dataclass(frozen=True, kw_only=True)
class Welcome(Reply):
    """Answers `hello`.

    Attributes:
        protocol_version: the version chosen, the highest that both sides speak.
        daemon: name and version of the daemon.
        capabilities: names of what this daemon can do beyond the base of the protocol.
        limits: bounds by name, the unit in the name.
        frames_endpoint: where frames, audio echo and events are published.
        avatars: ids of the open avatars, the default one first.
        own_avatars: ids of those that belong to this client, taken up again by `hello.resume`.
        resume_token: secret; whoever shows it in `hello.resume` takes this client's avatars over.
        expressions: names of the presets of `set_expression`.
    """

    type: ClassVar[str] = "welcome"
    protocol_version: int = PROTOCOL_VERSION
    daemon: str = ""
    capabilities: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    frames_endpoint: str = ""
    avatars: list[str] = field(default_factory=list)
    own_avatars: list[str] = field(default_factory=list)
    resume_token: str = ""
    expressions: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Pong(Reply):
    """Answers `ping`.

    Attributes:
        daemon_ns: the daemon's monotonic clock, ns.
    """

    type: ClassVar[str] = "pong"
    daemon_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class AvatarInfo(Reply):
    """Describes one avatar.

    Attributes:
        avatar_id: its id, the last part of its topics.
        name: the picture's name.
        width: of its frames, px.
        height: of its frames, px.
        fps: frames per second.
        format: pixel format, one of `PIXEL_FORMATS`.
        alpha: "straight", "premultiplied", or "none" where the format has none.
        sample_rate_hz: the avatar's clock and the rate of its audio echo.
        lookahead_ms: audio the model needs beyond a frame's time.
        lead_ms: time from a sample's arrival to the frame that shows it.
        provider: what the engine computes on.
    """

    type: ClassVar[str] = "avatar_info"
    avatar_id: str
    name: str = ""
    width: int
    height: int
    fps: int
    format: str = "RGBA"
    alpha: str = "straight"
    sample_rate_hz: int = 16_000
    lookahead_ms: float = 0.0
    lead_ms: float = 0.0
    provider: str = ""


@dataclass(frozen=True, kw_only=True)
class AvatarOpened(AvatarInfo):
    """Answers `open_avatar`.

    Attributes:
        resume_token: see `Welcome`.
        capabilities: names of what this avatar can do.
        limits: bounds by name, the unit in the name.
    """

    type: ClassVar[str] = "avatar_opened"
    resume_token: str = ""
    capabilities: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ok(Reply):
    """The request with this `request_id` was carried out; nothing more to tell."""

    type: ClassVar[str] = "ok"


@dataclass(frozen=True, kw_only=True)
class Statistics(Reply):
    """The avatar's figures: the answer to `get_statistics`, and an event once a second.

    Attributes:
        avatar_id: whose figures.
        state: state of the frame shown last.
        fps: frames published a second, over the last second.
        lead_ms: time from a sample's arrival to the frame that shows it.
        compute_ms: from the feeding of a frame's last sample to the finished frame, slowly forgetting worst.
        stages_ms: compute time of every stage, per frame, mean of the last second.
        first_frame_ms: from the last utterance's first sample to its first frame, -1 before the first.
        latency_ms: from sound to picture (`FrameHeader.latency_ms`), mean of the last second, -1 in silence.
        stalls: times that frames came too late and the picture stood still.
        stalled_ms: length of all stalls.
        skipped_audio_ms: live audio that was skipped to keep the delay bounded.
        queues: things that wait, by name, the unit in the name.
        drops: things lost, by name.
        daemon: counts of the whole daemon since its start, by name.
        delays_ms: by output (camera): time from a sample's arrival to its picture there, the lead included.
    """

    type: ClassVar[str] = "statistics"
    avatar_id: str = ""
    state: str = "idle"
    fps: float = 0.0
    lead_ms: float = 0.0
    compute_ms: float = 0.0
    stages_ms: dict[str, float] = field(default_factory=dict)
    first_frame_ms: float = -1.0
    latency_ms: float = -1.0
    stalls: int = 0
    stalled_ms: float = 0.0
    skipped_audio_ms: float = 0.0
    queues: dict[str, float] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    daemon: dict[str, int] = field(default_factory=dict)
    delays_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Error(Reply):
    """Something was refused or failed.

    Attributes:
        code: short fixed name, see the table in `PROTOCOL.md`.
        text: one line for people: what, where, how to mend.
        avatar_id: whose failure, "" if none.
    """

    type: ClassVar[str] = "error"
    code: str
    text: str
    avatar_id: str = ""


@dataclass(frozen=True, kw_only=True)
class StateChanged(Message):
    """From this frame on the avatar is in this state."""

    type: ClassVar[str] = "state"
    avatar_id: str
    state: str = _one_of(*STATES)
    pts_samples: int


@dataclass(frozen=True, kw_only=True)
class UtteranceStarted(Message):
    """The utterance's first sample has been given its place on the avatar's clock."""

    type: ClassVar[str] = "utterance_started"
    avatar_id: str
    utterance_id: str
    pts_samples: int


@dataclass(frozen=True, kw_only=True)
class FirstFrame(Message):
    """The first frame that shows the utterance was published.

    Attributes:
        avatar_id: whose frame.
        utterance_id: the utterance.
        pts_samples: the frame's time.
        latency_ms: to this frame from the arrival of the utterance's first sample, or its turn if it waited.
    """

    type: ClassVar[str] = "first_frame"
    avatar_id: str
    utterance_id: str
    pts_samples: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """The utterance was shown to its end."""

    type: ClassVar[str] = "finished"
    avatar_id: str
    utterance_id: str
    pts_samples: int


@dataclass(frozen=True, kw_only=True)
class Cancelled(Message):
    """The utterance was dropped by a barge-in; no frame of it follows."""

    type: ClassVar[str] = "cancelled"
    avatar_id: str
    utterance_id: str
    pts_samples: int


@dataclass(frozen=True, kw_only=True)
class ExpressionChanged(Message):
    """The avatar's expression was set.

    Attributes:
        avatar_id: whose.
        preset: the preset's name, "" for none.
        controls: what is set, by name.
    """

    type: ClassVar[str] = "expression"
    avatar_id: str
    preset: str = ""
    controls: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AvatarClosed(Message):
    """The avatar is gone; nothing follows on its topics.

    Attributes:
        avatar_id: its id, not used again.
        reason: "closed" by its client, or "silent": its client was silent for too long.
    """

    type: ClassVar[str] = "avatar_closed"
    avatar_id: str
    reason: str = _one_of("closed", "silent")


Event = (
    StateChanged
    | UtteranceStarted
    | FirstFrame
    | Finished
    | Cancelled
    | ExpressionChanged
    | AvatarClosed
    | Statistics
    | Error
)


@dataclass(frozen=True, kw_only=True)
class FrameHeader(Message):
    """Header of a picture, which is the payload; `bridge.pixels` and `PROTOCOL.md` say in what form.

    Attributes:
        avatar_id: whose picture.
        pts_samples: its time on the avatar's clock, 16 kHz samples.
        epoch: a barge-in advances it; a smaller one is out of date.
        utterance_id: the utterance heard at that time, "" if none.
        state: "speaking", "listening" or "idle".
        width: px.
        height: px.
        format: one of `PIXEL_FORMATS`.
        alpha: "straight", "premultiplied", or "none".
        latency_ms: from sound to picture: to `published_ns` from the arrival of the sample heard at
            `pts_samples`, or from its turn if it had to wait; -1 in silence.
        published_ns: the daemon's monotonic clock when it was published, ns; comparable on the same machine.
    """

    type: ClassVar[str] = "frame"
    has_payload: ClassVar[bool] = True
    avatar_id: str
    pts_samples: int
    epoch: int
    utterance_id: str
    state: str = _one_of(*STATES)
    width: int
    height: int
    format: str = "RGBA"
    alpha: str = "straight"
    latency_ms: float = -1.0
    published_ns: int


@dataclass(frozen=True, kw_only=True)
class SharedFrame(FrameHeader):
    """A picture as in `FrameHeader` that lies in shared memory; `bridge.outputs.shared_frames`.

    Attributes:
        file: to map; "": there was no room for it, and the picture follows as payload.
        offset: of the picture in the file, bytes.
        payload_bytes: its length.
        sequence_offset: of a little-endian uint64 in the file.
        sequence: what stands there as long as the picture is whole.
    """

    type: ClassVar[str] = "shared_frame"
    payload_optional: ClassVar[bool] = True
    file: str = ""
    offset: int = 0
    payload_bytes: int
    sequence_offset: int = 0
    sequence: int = 0


@dataclass(frozen=True, kw_only=True)
class Blendshapes(Message):
    """The face of the frame of the same `pts_samples`; left and right are the avatar's own.

    Attributes:
        avatar_id: whose face.
        pts_samples: its time on the avatar's clock, 16 kHz samples.
        epoch: as of the frame.
        utterance_id: as of the frame.
        state: as of the frame.
        shapes: ARKit's names to 0..1; names of ARKit that are missing are 0.
        head_deg: "yaw", "pitch", "roll", degrees.
        visemes: the fifteen names of Oculus LipSync to weights 0..1 that add up to 1.
        published_ns: as of the frame.
    """

    type: ClassVar[str] = "blendshapes"
    avatar_id: str
    pts_samples: int
    epoch: int
    utterance_id: str
    state: str = _one_of(*STATES)
    shapes: dict[str, float]
    head_deg: dict[str, float]
    visemes: dict[str, float]
    published_ns: int


@dataclass(frozen=True, kw_only=True)
class Echo(Message):
    """Header of the audio that is heard with the frame of the same `pts_samples`; samples are the payload."""

    type: ClassVar[str] = "echo"
    has_payload: ClassVar[bool] = True
    avatar_id: str
    pts_samples: int
    utterance_id: str
    sample_rate_hz: int = 16_000
    channels: int = 1
    format: str = "f32"
    published_ns: int


REQUESTS: tuple[type[Request], ...] = (
    Hello, Ping, OpenAvatar, CloseAvatar, GetAvatarInfo, Audio, End, Cancel, SetState, SetExpression,
    SetMicrophone, GetStatistics,
)  # fmt: skip
REPLIES: tuple[type[Reply], ...] = (Welcome, Pong, AvatarOpened, AvatarInfo, Ok, Statistics, Error)
PUBLISHED: tuple[type[Message], ...] = (
    StateChanged, UtteranceStarted, FirstFrame, Finished, Cancelled, ExpressionChanged, AvatarClosed,
    Statistics, Error, FrameHeader, SharedFrame, Blendshapes, Echo,
)  # fmt: skip

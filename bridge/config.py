"""The daemon's settings: a dataclass per section of the configuration file; `configs/default.toml` shows all.

A new section is one dataclass here and one line in `Settings`; its keys also stand in `configs/default.toml`.
Types of keys: bool, int, float, str and tuple[str, ...]. Every number has bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from engine.config import EngineConfig


def setting(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    reload: bool = False,
    secret: bool = False,
) -> Any:
    """A key with bounds, which `bridge.config_reader` checks.

    Args:
        default: value where nothing else is given.
        low: lowest value, for numbers.
        high: highest value, for numbers.
        choices: the values a text may have; () for any.
        reload: True where a changed value takes effect without a restart (`bridge.reload`).
        secret: True for a password or key: no error and no log shows it.
    """
    metadata = {"low": low, "high": high, "choices": choices, "reload": reload, "secret": secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class DaemonSettings:
    """The program itself.

    Attributes:
        watch_config: read the configuration file again when it changes.
        cores: of the machine that it may use; 0 for every one.
    """

    watch_config: bool = setting(False, reload=True)
    cores: int = setting(0, 0, 256)


@dataclass(frozen=True)
class LogSettings:
    """The log.

    Attributes:
        level: least grave messages told.
        format: lines for people or for programs.
        file: path of the log; "" is standard error.
        file_limit_mb: size at which the file is put aside; the last three are kept.
    """

    level: str = setting("warning", choices=("debug", "info", "warning", "error"), reload=True)
    format: str = setting("text", choices=("text", "json"), reload=True)
    file: str = setting("", reload=True)
    file_limit_mb: int = setting(10, 1, 1_000, reload=True)


@dataclass(frozen=True)
class MetricsSettings:
    """Figures for Prometheus.

    Attributes:
        enabled: serve them.
        port: of `/metrics` on the loopback address; 0 lets the system choose.
    """

    enabled: bool = setting(False, reload=True)
    port: int = setting(5590, 0, 65_535, reload=True)


@dataclass(frozen=True)
class SocketSettings:
    """ZeroMQ.

    Attributes:
        host: loopback address, or with keys any.
        control_port: ROUTER socket, audio and control; 0 lets the system choose.
        frames_port: XPUB socket, frames, audio echo and events; 0 lets the system choose.
        keys: folder that `llia keys` has made; "" for none.
    """

    host: str = "127.0.0.1"
    control_port: int = setting(5570, 0, 65_535)
    frames_port: int = setting(5571, 0, 65_535)
    keys: str = ""


@dataclass(frozen=True)
class SessionSettings:
    """Clients and the avatars they open.

    Attributes:
        client_timeout_s: a client that sends nothing for so long is gone and its avatars are freed.
        max_avatars: open at once, the daemon's own included; no more than a list on the wire holds.
        max_avatars_per_client: open at once for one client.
        max_clients: that have sent something lately.
    """

    client_timeout_s: float = setting(10.0, 1, 3_600, reload=True)
    max_avatars: int = setting(32, 1, 64, reload=True)
    max_avatars_per_client: int = setting(8, 1, 64, reload=True)
    max_clients: int = setting(256, 1, 4_096, reload=True)


@dataclass(frozen=True)
class PageSettings:
    """The web page.

    Attributes:
        enabled: serve it.
        port: of the page on the loopback address; 0 lets the system choose.
    """

    enabled: bool = True
    port: int = setting(5580, 0, 65_535)


@dataclass(frozen=True)
class SpeechSettings:
    """Speech.

    Attributes:
        greeting: speak the bundled greeting at the start.
        lead_ms: time from a sample's arrival to its frame, at the start; adapts to the machine afterwards.
        waiting_limit_s: most speech that may wait, seconds; more is refused with an error.
    """

    greeting: bool = True
    lead_ms: float = setting(200.0, 120, 500)
    waiting_limit_s: float = setting(300.0, 1, 3_600, reload=True)


@dataclass(frozen=True)
class MicrophoneSettings:
    """The microphone.

    Attributes:
        enabled: let the avatar speak what the microphone hears.
        device: part of the device's name; "" is the system's default.
        mode: when what is heard is spoken: while a voice is heard, always, or while a button is pressed.
        pre_roll_ms: in the mode "vad", audio from before the voice was found; so much later it is spoken.
        hangover_ms: silence that ends an utterance.
        guard: against hearing the avatar from a loudspeaker, see `bridge.inputs.echo_guard`.
    """

    enabled: bool = False
    device: str = ""
    mode: str = setting("vad", choices=("vad", "open", "push_to_talk"))
    pre_roll_ms: float = setting(200.0, 0, 240)
    hangover_ms: float = setting(400.0, 0, 5_000)
    guard: str = setting("off", choices=("off", "half_duplex", "echo"))


@dataclass(frozen=True)
class DelayedAudioSettings:
    """Sound in step with the pictures.

    Attributes:
        enabled: play the microphone, or without one what the avatar speaks.
        device: part of the output's name; "" is the system's default.
    """

    enabled: bool = False
    device: str = ""


@dataclass(frozen=True)
class ObsSettings:
    """OBS, for `llia obs`.

    Attributes:
        host: where OBS runs.
        port: of obs-websocket; 0 is what OBS has written down on this machine, or 4455.
        password: of obs-websocket; "" is what OBS has written down on this machine.
        scene: the scene's name.
        name: the source's name.
        audio: the input that is delayed by the avatar's latency; "" is OBS's first microphone.
        sound: play the avatar's voice through OBS, for speech that is not your microphone's.
    """

    host: str = "127.0.0.1"
    port: int = setting(0, 0, 65_535)
    password: str = setting("", secret=True)
    scene: str = "LLIA"
    name: str = "LLIA avatar"
    audio: str = ""
    sound: bool = False


@dataclass(frozen=True)
class CameraSettings:
    """The virtual camera.

    Attributes:
        enabled: be a camera for calls and browsers.
        device: "" is the first free one; a path on Linux, a name elsewhere.
        width_px: width of the picture; even.
        height_px: its height; even.
        fps: pictures per second.
        background: a colour, "checker" or a picture file.
        blur_px: blur of a background picture.
        mirror: turn the avatar around, left for right.
    """

    enabled: bool = False
    device: str = ""
    width_px: int = setting(1_280, 160, 3_840)
    height_px: int = setting(720, 120, 2_160)
    fps: int = setting(30, 1, 60)
    background: str = setting("#20262e", reload=True)
    blur_px: float = setting(0.0, 0, 200, reload=True)
    mirror: bool = setting(False, reload=True)


@dataclass(frozen=True)
class VmcSettings:
    """Face and head for rigs, by the VMC protocol.

    Attributes:
        enabled: send them with every frame.
        host: where the receiver runs.
        port: its UDP port.
        names: "camel" as ARKit writes them (jawOpen), "pascal" as VRM's Perfect Sync does (JawOpen).
    """

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = setting(39_539, 1, 65_535)
    names: str = setting("camel", choices=("camel", "pascal"))


@dataclass(frozen=True)
class RecordingSettings:
    """Recordings.

    Attributes:
        file: record from the start into this .mp4 or .webm; "" does not.
        folder: for recordings that are started later; "" is the current folder.
        background: a colour, "checker", a picture file or "transparent"; "" is transparent where that is
            possible.
    """

    file: str = ""
    folder: str = setting("", reload=True)
    background: str = setting("", reload=True)


@dataclass(frozen=True)
class Settings:
    """All settings, a section each; the names are those of the file."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    daemon: DaemonSettings = DaemonSettings()
    log: LogSettings = LogSettings()
    sockets: SocketSettings = SocketSettings()
    sessions: SessionSettings = SessionSettings()
    page: PageSettings = PageSettings()
    metrics: MetricsSettings = MetricsSettings()
    speech: SpeechSettings = SpeechSettings()
    microphone: MicrophoneSettings = MicrophoneSettings()
    delayed_audio: DelayedAudioSettings = DelayedAudioSettings()
    obs: ObsSettings = ObsSettings()
    camera: CameraSettings = CameraSettings()
    vmc: VmcSettings = VmcSettings()
    recording: RecordingSettings = RecordingSettings()


def secrets(settings: Settings) -> list[str]:
    """The values that nobody may read in an error or a log."""
    return [
        getattr(group, key.name)
        for group in vars(settings).values()
        for key in fields(group)
        if key.metadata.get("secret")
    ]

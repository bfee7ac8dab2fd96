"""What the machine has: microphones by sounddevice, cameras by the kernel's list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import DeviceError

VIDEO_CLASS = Path("/sys/class/video4linux")


@dataclass(frozen=True)
class MicrophoneInfo:
    """A microphone; `index` is PortAudio's, `sample_rate_hz` its own rate."""

    index: int
    name: str
    sample_rate_hz: int
    channels: int
    is_default: bool


@dataclass(frozen=True)
class CameraInfo:
    """A video device; `path` is what programs open."""

    path: str
    name: str


def sound_library() -> Any:
    """The module sounddevice.

    Raises:
        DeviceError: it or the PortAudio library under it is missing.
    """
    try:
        import sounddevice  # fails without the PortAudio library, which only the microphone needs
    except (ImportError, OSError) as error:
        raise DeviceError(
            f"sound is not available ({error}); install PortAudio (Debian: apt install libportaudio2)"
        ) from None
    return sounddevice


def list_microphones() -> list[MicrophoneInfo]:
    """All devices with an input, the system's default marked.

    Raises:
        DeviceError: the sound system cannot be asked.
    """
    sound = sound_library()
    try:
        devices = list(sound.query_devices())
        default_index = sound.default.device[0]
    except sound.PortAudioError as error:
        raise DeviceError(f"the sound system does not answer: {error}") from None
    return [
        MicrophoneInfo(
            index=index,
            name=str(device["name"]),
            sample_rate_hz=int(device["default_samplerate"]),
            channels=int(device["max_input_channels"]),
            is_default=index == default_index,
        )
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def find_microphone(name: str) -> MicrophoneInfo:
    """The microphone whose name contains `name` in any case, or the default one for "".

    Raises:
        DeviceError: there is none; the line names those that exist.
    """
    microphones = list_microphones()
    if not microphones:
        raise DeviceError(
            "no microphone was found; plug one in (`llia devices` lists them) or leave --microphone out"
        )
    if not name:
        return next((m for m in microphones if m.is_default), microphones[0])
    for microphone in microphones:
        if name.casefold() in microphone.name.casefold():
            return microphone
    known = ", ".join(repr(m.name) for m in microphones)
    raise DeviceError(f"no microphone is named {name!r}; there are {known}")


def list_cameras(video_class: Path = VIDEO_CLASS) -> list[CameraInfo]:
    """The kernel's video devices, virtual ones too; empty where the system has no such list."""
    cameras = []
    for entry in sorted(video_class.glob("video*")):
        name_file = entry / "name"
        name = name_file.read_text(encoding="utf-8", errors="replace").strip() if name_file.is_file() else ""
        cameras.append(CameraInfo(f"/dev/{entry.name}", name))
    return cameras

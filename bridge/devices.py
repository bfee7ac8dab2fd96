"""What the machine has: microphones and loudspeakers by sounddevice, cameras by the kernel's list."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bridge.errors import DeviceError

VIDEO_CLASS = Path("/sys/class/video4linux")

_HELD: dict[Literal["input", "output"], tuple[str, str, str]] = {
    "input": ("max_input_channels", "microphone", "leave --microphone out"),
    "output": ("max_output_channels", "sound output", "leave --delay-audio out"),
}

_streams: set[Any] = set()
_streams_lock = threading.Lock()


@dataclass(frozen=True)
class SoundDevice:
    """A microphone or an output; `index` is PortAudio's, `sample_rate_hz` its own rate."""

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
        import sounddevice  # fails without the PortAudio library, which only sound devices need
    except (ImportError, OSError) as error:
        raise DeviceError(
            f"sound is not available ({error}); install PortAudio (Debian: apt install libportaudio2)"
        ) from None
    return sounddevice


def list_microphones() -> list[SoundDevice]:
    """All devices with an input, the system's default marked.

    Raises:
        DeviceError: the sound system cannot be asked.
    """
    return _list_devices("input")


def list_outputs() -> list[SoundDevice]:
    """All devices that play, the system's default marked; errors as of `list_microphones`."""
    return _list_devices("output")


def find_microphone(name: str) -> SoundDevice:
    """The microphone whose name is `name`, else the first that contains it in any case; "": the default.

    Raises:
        DeviceError: there is none; the line names those that exist.
    """
    return _find_device("input", name)


def find_output(name: str) -> SoundDevice:
    """The output of a name, as `find_microphone`."""
    return _find_device("output", name)


def open_stream(kind: Literal["InputStream", "OutputStream"], **options: Any) -> Any:
    """Opens and starts a stream of sounddevice; `close_stream` ends it.

    Raises:
        sounddevice.PortAudioError: the device does not open.
    """
    with _streams_lock:
        stream = getattr(sound_library(), kind)(**options)
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise
        _streams.add(stream)
    return stream


def close_stream(stream: Any) -> None:
    """Ends a stream, one whose device is gone too."""
    with _streams_lock:
        _streams.discard(stream)
        stream.close(ignore_errors=True)


def renew_device_list() -> None:
    """Looks for devices that came and went.

    PortAudio does so only when it begins anew, which ends every stream: nothing is done while one is open.
    """
    with _streams_lock:
        if not _streams:
            sound = sound_library()
            sound._terminate()
            sound._initialize()


def list_cameras(video_class: Path = VIDEO_CLASS) -> list[CameraInfo]:
    """The kernel's video devices, virtual ones too; empty where the system has no such list."""
    cameras = []
    for entry in sorted(video_class.glob("video*")):
        name_file = entry / "name"
        name = name_file.read_text(encoding="utf-8", errors="replace").strip() if name_file.is_file() else ""
        cameras.append(CameraInfo(f"/dev/{entry.name}", name))
    return cameras


def _list_devices(kind: Literal["input", "output"]) -> list[SoundDevice]:
    sound = sound_library()
    try:
        devices = list(sound.query_devices())
        default_index = sound.default.device[0 if kind == "input" else 1]
    except sound.PortAudioError as error:
        raise DeviceError(f"the sound system does not answer: {error}") from None
    channels = _HELD[kind][0]
    return [
        SoundDevice(
            index=index,
            name=str(device["name"]),
            sample_rate_hz=int(device["default_samplerate"]),
            channels=int(device[channels]),
            is_default=index == default_index,
        )
        for index, device in enumerate(devices)
        if device[channels] > 0
    ]


def _find_device(kind: Literal["input", "output"], name: str) -> SoundDevice:
    devices = _list_devices(kind)
    _, called, otherwise = _HELD[kind]
    if not devices:
        raise DeviceError(f"no {called} was found; plug one in (`llia devices` lists them) or {otherwise}")
    if not name:
        return next((d for d in devices if d.is_default), devices[0])
    exact = [d for d in devices if d.name == name]
    for device in exact or devices:
        if name.casefold() in device.name.casefold():
            return device
    known = ", ".join(repr(d.name) for d in devices)
    raise DeviceError(f"no {called} is named {name!r}; there are {known}")

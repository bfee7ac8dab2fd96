"""The daemon's settings: defaults, a TOML file, then flags; every value checked."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.errors import SettingError
from engine.config import EngineConfig


def _setting(default: Any, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class SocketSettings:
    """ZeroMQ.

    Attributes:
        host: loopback address.
        control_port: ROUTER socket, audio and control; 0 lets the system choose.
        frames_port: XPUB socket, frames, audio echo and events; 0 lets the system choose.
    """

    host: str = "127.0.0.1"
    control_port: int = _setting(5570, 0, 65_535)
    frames_port: int = _setting(5571, 0, 65_535)


@dataclass(frozen=True)
class PageSettings:
    """The web page.

    Attributes:
        enabled: serve it.
        port: of the page on the loopback address; 0 lets the system choose.
    """

    enabled: bool = True
    port: int = _setting(5580, 0, 65_535)


@dataclass(frozen=True)
class SpeechSettings:
    """Speech.

    Attributes:
        greeting: speak the bundled greeting at the start.
        lead_ms: time from a sample's arrival to its frame, at the start; adapts to the machine afterwards.
        waiting_limit_s: most speech that may wait, seconds; more is refused with an error.
    """

    greeting: bool = True
    lead_ms: float = _setting(200.0, 120, 500)
    waiting_limit_s: float = _setting(300.0, 1, 3_600)


@dataclass(frozen=True)
class MicrophoneSettings:
    """The microphone.

    Attributes:
        enabled: let the avatar speak what the microphone hears.
        device: part of the device's name; "" is the system's default.
    """

    enabled: bool = False
    device: str = ""


@dataclass(frozen=True)
class Settings:
    """All settings; `configs/default.toml` lists them with their units."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    sockets: SocketSettings = SocketSettings()
    page: PageSettings = PageSettings()
    speech: SpeechSettings = SpeechSettings()
    microphone: MicrophoneSettings = MicrophoneSettings()


def read_settings(path: Path | None, flags: dict[str, Any]) -> Settings:
    """Joins defaults, file and flags.

    Args:
        path: a TOML file, None for none.
        flags: values by "section.key"; None values are passed over.

    Raises:
        SettingError: the file cannot be read, a key is unknown, a value's type or bounds are wrong.
        ConfigError: the same of the section `engine`.
    """
    settings = Settings()
    if path is not None:
        for section, entries in _read_toml(path).items():
            settings = _with(settings, section, entries, str(path))
    given: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = name.split(".")
            given.setdefault(section, {})[key] = value
    for section, entries in given.items():
        settings = _with(settings, section, entries, "command line")
    return settings


def _read_toml(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: not valid TOML: {error}") from None
    for section, entries in document.items():
        if not isinstance(entries, dict):
            raise SettingError(f"{path}: {section} stands outside a section; see configs/default.toml")
    return document


def _with(settings: Settings, section: str, entries: dict[str, Any], source: str) -> Settings:
    """Lays one section's entries over the settings."""
    sections = [f.name for f in dataclasses.fields(Settings)]
    if section not in sections:
        raise SettingError(f"{source}: unknown section {section}; there are {', '.join(sections)}")
    group = getattr(settings, section)
    if isinstance(group, EngineConfig):
        EngineConfig.from_mapping(entries, file=source)  # the engine knows its own bounds
        checked = entries
    else:
        checked = {key: _checked(group, key, value, f"{source}: {section}") for key, value in entries.items()}
    return dataclasses.replace(settings, **{section: dataclasses.replace(group, **checked)})


def _checked(group: Any, key: str, value: Any, where: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(group)}
    if key not in fields:
        raise SettingError(f"{where}.{key}: unknown key; there are {', '.join(fields)}")
    kind = typing.get_type_hints(type(group))[key]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise SettingError(
            f"{where}.{key} = {value!r} is of type {type(value).__name__}; {kind.__name__} is needed"
        )
    low, high = fields[key].metadata.get("low"), fields[key].metadata.get("high")
    if low is not None and not low <= value <= high:
        raise SettingError(f"{where}.{key} = {value} is out of bounds; {low} to {high} is possible")
    return value

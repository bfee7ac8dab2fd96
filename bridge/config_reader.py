"""Joins defaults, a TOML file, the environment and flags to `Settings`; checks every value."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from bridge.config import Settings
from bridge.errors import SettingError
from engine.config import EngineConfig

ENVIRONMENT_PREFIX = "LLIA_"
"""`LLIA_SECTION__KEY` sets a key; names without the double underscore are none of ours."""

SECTIONS = tuple(field.name for field in dataclasses.fields(Settings))


@dataclass(frozen=True)
class _Given:
    """One value that somebody gave, and where: a file, an environment variable or a flag."""

    source: str
    section: str
    key: str
    value: Any


def read_settings(
    config: str | Path | None,
    flags: Mapping[str, Any],
    *,
    assignments: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Joins the defaults, then a file, then the environment, then flags; later ones win.

    Args:
        config: a TOML file or the name of a shipped one, see `find_config`; None for none.
        flags: values by "section.key"; None values are passed over.
        assignments: the texts of `--set`, "section.key=value"; they come last.
        options: the command line's name of each flag, by "section.key", for errors.
        environment: variables; None takes the process's.

    Raises:
        SettingError: the file cannot be read, a key is unknown, a value's type or bounds are wrong.
        ConfigError: the bounds of a value in the section `engine` are wrong.
    """
    found = [] if config is None else _from_file(find_config(config))
    found += _from_environment(os.environ if environment is None else environment)
    for name, value in flags.items():
        if value is not None:
            section, key = name.split(".")
            found.append(_Given((options or {}).get(name, "command line"), section, key, value))
    found += _from_assignments(assignments)
    settings = Settings()
    for given in found:
        settings = _with(settings, given)
    return settings


def find_config(config: str | Path) -> Path:
    """Finds a configuration file.

    Args:
        config: a path, or the bare name of a shipped file, such as "streamer".

    Raises:
        SettingError: a bare name that is neither.
    """
    path, shipped = Path(config), _shipped_configs()
    is_bare_name = path.name == str(config) and not path.suffix
    if not is_bare_name or path.is_file():
        return path
    if path.name not in shipped:
        raise SettingError(
            f"{config}: neither a file nor a shipped configuration; {_nearest(path.name, shipped)}"
        )
    return shipped[path.name]


def _shipped_configs() -> dict[str, Path]:
    """The files of `configs/` by name: those of the source tree, or those that were installed."""
    folder = Path(__file__).parents[1] / "configs"
    if folder.is_dir():
        files = sorted(folder.glob("*.toml"))
    else:
        try:
            installed = distribution("llia-bridge").files or []
        except PackageNotFoundError:
            installed = []
        files = [Path(str(file.locate())).resolve() for file in installed if file.parent.name == "configs"]
    return {file.stem: file for file in files}


def _from_file(path: Path) -> list[_Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: not valid TOML: {error}") from None
    found = []
    for section, entries in document.items():
        if not isinstance(entries, dict):
            raise SettingError(f"{path}: {section} stands outside a section; see configs/default.toml")
        _require_section(section, str(path))
        found += [_Given(str(path), section, key, value) for key, value in entries.items()]
    return found


def _from_environment(environment: Mapping[str, str]) -> list[_Given]:
    found = []
    for name, text in sorted(environment.items()):
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if name.startswith(ENVIRONMENT_PREFIX) and separator:
            found.append(_from_text(f"environment variable {name}", section.lower(), key.lower(), text))
    return found


def _from_assignments(texts: Iterable[str]) -> list[_Given]:
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot):
            raise SettingError(f"--set {text}: expected section.key=value, such as engine.fps=30")
        found.append(_from_text("--set", section, key, value.strip()))
    return found


def _from_text(source: str, section: str, key: str, text: str) -> _Given:
    """Gives a text the type of its key."""
    kind = _kind(section, key, source)
    try:
        value = _parsed(kind, text)
    except ValueError:
        raise SettingError(f"{source}: {section}.{key} = {text!r}: expected {_described(kind)}") from None
    return _Given(source, section, key, value)


def _parsed(kind: Any, text: str) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if kind in (int, float):
        return kind(text)
    return text if kind is str else [part.strip() for part in text.split(",") if part.strip()]


def _described(kind: Any) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(kind, "a list of texts")


def _kind(section: str, key: str, source: str) -> Any:
    """The type of a key; an optional one's without None.

    Raises:
        SettingError: there is no such section or key.
    """
    _require_section(section, source)
    kinds = typing.get_type_hints(type(getattr(Settings(), section)))
    if key not in kinds:
        elsewhere = [f"{other}.{key}" for other in SECTIONS if hasattr(getattr(Settings(), other), key)]
        hint = f"did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, kinds)
        raise SettingError(f"{source}: {section}.{key}: unknown key; {hint}")
    kind = kinds[key]
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    return kind


def _require_section(section: str, source: str) -> None:
    if section not in SECTIONS:
        raise SettingError(f"{source}: unknown section {section}; {_nearest(section, SECTIONS)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(names)}"


def _with(settings: Settings, given: _Given) -> Settings:
    """Lays one value over the settings."""
    kind = _kind(given.section, given.key, given.source)
    group = getattr(settings, given.section)
    if isinstance(group, EngineConfig):  # the engine knows its own bounds
        EngineConfig.from_mapping({given.key: given.value}, file=given.source)
        value = given.value
    else:
        value = _checked(group, given, kind)
    return dataclasses.replace(settings, **{given.section: dataclasses.replace(group, **{given.key: value})})


def _checked(group: Any, given: _Given, kind: Any) -> Any:
    metadata = next(field.metadata for field in dataclasses.fields(group) if field.name == given.key)
    value, shown = given.value, "***" if metadata.get("secret") else repr(given.value)
    where = f"{given.source}: {given.section}.{given.key} = {shown}"
    if kind is float and type(value) is int:
        value = float(value)
    if typing.get_origin(kind) is tuple:
        is_right = isinstance(value, list) and all(type(item) is str for item in value)
        value = tuple(value) if is_right else value
    else:
        is_right = type(value) is kind
    if not is_right:
        raise SettingError(f"{where}: expected {_described(kind)}")
    low, high, choices = metadata.get("low"), metadata.get("high"), metadata.get("choices")
    if low is not None and not low <= value <= high:
        raise SettingError(f"{where}: expected {_described(kind)} {low}..{high}")
    if choices and value not in choices:
        raise SettingError(f"{where}: expected one of {', '.join(choices)}; {_nearest(value, choices)}")
    return value

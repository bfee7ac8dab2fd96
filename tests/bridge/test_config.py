"""Defaults, files, environment and flags; the shipped files and the dataclasses say the same."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Settings, secrets
from bridge.config_reader import SECTIONS, find_config, read_settings
from bridge.errors import SettingError
from engine.config import BOUNDS, PROVIDER_NAMES
from engine.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
KEYS = [
    (section, key.name) for section in SECTIONS for key in dataclasses.fields(getattr(Settings(), section))
]
UNITS = {"ms": "ms", "s": "s", "px": "px", "mb": "MB", "hz": "Hz", "db": "dB", "kbps": "kbit/s"}


def read(config: Path | str | None, flags: dict[str, Any] | None = None, **more: Any) -> Settings:
    return read_settings(config, flags or {}, **{"environment": {}, **more})


def written(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def default_lines() -> dict[tuple[str, str], str]:
    """The comment of every key in `configs/default.toml`."""
    found: dict[tuple[str, str], str] = {}
    section = key = ""
    for line in (CONFIGS / "default.toml").read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif match := re.match(r"(?:# )?(\w+) = (?:\"[^\"]*\"|[^\"#]*)(.*)", line):
            key, found[section, match[1]] = match[1], match[2]
        elif match := re.match(r" +#(.*)", line):
            found[section, key] += match[1]
    return found


def test_the_default_file_holds_the_defaults_and_every_key() -> None:
    assert read(CONFIGS / "default.toml") == Settings()
    text = (CONFIGS / "default.toml").read_text(encoding="utf-8")
    sections = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.M))
    assert {(section, key) for section, entries in sections.items() for key in entries} == set(KEYS)


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(name) for name in KEYS])
def test_the_default_file_tells_units_bounds_and_choices(section: str, key: str) -> None:
    comment = default_lines()[section, key]
    group = getattr(Settings(), section)
    metadata = next(field.metadata for field in dataclasses.fields(group) if field.name == key)
    low, high = metadata.get("low"), metadata.get("high")
    choices: tuple[str, ...] = metadata.get("choices", ())
    if section == "engine":
        low, high = BOUNDS.get(key, (None, None))
        choices = PROVIDER_NAMES if key == "provider" else ()
    if typing.get_type_hints(type(group))[key] in (int, float):
        assert low is not None and high is not None, "a number needs bounds"
    if low is not None:
        assert f"{low}..{high}" in comment
    for choice in choices:
        assert re.search(rf"\b{choice}\b", comment), choice
    unit = UNITS.get(key.rpartition("_")[2])
    if unit is not None:
        assert re.search(rf"\b{unit}\b", comment), unit
    assert ("(reloads)" in comment) == metadata.get("reload", False)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_files_load_by_name(path: Path) -> None:
    assert find_config(path.stem) == path
    assert (read(path.stem) == Settings()) == (path.stem == "default")


def test_later_sources_win(tmp_path: Path) -> None:
    path = written(tmp_path, "[engine]\nsize_px = 512\nfps = 30\nsteps = 1\n[sockets]\ncontrol_port = 6000\n")
    settings = read(
        path,
        {"engine.fps": 50, "engine.avatar": None, "page.enabled": False},
        environment={"LLIA_ENGINE__FPS": "40", "LLIA_ENGINE__SIZE_PX": "256", "LLIA_REQUIRE_ALL": "1"},
        assignments=["page.enabled=true", "engine.seed = 7"],
    )
    engine = settings.engine
    assert (engine.steps, engine.size_px, engine.fps, engine.seed) == (1, 256, 50, 7)
    assert settings.sockets.control_port == 6000 and settings.page.enabled


def test_texts_take_the_type_of_their_key() -> None:
    environment = {
        "LLIA_SPEECH__LEAD_MS": "150",
        "LLIA_SPEECH__GREETING": "false",
        "LLIA_MICROPHONE__DEVICE": "7",
        "LLIA_ENGINE__THREADS": "2",
    }
    settings = read(None, environment=environment)
    assert (settings.speech.lead_ms, settings.speech.greeting) == (150.0, False)
    assert (settings.microphone.device, settings.engine.threads) == ("7", 2)


def test_the_environment_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLIA_ENGINE__FPS", "40")
    assert read_settings(None, {}).engine.fps == 40


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine\n", "not valid TOML"),
        ("fps = 25\n", "outside a section"),
        ("[motor]\n", r"unknown section motor; there are engine, "),
        ("[socket]\n", r"unknown section socket; did you mean sockets\?"),
        ("[sockets]\nbacklog = 1\n", r"sockets\.backlog: unknown key; there are host, control_port"),
        ("[sockets]\ncontrolport = 1\n", r"unknown key; did you mean control_port\?"),
        ("[page]\nlead_ms = 1\n", r"page\.lead_ms: unknown key; did you mean speech\.lead_ms\?"),
        ("[sockets]\ncontrol_port = 70000\n", r"control_port = 70000: expected a whole number 0\.\.65535"),
        ("[sockets]\ncontrol_port = '1'\n", "control_port = '1': expected a whole number"),
        ("[speech]\ngreeting = 1\n", "greeting = 1: expected true or false"),
        ("[speech]\nlead_ms = nan\n", r"lead_ms = nan: expected a number 120\.\.500"),
        ("[log]\nlevel = 'warn'\n", r"log\.level = 'warn': expected one of .*; did you mean warning\?"),
        ("[log]\nlevel = ['a']\n", r"log\.level = \['a'\]: expected text"),
        ("[obs]\npassword = 1234\n", r"obs\.password = \*\*\*: expected text"),
        ("[engine]\nsize = 512\n", r"engine\.size: unknown key; did you mean size_px\?"),
        ("[engine]\nfps = 1000\n", r"engine\.fps = 1000: .*10\.\.60"),
    ],
)
def test_wrong_files_name_file_key_value_and_bound(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises((SettingError, ConfigError), match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LLIA_ENGINE__FPS", "many", "engine.fps = 'many': expected a whole number"),
        ("LLIA_ENGINE__FPS", "99", "engine.fps = 99: expected a whole number 10..60"),
        ("LLIA_PAGE__ENABLED", "yes", "page.enabled = 'yes': expected true or false"),
        ("LLIA_ENGINE__FSP", "25", "engine.fsp: unknown key; did you mean fps?"),
        ("LLIA_ENGIN__FPS", "25", "unknown section engin; did you mean engine?"),
    ],
)
def test_wrong_variables_are_named(name: str, text: str, words: str) -> None:
    with pytest.raises((SettingError, ConfigError)) as caught:
        read(None, environment={name: text})
    assert str(caught.value) == f"environment variable {name}: {words}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine.fps", "--set engine.fps: expected section.key=value"),
        ("fps=25", "--set fps=25: expected section.key=value"),
        ("engine.fps=1000", "--set: engine.fps = 1000: expected a whole number 10..60"),
        ("page.prot=1", "--set: page.prot: unknown key; did you mean port?"),
    ],
)
def test_wrong_assignments_are_named(text: str, words: str) -> None:
    with pytest.raises((SettingError, ConfigError)) as caught:
        read(None, assignments=[text])
    assert str(caught.value).startswith(words)


def test_wrong_flags_are_named_as_the_command_line_does() -> None:
    with pytest.raises(
        SettingError, match=r"^--page-port: page\.port = -1: expected a whole number 0\.\.65535"
    ):
        read(None, {"page.port": -1}, options={"page.port": "--page-port"})


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none.toml: cannot be read"):
        read(tmp_path / "none.toml")
    with pytest.raises(SettingError, match=r"defalt: neither a file nor a shipped .* did you mean default\?"):
        read("defalt")


def test_secrets_are_known() -> None:
    assert "correct horse" in secrets(read(None, {"obs.password": "correct horse"}))


def test_whole_numbers_serve_as_decimals() -> None:
    assert read(None, {"speech.lead_ms": 150}).speech.lead_ms == 150.0

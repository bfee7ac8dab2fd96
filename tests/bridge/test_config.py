from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bridge.config import Settings, read_settings
from bridge.errors import SettingError
from engine.errors import ConfigError

DEFAULT = Path(__file__).parents[2] / "configs" / "default.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_default_file_holds_the_defaults_and_every_key() -> None:
    assert read_settings(DEFAULT, {}) == Settings()
    text = DEFAULT.read_text(encoding="utf-8").replace("# threads", "threads").replace("# seed", "seed")
    sections = tomllib.loads(text)
    assert {name: set(entries) for name, entries in sections.items()} == {
        name: set(vars(group)) for name, group in vars(Settings()).items()
    }


def test_flags_come_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[engine]\nsize_px = 512\nfps = 30\n[sockets]\ncontrol_port = 6000\n")
    settings = read_settings(path, {"engine.fps": 50, "engine.avatar": None, "page.enabled": False})
    assert (settings.engine.size_px, settings.engine.fps, settings.sockets.control_port) == (512, 50, 6000)
    assert not settings.page.enabled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine\n", "not valid TOML"),
        ("fps = 25\n", "outside a section"),
        ("[motor]\nfps = 25\n", "unknown section motor"),
        ("[sockets]\nport = 1\n", r"sockets.port: unknown key; there are host, control_port"),
        ("[sockets]\ncontrol_port = 70000\n", "control_port = 70000 is out of bounds; 0 to 65535"),
        ("[sockets]\ncontrol_port = '1'\n", "of type str; int is needed"),
        ("[speech]\ngreeting = 1\n", "of type int; bool is needed"),
        ("[engine]\nsize = 512\n", "size"),
        ("[engine]\nfps = 1000\n", "fps = 1000"),
    ],
)
def test_wrong_files_name_file_key_and_bound(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises((SettingError, ConfigError), match=words) as caught:
        read_settings(path, {})
    assert "my.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none.toml: cannot be read"):
        read_settings(tmp_path / "none.toml", {})


def test_whole_numbers_serve_as_decimals() -> None:
    assert read_settings(None, {"speech.lead_ms": 150}).speech.lead_ms == 150.0

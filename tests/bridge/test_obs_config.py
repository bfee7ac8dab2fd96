"""What OBS has written down about its server, in the files of its versions and systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.obs_config import ObsServer, obs_folders, read_obs_server

INI = """[General]
LastVersion=486539266
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort=4466
AuthRequired=true
ServerPassword=50%=half; really
"""
JSON = {"server_enabled": True, "server_port": 4477, "auth_required": True, "server_password": "pass word"}


def write_json(folder: Path, **changes: object) -> Path:
    path = folder / "plugin_config" / "obs-websocket" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**JSON, **changes}))
    return path


def test_the_newer_file_comes_before_the_older(tmp_path: Path) -> None:
    assert read_obs_server([tmp_path]) is None
    ini = tmp_path / "global.ini"
    ini.write_text("\ufeff" + INI, encoding="utf-8")  # with a byte order mark, as Windows writes it
    assert read_obs_server([tmp_path]) == ObsServer(ini, True, 4466, "50%=half; really")
    newer = write_json(tmp_path)
    assert read_obs_server([tmp_path]) == ObsServer(newer, True, 4477, "pass word")
    assert read_obs_server([tmp_path / "none", tmp_path]) == ObsServer(newer, True, 4477, "pass word")


def test_a_server_that_is_off_or_wants_no_password(tmp_path: Path) -> None:
    path = write_json(tmp_path, server_enabled=False, auth_required=False)
    assert read_obs_server([tmp_path]) == ObsServer(path, False, 4477, "")
    path.unlink()
    ini = tmp_path / "global.ini"
    ini.write_text("[OBSWebSocket]\nServerEnabled=false\nAuthRequired=false\nServerPassword=x\n")
    assert read_obs_server([tmp_path]) == ObsServer(ini, False, 4455, "")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"server_enabled": true, "server_port": "no"}', "[General]\n", "\0" * 2_000_000]
)
def test_files_of_another_form_are_passed_over(text: str, tmp_path: Path) -> None:
    write_json(tmp_path).write_text(text)
    (tmp_path / "global.ini").write_text(text)
    assert read_obs_server([tmp_path]) is None


def test_folders_of_each_system() -> None:
    home = Path("home")
    roaming = {"APPDATA": "roaming"}
    assert obs_folders("win32", roaming, home) == [Path("roaming/obs-studio")]
    assert obs_folders("win32", {}, home) == [home / "AppData/Roaming/obs-studio"]
    assert obs_folders("darwin", roaming, home) == [home / "Library/Application Support/obs-studio"]
    own, flatpak = home / ".config/obs-studio", home / ".var/app/com.obsproject.Studio/config/obs-studio"
    assert obs_folders("linux", {}, home) == [own, flatpak]
    assert obs_folders("linux", {"XDG_CONFIG_HOME": "x"}, home) == [Path("x/obs-studio"), flatpak]

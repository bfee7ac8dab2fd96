"""What OBS itself has written down about its WebSocket server, for each system it runs on."""

from __future__ import annotations

import configparser
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class ObsServer:
    """The WebSocket server as OBS's own files describe it.

    Attributes:
        path: the file.
        enabled: whether OBS opens the port.
        port: of the server.
        password: "" where OBS asks for none.
    """

    path: Path
    enabled: bool
    port: int
    password: str


def obs_folders(
    platform: str = sys.platform, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> list[Path]:
    """Where OBS keeps a user's settings, the likeliest first; they need not exist.

    Args:
        platform: as in `sys.platform`.
        environment: variables.
        home: the user's folder, None for the one of this process.
    """
    home = home if home is not None else Path.home()
    if platform == "win32":
        return [Path(environment.get("APPDATA") or home / "AppData" / "Roaming") / "obs-studio"]
    if platform == "darwin":
        return [home / "Library" / "Application Support" / "obs-studio"]
    return [
        Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "obs-studio",
        home / ".var/app/com.obsproject.Studio/config/obs-studio",
    ]


def read_obs_server(folders: Sequence[Path] | None = None) -> ObsServer | None:
    """Reads the newest settings there are; None where OBS has written none that can be read.

    Args:
        folders: OBS's per-user folders, None for `obs_folders()`.
    """
    for folder in obs_folders() if folders is None else folders:
        # From OBS 31 on the server has a file of its own, before it had a section of the common one.
        for path, read in (
            (folder / "plugin_config" / "obs-websocket" / "config.json", _from_json),
            (folder / "global.ini", _from_ini),
        ):
            try:
                if path.stat().st_size <= MAX_FILE_BYTES:
                    return read(path)
            except (OSError, ValueError, KeyError, TypeError, configparser.Error):
                continue  # not there, or not of this form: the user is asked for the password
    return None


def _from_json(path: Path) -> ObsServer:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    password = str(found.get("server_password") or "") if found.get("auth_required", True) else ""
    return ObsServer(path, bool(found["server_enabled"]), int(found.get("server_port", 4455)), password)


def _from_ini(path: Path) -> ObsServer:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(path.read_text(encoding="utf-8-sig"))
    section = parser["OBSWebSocket"]
    password = section.get("ServerPassword", "") if section.getboolean("AuthRequired", True) else ""
    enabled = section.getboolean("ServerEnabled", False)
    return ObsServer(path, enabled, section.getint("ServerPort", 4455), password)

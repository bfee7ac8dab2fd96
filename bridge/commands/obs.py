"""`llia obs`: puts the avatar into an OBS scene (`setup`), or shows what OBS has (`status`)."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from bridge.client import DaemonClient, daemon_address
from bridge.config import Settings
from bridge.config_reader import read_settings
from bridge.errors import BridgeError
from bridge.obs import DEFAULT_PORT, Obs, ObsAvatar
from bridge.obs_config import read_obs_server
from bridge.protocol.messages import AvatarInfo, GetAvatarInfo, GetStatistics, Statistics
from bridge.sockets import is_loopback

SETUP_TEXT = """Makes the scene, the source and its place, and delays OBS's microphone by the avatar's
measured latency, so that voice and picture meet. Run it again whenever you like: your own placement stays."""


def add_parser(subparsers: Any) -> None:
    """Adds `obs` to the command line."""
    parser = subparsers.add_parser("obs", help="put the avatar into an OBS scene", description=__doc__)
    actions = parser.add_subparsers(metavar="action", required=True)
    for name, run, text in (
        ("setup", _set_up, SETUP_TEXT),
        ("status", _show_status, "Shows what OBS has of the avatar."),
    ):
        action = actions.add_parser(name, help=text.split(",")[0].split(".")[0], description=text)
        action.add_argument(
            "--config", metavar="FILE", help="settings in TOML, or the name of a shipped file"
        )
        action.add_argument("--host", help="where OBS runs (127.0.0.1)")
        action.add_argument("--port", type=int, help="of obs-websocket (what OBS has written down, or 4455)")
        action.add_argument("--password", help="better in LLIA_OBS__PASSWORD (what OBS has written down)")
        action.add_argument("--scene", help="the scene's name (LLIA)")
        action.add_argument("--name", help="the source's name (LLIA avatar)")
        action.add_argument("--audio", metavar="INPUT", help="the input to delay (OBS's first microphone)")
        action.set_defaults(run=run)
        if name == "setup":
            action.add_argument(
                "--avatar", default="", metavar="ID", help="the daemon's id (the default one)"
            )
            action.add_argument(
                "--sound",
                action="store_true",
                default=None,
                help="play the avatar's voice through OBS, for speech that is not your microphone's",
            )


def _set_up(args: argparse.Namespace) -> int:
    settings = _settings(args)
    avatar = _running_avatar(settings, args.avatar)
    with _obs(settings) as obs:
        for line in obs.set_up(avatar, settings.obs.scene, settings.obs.name, settings.obs.audio):
            print(line, flush=True)
    return 0


def _show_status(args: argparse.Namespace) -> int:
    settings = _settings(args)
    with _obs(settings) as obs:
        for line in obs.describe(settings.obs.scene, settings.obs.name, settings.obs.audio):
            print(line, flush=True)
    try:
        avatar = _running_avatar(settings, "")
    except BridgeError as error:
        print(f"daemon    {error}")
    else:
        print(f"daemon    runs, {avatar.lead_ms:.0f} ms from sound to picture")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    flags = {
        f"obs.{key}": getattr(args, key, None)
        for key in ("host", "port", "password", "scene", "name", "audio", "sound")
    }
    return read_settings(args.config, flags)


def _obs(settings: Settings) -> Obs:
    obs = settings.obs
    server = read_obs_server()
    port = obs.port or (server.port if server is not None else DEFAULT_PORT)
    password = obs.password or (server.password if server is not None else "")
    return Obs(obs.host, port, password, server)


def _running_avatar(settings: Settings, avatar_id: str) -> ObsAvatar:
    """Asks the daemon.

    Raises:
        BridgeError: it does not run, or has no such avatar.
    """
    sockets = settings.sockets
    with DaemonClient(daemon_address(sockets), sockets.keys) as daemon:
        info = daemon.ask(GetAvatarInfo(avatar_id=avatar_id), AvatarInfo)
        statistics = daemon.ask(GetStatistics(avatar_id=avatar_id), Statistics)
    query = {"avatar": avatar_id} if avatar_id else {}
    if settings.obs.sound:
        query["sound"] = "1"
    host = sockets.host if is_loopback(sockets.host) else "127.0.0.1"  # as the daemon serves the page
    host = f"[{host}]" if ":" in host else host
    return ObsAvatar(
        avatar_id=info.avatar_id,
        size_px=max(info.width, info.height),
        endpoint=daemon_address(sockets),
        viewer_url=f"http://{host}:{settings.page.port}/view" + (f"?{urlencode(query)}" if query else ""),
        sound=settings.obs.sound,
        lead_ms=statistics.lead_ms,
    )

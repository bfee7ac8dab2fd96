"""`llia status`: asks a running daemon how it is."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.client import DaemonClient, daemon_address
from bridge.config_reader import read_settings
from bridge.errors import UnknownAvatarError
from bridge.protocol.messages import (
    AvatarInfo,
    GetAvatarInfo,
    GetStatistics,
    Hello,
    Reply,
    Statistics,
    Welcome,
)

PIPE_COLUMNS = 160
"""Width of the table where no terminal gives one."""


def add_parser(subparsers: Any) -> None:
    """Adds `status` to the command line."""
    parser = subparsers.add_parser("status", help="how a running daemon is", description=__doc__)
    parser.add_argument("--config", metavar="FILE", help="settings that the daemon was started with")
    parser.add_argument("--endpoint", metavar="ADDRESS", help="control socket (tcp://127.0.0.1:5570)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a table or JSON; returns 0."""
    sockets = read_settings(args.config, {}).sockets
    told = _ask_all(args.endpoint or daemon_address(sockets), sockets.keys)
    if args.json:
        print(json.dumps(told, indent=2))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=PIPE_COLUMNS)
        _show(console, told)
    return 0


def _ask_all(address: str, keys: str) -> dict[str, Any]:
    """Version, counts and avatars of the daemon, in the words of the protocol."""
    counts: dict[str, int] = {}
    avatars = []
    with DaemonClient(address, keys) as daemon:
        welcome = daemon.ask(Hello(client="llia status"), Welcome)
        for avatar_id in welcome.avatars:
            with contextlib.suppress(UnknownAvatarError):  # closed since
                info = _fields(daemon.ask(GetAvatarInfo(avatar_id=avatar_id), AvatarInfo))
                statistics = _fields(daemon.ask(GetStatistics(avatar_id=avatar_id), Statistics))
                counts = statistics.pop("daemon")
                avatars.append({**info, "statistics": statistics})
    return {"endpoint": address, "daemon": welcome.daemon, "counts": counts, "avatars": avatars}


def _fields(reply: Reply) -> dict[str, Any]:
    found = dataclasses.asdict(reply)
    del found["request_id"]
    return found


def _show(console: Console, told: Mapping[str, Any]) -> None:
    counts = dict(told["counts"])
    uptime = timedelta(seconds=counts.pop("uptime_s", 0))
    others = ", ".join(f"{name} {value}" for name, value in counts.items())
    console.print(f"{told['daemon']} at {told['endpoint']}, up {uptime}", highlight=False)
    console.print(others, highlight=False)
    table = Table()
    for column in ("avatar", "state", "fps", "latency ms", "stages ms", "waiting", "lost"):
        table.add_column(column)
    for avatar in told["avatars"]:
        now = avatar["statistics"]
        latency = {name: now[f"{name}_ms"] for name in ("latency", "first_frame", "lead", "compute")}
        lost = {"stalls": now["stalls"], "skipped_audio_ms": now["skipped_audio_ms"], **now["drops"]}
        size = f"{avatar['width']} x {avatar['height']}"
        table.add_row(
            "\n".join((avatar["avatar_id"], avatar["name"], size, avatar["provider"])),
            now["state"],
            f"{now['fps']:.0f} of {avatar['fps']}",
            *(_lines(figures) for figures in (latency, now["stages_ms"], now["queues"], lost)),
        )
    console.print(table)


def _lines(figures: Mapping[str, float]) -> str:
    """A line per figure; one below 0 is not known yet."""
    shown = {name: f"{round(value, 1):g}" if value >= 0 else "-" for name, value in figures.items()}
    return "\n".join(f"{name} {value}" for name, value in shown.items())

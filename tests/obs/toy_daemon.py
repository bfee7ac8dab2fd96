"""A daemon with the toy pack for OBS to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.config_reader import read_settings
from bridge.daemon import Daemon


@contextmanager
def toy_daemon(pack: Path, size_px: int, **flags: object) -> Iterator[Daemon]:
    """Silent, at free ports; `flags` by their names with two underscores for the dot."""
    more = {name.replace("__", "."): value for name, value in flags.items()}
    free: dict[str, object] = {"sockets.control_port": 0, "sockets.frames_port": 0, "page.port": 0}
    shown = {"engine.pack": str(pack), "engine.size_px": size_px, "speech.greeting": False}
    running = Daemon(read_settings(None, {**shown, **free, **more}))
    try:
        yield running
    finally:
        running.close()

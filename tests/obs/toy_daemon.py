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
    settings: dict[str, object] = {
        "engine.pack": str(pack), "engine.size_px": size_px, "speech.greeting": False,
        "sockets.control_port": 0, "sockets.frames_port": 0, "page.port": 0,
        **{name.replace("__", "."): value for name, value in flags.items()},
    }  # fmt: skip
    running = Daemon(read_settings(None, settings))
    try:
        yield running
    finally:
        running.close()

"""Reads the configuration again while the daemon runs; what can change without a restart does."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.config import Settings
from bridge.errors import BridgeError
from engine.errors import EngineError

WATCH_S = 1.0
"""How often the file is looked at."""

_log = logging.getLogger(__name__)


class Reloader:
    """Holds the settings in force. Used from one thread.

    Attributes:
        settings: what is in force now.
    """

    def __init__(self, settings: Settings, read: Callable[[], Settings], file: Path | None) -> None:
        """Starts from what the daemon was started with.

        Args:
            settings: in force now.
            read: joins file, environment and flags again; may raise BridgeError or EngineError.
            file: the file to watch, None without one.
        """
        self.settings = settings
        self._read = read
        self._file = file
        self._appliers: dict[str, list[Callable[[Any], None]]] = {}
        self._seen = self._stamp()
        self._looked_s = time.monotonic()

    def register(self, section: str, apply: Callable[[Any], None]) -> None:
        """Calls `apply` with a section's settings whenever one of its reloadable keys has changed.

        Args:
            section: a field of `Settings`.
            apply: puts them in force; raises BridgeError where that fails, with nothing changed.
        """
        self._appliers.setdefault(section, []).append(apply)

    def file_changed(self) -> bool:
        """Whether the file has changed; looks once a second where `daemon.watch_config` is on."""
        now_s = time.monotonic()
        if not self.settings.daemon.watch_config or now_s - self._looked_s < WATCH_S:
            return False
        self._looked_s = now_s
        stamp = self._stamp()
        changed = stamp is not None and stamp != self._seen  # None: an editor is about to put it in place
        if changed:
            self._seen = stamp
        return changed

    def reload(self) -> None:
        """Puts changed keys in force and logs those that need a restart; wrong settings change nothing."""
        try:
            wanted = self._read()
        except (BridgeError, EngineError) as error:
            _log.error("the settings stay as they were: %s", error)
            return
        applied, waiting = [], []
        for section in (field.name for field in dataclasses.fields(Settings)):
            old, new = getattr(self.settings, section), getattr(wanted, section)
            keys = [field for field in dataclasses.fields(old) if _value(old, field) != _value(new, field)]
            now = {field.name: _value(new, field) for field in keys if field.metadata.get("reload")}
            waiting += [f"{section}.{field.name}" for field in keys if field.name not in now]
            if now and self._apply(section, dataclasses.replace(old, **now)):
                applied += [f"{section}.{key} = {value!r}" for key, value in now.items()]
        if applied:
            _log.info("in force now: %s", ", ".join(applied))
        if waiting:
            _log.warning("needs a restart: %s", ", ".join(waiting))

    def _apply(self, section: str, group: Any) -> bool:
        try:
            for apply in self._appliers.get(section, ()):
                apply(group)
        except BridgeError as error:
            _log.error("the section %s stays as it was: %s", section, error)
            return False
        self.settings = dataclasses.replace(self.settings, **{section: group})
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return status and (status.st_mtime_ns, status.st_size, status.st_ino)


def _value(group: Any, field: dataclasses.Field[Any]) -> Any:
    return getattr(group, field.name)

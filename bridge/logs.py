"""The log: lines for people or programs, on standard error or in a file of bounded size; no secret in it.

A message about an avatar or a client says so: `_log.info("...", extra={"avatar_id": ..., "client": ...})`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

from bridge.config import LogSettings
from bridge.errors import SettingError

CONTEXT = ("avatar_id", "client")
"""What a line names where it is known, from the record's `extra`."""

KEPT_FILES = 3
"""Full files that stay beside the one that is written."""

MIN_SECRET_CHARS = 8
"""Shorter texts would be found in every other word."""

OURS = ("bridge", "engine")

_log = logging.getLogger(__name__)
# What could steer a terminal.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), 127)}
_secrets: set[str] = set()
_handler: logging.Handler | None = None


def hide(secret: str) -> None:
    """From now on the log shows `***` instead of this text.

    Args:
        secret: a key, a password or a token of at least `MIN_SECRET_CHARS`; shorter ones are passed over.
    """
    if len(secret) >= MIN_SECRET_CHARS:
        _secrets.add(secret)


def configure(settings: LogSettings) -> None:
    """Sends the log where the settings say; calling it again replaces what was before.

    Libraries are heard from "warning" on, whatever the level: their own details are not ours to tell.
    A thread that dies of an error is told there too.

    Raises:
        SettingError: the file cannot be written; the log stays as it was.
    """
    global _handler
    handler = _opened(settings)
    handler.setFormatter(_Objects() if settings.format == "json" else _Lines())
    root, level = logging.getLogger(), logging.getLevelNamesMapping()[settings.level.upper()]
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    threading.excepthook = _thread_died
    previous, _handler = _handler, handler
    if previous is not None:
        root.removeHandler(previous)
        previous.close()


def _thread_died(died: threading.ExceptHookArgs) -> None:
    name = died.thread.name if died.thread is not None else "?"
    if died.exc_value is not None and died.exc_type is not SystemExit:
        _log.critical("the thread %s has died of an error", name, exc_info=died.exc_value)


def _opened(settings: LogSettings) -> logging.Handler:
    if not settings.file:
        return _StandardError()
    try:
        return _File(
            settings.file,
            maxBytes=settings.file_limit_mb * 1_000_000,
            backupCount=KEPT_FILES,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        raise SettingError(f"log.file = {settings.file!r}: cannot be written ({error.strerror})") from None


class _StandardError(logging.StreamHandler[Any]):
    """Standard error as it is at the moment: a live display on the terminal puts its own in place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nobody is left to be told."""


class _File(logging.handlers.RotatingFileHandler):
    """A file that cannot be written, on a full disk say, is told once; the daemon lives on."""

    _is_told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not self._is_told:
            self._is_told = True
            print(
                f"llia: the log {self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr
            )

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what the full disk did not take
            super().close()


class _Lines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z WARNING bridge.avatar avatar_id=default: text`, for each line of the text."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        named = "".join(f" {name}={fields[name]}" for name in CONTEXT if name in fields)
        head = f"{fields['time']} {fields['level'].upper():<7} {fields['logger']}{named}: "
        lines = fields["message"].splitlines() + fields.get("exception", "").splitlines()
        return "\n".join((head + line).translate(_CONTROL) for line in lines or [""])


class _Objects(logging.Formatter):
    """A JSON object per line: time, level, logger, avatar_id, client, message, exception."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record), ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """What a line tells, without secrets."""
    time = datetime.fromtimestamp(record.created, UTC)
    fields = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    fields |= {name: str(value) for name in CONTEXT if (value := getattr(record, name, ""))}
    fields["message"] = record.getMessage()
    if record.exc_info:
        fields["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return {name: _without_secrets(value) for name, value in fields.items()}


def _without_secrets(text: str) -> str:
    for secret in tuple(_secrets):
        text = text.replace(secret, "***")
    return text

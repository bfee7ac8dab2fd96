"""The log's lines, files and secrets."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import logs
from bridge.config import LogSettings
from bridge.errors import SettingError
from bridge.keys import make_keys, server_keys

log = logging.getLogger("bridge.somewhere")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in logs.OURS]
    levels = [logger.level for logger in (root, *ours)]
    yield
    if logs._handler is not None:
        root.removeHandler(logs._handler)
        logs._handler.close()
        logs._handler = None
    for logger, level in zip((root, *ours), levels, strict=True):
        logger.setLevel(level)
    logs._secrets.clear()


def test_a_line_has_time_level_and_whom_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level="info"))
    log.info("refused %d\x1b[2J", 1, extra={"avatar_id": "default", "client": "ab12"})
    line = capsys.readouterr().err
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        time + r" INFO    bridge\.somewhere avatar_id=default client=ab12: refused 1\\x1b\[2J\n", line
    )


def test_every_line_of_a_text_bears_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("one\n2026-01-01T00:00:00.000Z ERROR forged")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 4 and all(re.match(r"\S+Z ERROR +bridge\.somewhere: ", line) for line in lines)
    assert lines[-1].endswith("ValueError: inner")


def test_a_thread_that_dies_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    thread = threading.Thread(target=lambda: 1 / 0, name="feeder")
    thread.start()
    thread.join()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" CRITICAL bridge.logs: the thread feeder has died of an error")
    assert lines[-1].endswith("ZeroDivisionError: division by zero")


def test_programs_read_an_object_per_line(tmp_path: Path) -> None:
    file = tmp_path / "llia.log"
    logs.configure(LogSettings(format="json", file=str(file)))
    log.warning("one\ntwo é", extra={"avatar_id": "a"})
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("failed")
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert re.fullmatch(r"[\d-]+T[\d:.]+Z", first.pop("time"))
    assert first == {
        "level": "warning", "logger": "bridge.somewhere", "avatar_id": "a", "message": "one\ntwo é",
    }  # fmt: skip
    assert second["exception"].endswith("ValueError: inner")


def test_levels_are_ours_and_libraries_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level="debug"))
    log.debug("ours")
    logging.getLogger("aiohttp.access").info("theirs")
    logs.configure(LogSettings(level="error"))
    log.warning("too light")
    logging.getLogger("aiohttp").warning("too light")
    log.error("grave")
    told = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert told == ["ours", "grave"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_hidden(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format=form))
    secret = r'D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wO"TJ\n%cs'
    logs.hide(secret)
    logs.hide("a")
    try:
        raise ValueError(f"bad key {secret}")
    except ValueError:
        log.exception("key %s", secret, extra={"client": secret})
    shown = capsys.readouterr().err
    assert secret not in shown and shown.count("***") >= 3 and "bad key" in shown


def test_keys_are_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_keys(tmp_path, "unity")
    keys = server_keys(tmp_path)
    logs.configure(LogSettings())
    log.warning("%s %s", keys.public.decode(), keys.secret.decode())
    assert capsys.readouterr().err.endswith(f"{keys.public.decode()} ***\n")


def test_files_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "llia.log"
    logs.configure(LogSettings(file=str(file), file_limit_mb=1))
    for _ in range(600):
        log.warning("x" * 10_000)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["llia.log", "llia.log.1", "llia.log.2", "llia.log.3"]
    assert all(path.stat().st_size <= 1_000_000 for path in files)


def test_a_file_that_cannot_be_opened_is_told_and_the_log_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings())
    with pytest.raises(SettingError, match=r"log\.file = .*llia\.log': cannot be written \(No such file"):
        logs.configure(LogSettings(file=str(tmp_path / "no" / "llia.log")))
    log.warning("still here")
    assert "still here" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full: a device that is always full")
def test_a_full_disk_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(file="/dev/full"))
    log.warning("lost")
    log.warning("lost too")
    assert capsys.readouterr().err.count("cannot be written: [Errno 28] No space left on device") == 1

"""Settings as a user gives them to `llia run`: files, environment, flags, and changes while it runs."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.integration.test_daemon_process import ROOT, Running, llia
from tests.integration.wire import WireClient

PORTS = ("--control-port", "0", "--frames-port", "0", "--no-page", "--no-greeting")


def told(log: Path, words: str, timeout_s: float = 10.0) -> list[dict[str, str]]:
    """The lines of a JSON log, once the words stand in it."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if log.exists() and words in (text := log.read_text("utf-8")):
            return [json.loads(line) for line in text.splitlines()]
        time.sleep(0.05)
    raise AssertionError(f"{words!r} is not in {log.read_text() if log.exists() else 'no log'}")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize("how", ["signal", "watch"])
def test_settings_change_while_it_runs(toy_pack: Path, tmp_path: Path, how: str) -> None:
    log, file = tmp_path / "llia.log", tmp_path / "my.toml"
    first = (
        f"[daemon]\nwatch_config = {str(how == 'watch').lower()}\n[log]\nfile = '{log}'\nformat = 'json'\n"
    )
    file.write_text(first)
    daemon = Running(toy_pack, "--no-greeting", "--config", str(file))

    def change(text: str) -> None:
        file.write_text(text)
        if how == "signal":
            daemon.process.send_signal(signal.SIGHUP)

    try:
        change(first + "level = 'info'\n[engine]\nfps = 30\n")
        lines = told(log, "needs a restart")
        assert [(line["level"], line["message"]) for line in lines] == [
            ("info", "in force now: log.level = 'info'"),
            ("warning", "needs a restart: engine.fps"),
        ]
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        limits = "[speech]\nwaiting_limit_s = 7\n[sessions]\nmax_avatars = 3\n"
        change(first + "level = 'info'\n" + limits)
        told(log, "in force now: sessions.max_avatars = 3")
        told(log, "speech.waiting_limit_s = 7.0")
        client = WireClient(daemon.places["control"], daemon.places["frames"])
        welcome = client.ask("hello")
        client.close()
        assert (welcome["limits"]["waiting_speech_s"], welcome["limits"]["avatars"]) == (7, 3)
        change(first + f"level = 'info'\n{limits}[metrics]\nenabled = true\nport = {port}\n")
        assert told(log, f"in force now: metrics.enabled = True, metrics.port = {port}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b"llia_avatars 1.0" in answer.read()
        change(first + "level = 'loud'\n")
        last = told(log, "loud")[-1]
        assert last["level"] == "error"
        assert last["message"].startswith(
            f"the settings stay as they were: {file}: log.level = 'loud': expected"
        )
    finally:
        code, _, _, errors = daemon.end(signal.SIGTERM)
    assert (code, errors) == (0, "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_it_ends_with_its_terminal(toy_pack: Path) -> None:
    ours, theirs = pty.openpty()
    code = (
        "import fcntl, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0)\n"
        "from bridge.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--pack", str(toy_pack), "--size", "64", *PORTS],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while b"fps  first frame" not in shown:
            shown += os.read(ours, 4_096)
        os.close(ours)
        assert process.wait(timeout=10) in (0, 1)
    finally:
        process.kill()
        process.wait()


def test_the_environment_and_set_reach_the_daemon(toy_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLIA_ENGINE__FPS", "20")
    daemon = Running(toy_pack, "--set", "speech.greeting=false", "--set", "engine.seed=1")
    try:
        assert daemon.places["avatar"].endswith("20 fps")
    finally:
        daemon.end(signal.SIGTERM)


def test_a_refused_message_is_logged_with_its_client(toy_pack: Path, tmp_path: Path) -> None:
    log = tmp_path / "llia.log"
    wanted = ("log.level=info", "log.format=json", f"log.file={log}")
    daemon = Running(toy_pack, "--no-greeting", *(word for text in wanted for word in ("--set", text)))
    client = WireClient(daemon.places["control"], daemon.places["frames"])
    try:
        client.control.send(b"nonsense")
        assert client.answer()["type"] == "error"
        line = next(line for line in told(log, "refused") if "refused" in line["message"])
        assert line["level"] == "info" and len(bytes.fromhex(line["client"])) >= 5
    finally:
        client.close()
        daemon.end(signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--config", "streamr"],
            "streamr: neither a file nor a shipped configuration; did you mean streamer?",
        ),
        (["--page-port", "70000"], "--page-port: page.port = 70000: expected a whole number 0..65535"),
        (
            ["--set", "log.file=/none/llia.log"],
            "log.file = '/none/llia.log': cannot be written (No such file",
        ),
    ],
)
def test_wrong_settings_are_one_line(arguments: list[str], words: str) -> None:
    result = llia("run", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"llia: {words}") and result.stderr.count("\n") == 1

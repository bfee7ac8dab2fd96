"""`llia status` against a real daemon, none, and something else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from bridge import cli, logs
from bridge.client import daemon_address
from bridge.config import SocketSettings
from bridge.daemon import Daemon
from bridge.sockets import port_problem
from tests.integration.test_daemon import settings


@pytest.fixture(autouse=True)
def log_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command would keep its log for the tests after these."""
    monkeypatch.setattr(logs, "configure", lambda settings: None)


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    running = Daemon(settings(toy_pack))
    running.session.frames.subscribe(newest=True).get(timeout_s=20)  # it lives
    yield running
    running.close()


def test_a_table_tells_how_it_is(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--endpoint", daemon.control_endpoint]) == 0
    shown = capsys.readouterr().out
    assert f"at {daemon.control_endpoint}, up 0:00:" in shown
    for word in ("default", "toy", "64 x 64", "idle", "of 25", "decode", "speech_ms 0", "old_epoch 0"):
        assert word in shown, word


def test_json_has_the_words_of_the_protocol(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json", "--endpoint", daemon.control_endpoint]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["endpoint"] == daemon.control_endpoint and told["daemon"].startswith("llia ")
    (avatar,) = told["avatars"]
    assert (avatar["avatar_id"], avatar["name"], avatar["width"], avatar["fps"]) == ("default", "toy", 64, 25)
    assert avatar["statistics"]["state"] == "idle" and avatar["statistics"]["drops"]["old_epoch"] == 0


def test_the_settings_say_where_it_is(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = daemon.control_endpoint.rpartition(":")[2]
    (tmp_path / "my.toml").write_text(f"[sockets]\ncontrol_port = {port}\n")
    assert cli.main(["status", "--config", str(tmp_path / "my.toml")]) == 0
    assert daemon.control_endpoint in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "way"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")]
)
def test_hosts_that_nobody_can_connect_to_have_a_way(host: str, way: str) -> None:
    assert daemon_address(SocketSettings(host=host)) == f"tcp://{way}:5570"


@pytest.mark.skipif(port_problem("::1", 0) != "", reason="this machine has no IPv6 loopback")
def test_it_is_found_by_its_ipv6_address(toy_pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = Daemon(settings(toy_pack, sockets__host="::1"))
    try:
        assert cli.main(["status", "--endpoint", running.control_endpoint]) == 0
        assert "at tcp://[::1]:" in capsys.readouterr().out
    finally:
        running.close()


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:1", "nonsense"])
def test_without_a_daemon_it_is_one_line(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--endpoint", where]) == 1
    out, errors = capsys.readouterr()
    assert not out and errors.startswith("llia: ") and where in errors and errors.count("\n") == 1


def test_something_else_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.ROUTER) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")

        def answer() -> None:
            identity, _ = other.recv_multipart()
            other.send_multipart([identity, b"hello yourself"])

        thread = threading.Thread(target=answer)
        thread.start()
        assert cli.main(["status", "--endpoint", f"tcp://127.0.0.1:{port}"]) == 1
        thread.join()
    errors = capsys.readouterr().err
    assert "answers unreadably" in errors and errors.count("\n") == 1

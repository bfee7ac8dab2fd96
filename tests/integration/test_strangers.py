"""Keys on real sockets: who has them comes in, nobody else does, and who does not is counted."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
import zmq.auth

from bridge.client import DaemonClient
from bridge.daemon import Daemon
from bridge.errors import PortError
from bridge.keys import make_keys
from bridge.protocol.messages import Hello, Welcome
from tests.integration.test_daemon import settings
from tests.integration.wire import WireClient

HOST = "0.0.0.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys") / "keys"
    make_keys(made, "unity")
    return made


@pytest.fixture(scope="module")
def daemon(toy_pack: Path, folder: Path) -> Iterator[Daemon]:
    running = Daemon(settings(toy_pack, sockets__host=HOST, sockets__keys=str(folder)))
    yield running
    running.close()


def client(daemon: Daemon, public: bytes | None, secret: bytes | None, server: bytes | None) -> WireClient:
    endpoints = [e.replace(HOST, "127.0.0.1") for e in (daemon.control_endpoint, daemon.frames_endpoint)]
    return WireClient(*endpoints, curve=None if server is None else (public or b"", secret or b"", server))


def strangers(daemon: Daemon) -> int:
    return daemon.sessions.counts().get("strangers", 0)


def test_a_client_with_keys_comes_in(daemon: Daemon, folder: Path) -> None:
    public, secret = zmq.auth.load_certificate(folder / "clients" / "unity.key_secret")
    server, _ = zmq.auth.load_certificate(folder / "server.key")
    invited = client(daemon, public, secret, server)
    try:
        assert invited.ask("hello")["type"] == "welcome"
        assert invited.event("frame")["width"] == 64
        # From elsewhere a path says nothing about this machine's files, whether they exist or not.
        for path in ("/etc/hostname", "/nonesuch"):
            answer = invited.ask("open_avatar", picture=path)
            assert answer["code"] == "avatar" and "there is no avatar" in answer["text"]
    finally:
        invited.close()


@pytest.mark.parametrize("kind", ["no keys", "unknown keys", "wrong server key"])
def test_strangers_stay_outside_and_are_counted(daemon: Daemon, folder: Path, kind: str) -> None:
    server, _ = zmq.auth.load_certificate(folder / "server.key")
    public, secret = zmq.curve_keypair()
    if kind == "wrong server key":
        public, secret = zmq.auth.load_certificate(folder / "clients" / "unity.key_secret")
        server, _ = zmq.curve_keypair()
    before = strangers(daemon)
    stranger = client(daemon, public, secret, None if kind == "no keys" else server)
    try:
        stranger.send("cancel", request_id="let me in")
        assert not stranger.control.poll(700)
        assert not stranger.frames.poll(0)
    finally:
        stranger.close()
    assert strangers(daemon) > before


def test_whoever_says_nothing_is_shown_the_door(daemon: Daemon) -> None:
    before = strangers(daemon)
    port = int(daemon.control_endpoint.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
        silent.settimeout(15.0)
        with contextlib.suppress(ConnectionResetError):
            while silent.recv(1_024):
                continue
    deadline_s = time.monotonic() + 2
    while strangers(daemon) == before:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_new_clients_need_no_restart_and_removed_ones_stay_outside(daemon: Daemon, folder: Path) -> None:
    make_keys(folder, "late")
    file = folder / "clients" / "late.key_secret"
    public, secret = zmq.auth.load_certificate(file)
    server, _ = zmq.auth.load_certificate(folder / "server.key")
    late = client(daemon, public, secret, server)
    try:
        assert late.ask("ping")["type"] == "pong"
    finally:
        late.close()
    for left in (folder / "clients").glob("late.*"):
        left.unlink()
    removed = client(daemon, public, secret, server)
    try:
        removed.send("ping")
        assert not removed.control.poll(500)
    finally:
        removed.close()


def test_commands_of_this_machine_use_the_folders_keys(daemon: Daemon, folder: Path) -> None:
    endpoint = daemon.control_endpoint.replace(HOST, "127.0.0.1")
    with DaemonClient(endpoint, str(folder)) as asking:
        assert asking.ask(Hello(), Welcome).avatars[0] == "default"


def test_a_public_address_without_keys_is_refused(toy_pack: Path) -> None:
    with pytest.raises(PortError, match=r"loopback only; use 127.0.0.1, or make keys with `llia keys DIR`"):
        Daemon(settings(toy_pack, sockets__host=HOST))


def test_keys_on_loopback_too(toy_pack: Path, folder: Path) -> None:
    running = Daemon(settings(toy_pack, sockets__keys=str(folder)))
    public, secret = zmq.auth.load_certificate(folder / "clients" / "unity.key_secret")
    server, _ = zmq.auth.load_certificate(folder / "server.key")
    invited = client(running, public, secret, server)
    try:
        assert invited.ask("ping")["type"] == "pong"
    finally:
        invited.close()
        running.close()

"""CURVE keys (ZeroMQ RFC 26): their files, and who is let in with them."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message

from bridge import logs
from bridge.errors import KeyFileError
from bridge.meter import Counter

SERVER, CLIENTS = "server", "clients"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
POLL_MS = 200
TOLD_EVERY_S = 10.0
REFUSALS = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyPair:
    """A public and a secret key, Z85, 40 characters each."""

    public: bytes
    secret: bytes


def make_keys(folder: Path, client: str) -> list[Path]:
    """Makes the daemon's keys where there are none, and those of one client.

    Args:
        folder: made if need be, for its owner's eyes only.
        client: the client's name, a plain file name.

    Returns:
        The new files.

    Raises:
        KeyFileError: the name is no file name, the client has keys already, or nothing can be written.
    """
    if not NAME.fullmatch(client):
        raise KeyFileError(f"{client!r:.80} is no name for a client; use letters, digits, '-', '_' and '.'")
    made: list[Path] = []
    try:
        for where, name in ((folder, SERVER), (folder / CLIENTS, client)):
            where.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (where / f"{name}.key").exists():
                if name is not SERVER:
                    raise KeyFileError(
                        f"{where / name}.key exists; choose another name, or delete its two files"
                    )
                continue
            made += [Path(file) for file in zmq.auth.create_certificates(where, name)]
            os.chmod(made[-1], 0o600)
    except OSError as error:
        raise KeyFileError(f"{folder}: keys cannot be written ({error.strerror})") from None
    return made


def server_keys(folder: str | Path) -> KeyPair:
    """The daemon's keys.

    Raises:
        KeyFileError: they are missing or damaged.
    """
    return _read(Path(folder).expanduser() / f"{SERVER}.key_secret")


def admit_as_client(socket: zmq.Socket[bytes], folder: str | Path) -> None:
    """Gives a socket that is not connected yet the keys of the folder's first client.

    Raises:
        KeyFileError: the folder has no keys.
    """
    root = Path(folder).expanduser()
    secrets = sorted((root / CLIENTS).glob("*.key_secret"))
    if not secrets:
        raise KeyFileError(f"{root / CLIENTS} has no client's keys; make them with `llia keys {root}`")
    own = _read(secrets[0])
    socket.curve_publickey, socket.curve_secretkey = own.public, own.secret
    socket.curve_serverkey = server_keys(root).public


def _read(file: Path) -> KeyPair:
    try:
        public, secret = zmq.auth.load_certificate(file)
    except OSError as error:
        raise KeyFileError(
            f"{file}: cannot be read ({error.strerror or 'missing'}); make keys with `llia keys DIR`"
        ) from None
    except ValueError:
        public, secret = b"", None
    if len(public) != 40 or secret is None or len(secret) != 40:
        raise KeyFileError(f"{file}: is no ZeroMQ key file; make keys anew with `llia keys DIR`")
    logs.hide(secret.decode())
    return KeyPair(public, secret)


class Doorkeeper:
    """Counts who fails to come in as `strangers`; with keys, lets in the clients of the folder only."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], counter: Counter, folder: str | Path = ""
    ) -> None:
        """Begins; has to stand before the sockets are bound.

        Args:
            context: of the sockets.
            counter: see above.
            folder: of the keys; "" for none. Keys put in or taken out later count for new connections.

        Raises:
            KeyFileError: the daemon's keys are missing or damaged.
        """
        self._counter = counter
        self._keys = server_keys(folder) if folder else None
        self._clients = Path(folder).expanduser() / CLIENTS
        self._monitors: list[zmq.Socket[bytes]] = []
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._authenticator: ThreadAuthenticator | None = None
        if self._keys is not None:
            self._authenticator = ThreadAuthenticator(context, log=_quiet)
            self._authenticator.start()
            self._authenticator.thread.name = "keys"
            self._authenticator.configure_curve_callback(credentials_provider=self)

    @property
    def has_keys(self) -> bool:
        """Whether strangers are kept out."""
        return self._keys is not None

    def guard(self, socket: zmq.Socket[bytes]) -> None:
        """Puts the keys on a socket that is not bound yet, and counts who is refused there."""
        if self._keys is not None:
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = self._keys.public, self._keys.secret
        self._monitors.append(socket.get_monitor_socket(REFUSALS))

    def watch(self) -> None:
        """Starts counting; all sockets have been guarded."""
        self._thread = threading.Thread(target=self._count, name="doorkeeper", daemon=True)
        self._thread.start()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client with this public key, Z85, may come in; called by the authenticator."""
        try:
            return bool(zmq.auth.load_certificates(self._clients).get(key))
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Ends the threads; the sockets have to be closed before. Calling it again does nothing."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        for monitor in self._monitors:
            monitor.close(linger=0)
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None

    def _count(self) -> None:
        poller = zmq.Poller()
        for monitor in self._monitors:
            poller.register(monitor, zmq.POLLIN)
        told_s, untold = float("-inf"), 0
        while not self._closed.is_set():
            for monitor, _ in poller.poll(POLL_MS):
                event = parse_monitor_message(monitor.recv_multipart())
                if event["event"] & REFUSALS:
                    self._counter.add("strangers")
                    untold += 1
                else:
                    poller.unregister(monitor)  # the socket has been closed
            if untold and time.monotonic() - told_s >= TOLD_EVERY_S:
                _log.warning("refused %d connection(s) of strangers", untold)
                told_s, untold = time.monotonic(), 0


_quiet = logging.getLogger(f"{__name__}.zap")
_quiet.setLevel(logging.CRITICAL)  # it tells every refusal, with keys; the doorkeeper counts them

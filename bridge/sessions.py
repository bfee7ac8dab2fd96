"""Which avatars there are, whose they are, and when they are freed."""

from __future__ import annotations

import gc
import hmac
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bridge.avatar import AvatarSession
from bridge.config import SessionSettings
from bridge.errors import AvatarOpenError, BridgeError, LimitError, NotYourAvatarError, UnknownAvatarError
from bridge.meter import Counter
from bridge.protocol.messages import AvatarClosed
from engine.errors import EngineError

CLOSE_TIMEOUT_S = 5.0

Jobs = queue.SimpleQueue[Callable[[], None] | None]

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Where an avatar's frames go (`bridge.outputs.zmq_frames.FramePublisher`)."""

    def add(self, session: AvatarSession) -> None:
        """Offers an avatar's topics."""

    def remove(self, avatar_id: str) -> None:
        """Takes them back."""


@dataclass
class Client:
    """Somebody who speaks on the control socket.

    Attributes:
        identity: its ROUTER identity; another one after each connection unless the client sets its own.
        resume_token: secret that takes its avatars over to a later connection.
        seen_s: monotonic time of its last message.
        avatars: ids of its avatars, those being opened too.
    """

    identity: bytes
    resume_token: str
    seen_s: float
    avatars: set[str] = field(default_factory=set)


class Sessions:
    """The daemon's avatars and clients. Safe from any thread.

    Opening and closing take their time: each has a thread of its own, so that who opens an avatar does not
    wait for those of clients that are gone.
    """

    def __init__(
        self,
        publisher: Publisher,
        settings: SessionSettings,
        counter: Counter | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with no avatars.

        Args:
            publisher: told of every avatar.
            settings: limits and the time after which a silent client's avatars are freed.
            counter: what else the daemon counts, for every avatar's statistics.
            monotonic_s: the clock.
        """
        self.settings = settings
        self._publisher = publisher
        self._counter = counter or Counter()
        self._monotonic_s = monotonic_s
        self._started_s = self._expired_s = monotonic_s()
        self._avatars: dict[str, AvatarSession] = {}
        self._permanent: set[str] = set()
        self._clients: dict[bytes, Client] = {}
        self._lock = threading.RLock()
        self._openings: Jobs = queue.SimpleQueue()
        self._closings: Jobs = queue.SimpleQueue()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(jobs,), name=name, daemon=True)
            for name, jobs in (("openings", self._openings), ("closings", self._closings))
        ]
        for thread in self._threads:
            thread.start()

    def add(self, session: AvatarSession) -> None:
        """Takes in an avatar of the daemon's own, which everybody may drive and nobody close."""
        session.daemon_counts = self.counts
        with self._lock:
            self._avatars[session.avatar_id] = session
            self._permanent.add(session.avatar_id)
        self._publisher.add(session)

    def all(self) -> list[AvatarSession]:
        """The open avatars, the daemon's own first."""
        with self._lock:
            return list(self._avatars.values())

    def counts(self) -> dict[str, int]:
        """Seconds since the start, how many avatars and clients there are, and what was counted so far."""
        with self._lock:
            now = {"avatars": len(self._avatars), "clients": len(self._clients)}
        now["uptime_s"] = int(self._monotonic_s() - self._started_s)
        return {**now, **self._counter.counts()}

    def seen(self, identity: bytes) -> Client:
        """A message came from this client, of whatever kind.

        Raises:
            LimitError: there are too many clients already.
        """
        with self._lock:
            client = self._clients.get(identity)
            if client is None:
                if len(self._clients) >= self.settings.max_clients:
                    raise LimitError(
                        f"{self.settings.max_clients} clients are connected, as many as sockets allow; "
                        f"one that is silent for {self.settings.client_timeout_s:g} s makes room"
                    )
                client = Client(identity, secrets.token_hex(16), 0.0)
                self._clients[identity] = client
            client.seen_s = self._monotonic_s()
            return client

    def resume(self, client: Client, token: str) -> list[str]:
        """Gives a client what belonged to an earlier connection of its own.

        Args:
            client: who asks.
            token: the earlier connection's; an unknown one, or one that has run out, gives nothing.

        Returns:
            Ids of the avatars that are the client's now and were not before.
        """
        with self._lock:
            for earlier in self._clients.values():
                if earlier is client or not hmac.compare_digest(
                    earlier.resume_token.encode(), token.encode()
                ):
                    continue
                taken = sorted(earlier.avatars)
                client.avatars |= earlier.avatars
                client.resume_token = earlier.resume_token
                del self._clients[earlier.identity]
                return taken
        return []

    def find(self, avatar_id: str) -> AvatarSession:
        """An open avatar; "" is the daemon's own.

        Raises:
            UnknownAvatarError: there is none of this id.
        """
        with self._lock:
            if not avatar_id and self._avatars:
                return next(iter(self._avatars.values()))
            if avatar_id not in self._avatars:
                raise UnknownAvatarError(
                    f"there is no avatar {avatar_id!r:.80}; `hello` lists those that are open"
                )
            return self._avatars[avatar_id]

    def driven_by(self, client: Client, avatar_id: str) -> AvatarSession:
        """An avatar that this client may drive: its own, or the daemon's.

        Raises:
            UnknownAvatarError: there is none of this id.
            NotYourAvatarError: it belongs to another client.
        """
        with self._lock:
            session = self.find(avatar_id)
            if session.avatar_id not in self._permanent and session.avatar_id not in client.avatars:
                raise NotYourAvatarError(f"avatar {avatar_id!r} belongs to another client; open your own")
            return session

    def open(
        self,
        client: Client,
        start: Callable[[str], AvatarSession],
        done: Callable[[AvatarSession | BridgeError], None],
    ) -> None:
        """Opens an avatar for a client.

        Args:
            client: whose it will be.
            start: starts the avatar of this id; called later, on another thread.
            done: called there with the open avatar, or with what went wrong.

        Raises:
            LimitError: the daemon or the client has as many avatars as it may have.
        """
        with self._lock:
            pending = {i for c in self._clients.values() for i in c.avatars if i not in self._avatars}
            if len(self._avatars) + len(pending) >= self.settings.max_avatars:
                raise LimitError(
                    f"{self.settings.max_avatars} avatars are open, as many as sessions.max_avatars allows"
                )
            if len(client.avatars) >= self.settings.max_avatars_per_client:
                raise LimitError(
                    f"this client has {len(client.avatars)} avatars, as many as "
                    "sessions.max_avatars_per_client allows; close one"
                )
            avatar_id = f"avatar-{secrets.token_hex(4)}"
            client.avatars.add(avatar_id)
        self._openings.put(lambda: self._open(avatar_id, start, done))

    def close_avatar(self, client: Client, avatar_id: str, done: Callable[[], None]) -> None:
        """Frees an avatar of a client's own; from now on there is none of this id.

        Args:
            client: who asks.
            avatar_id: which.
            done: called when its threads have ended, on another thread.

        Raises:
            UnknownAvatarError: there is none of this id.
            NotYourAvatarError: it belongs to another client, or is the daemon's own.
        """
        with self._lock:
            session = self.driven_by(client, avatar_id)
            if session.avatar_id in self._permanent:
                raise NotYourAvatarError(f"avatar {session.avatar_id!r} is the daemon's own and stays open")
            client.avatars.discard(session.avatar_id)
            self._free(session, "closed", done)

    def expire(self) -> None:
        """Forgets clients that have been silent for too long and frees their avatars.

        Call it several times within that time: what lies between two calls counts for a quarter of it at
        most, as a daemon that could not run has heard nobody.
        """
        with self._lock:
            now_s = self._monotonic_s()
            deaf_s = now_s - self._expired_s - self.settings.client_timeout_s / 4
            self._expired_s = now_s
            if deaf_s > 0:
                for client in self._clients.values():
                    client.seen_s = min(now_s, client.seen_s + deaf_s)
            oldest_s = now_s - self.settings.client_timeout_s
            for client in list(self._clients.values()):
                if client.seen_s >= oldest_s or client.avatars - self._avatars.keys():
                    continue  # who waits for an avatar to open need not say anything meanwhile
                del self._clients[client.identity]
                for avatar_id in sorted(client.avatars & self._avatars.keys()):
                    _log.info("freed: its client has been silent", extra={"avatar_id": avatar_id})
                    self._free(self._avatars[avatar_id], "silent", lambda: None)

    def close(self) -> None:
        """Closes all avatars but the daemon's own; calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for session in [s for s in self._avatars.values() if s.avatar_id not in self._permanent]:
                self._free(session, "closed", lambda: None)
        for jobs, thread in zip((self._openings, self._closings), self._threads, strict=True):
            jobs.put(None)
            thread.join(CLOSE_TIMEOUT_S)

    def _free(self, session: AvatarSession, reason: str, done: Callable[[], None]) -> None:
        del self._avatars[session.avatar_id]

        def close() -> None:
            session.drop_speech()
            session.events.publish(AvatarClosed(avatar_id=session.avatar_id, reason=reason))
            self._publisher.remove(session.avatar_id)
            session.close()
            done()

        self._closings.put(close)

    def _open(
        self,
        avatar_id: str,
        start: Callable[[str], AvatarSession],
        done: Callable[[AvatarSession | BridgeError], None],
    ) -> None:
        if self._owner(avatar_id) is None or self._closed:
            return  # the daemon ends
        try:
            session = start(avatar_id)
        except Exception as error:
            with self._lock:
                if (owner := self._owner(avatar_id)) is not None:
                    owner.avatars.discard(avatar_id)
                    owner.seen_s = self._monotonic_s()
            done(_refusal(error))
            return
        session.daemon_counts = self.counts
        with self._lock:
            owner = None if self._closed else self._owner(avatar_id)
            if owner is not None:
                owner.seen_s = self._monotonic_s()
                self._avatars[avatar_id] = session
                self._publisher.add(session)  # under the lock: nobody can have freed it before
        if owner is None:
            session.close()
            return
        done(session)

    def _owner(self, avatar_id: str) -> Client | None:
        with self._lock:
            return next((c for c in self._clients.values() if avatar_id in c.avatars), None)

    def _work(self, jobs: Jobs) -> None:
        while (job := jobs.get()) is not None:
            try:
                job()
            except Exception:  # our own bug: the other avatars live on
                _log.exception("an avatar could not be opened or closed")
            del job
            if jobs is self._closings:
                # An avatar's parts refer to each other, and its arrays do not count with the collector, which
                # would leave megabytes of each lie for minutes.
                gc.collect()


def _refusal(error: Exception) -> BridgeError:
    if isinstance(error, BridgeError):
        return error
    if isinstance(error, EngineError):
        return AvatarOpenError(" ".join(str(error).split()))
    _log.error("an avatar could not be opened", exc_info=error)
    return AvatarOpenError(f"the avatar could not be started: {type(error).__name__}")

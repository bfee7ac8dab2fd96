"""Whose avatars are whose, and when they are freed: with a fake pipeline and a clock of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from bridge.avatar import AvatarSession
from bridge.config import SessionSettings
from bridge.errors import (
    AvatarOpenError,
    BridgeError,
    LimitError,
    NotYourAvatarError,
    UnknownAvatarError,
)
from bridge.sessions import Client, Sessions
from engine.errors import ModelError
from tests.bridge.fake_pipeline import FakePipeline
from tests.bridge.fake_publisher import FakePublisher

SETTINGS = SessionSettings(client_timeout_s=10.0, max_avatars=4, max_avatars_per_client=2, max_clients=3)


def avatar(avatar_id: str) -> AvatarSession:
    return AvatarSession(FakePipeline(), fps=25, size_px=8, avatar_id=avatar_id)


class House:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.publisher = FakePublisher()
        self.sessions = Sessions(self.publisher, SETTINGS, monotonic_s=lambda: self.now_s)
        self.own = avatar("default")
        self.sessions.add(self.own)

    def open(self, client: Client) -> AvatarSession:
        outcome = self.try_open(client)
        assert isinstance(outcome, AvatarSession)
        return outcome

    def try_open(self, client: Client, error: Exception | None = None) -> AvatarSession | BridgeError:
        done, outcomes = threading.Event(), []

        def start(avatar_id: str) -> AvatarSession:
            if error is not None:
                raise error
            return avatar(avatar_id)

        def tell(outcome: AvatarSession | BridgeError) -> None:
            outcomes.append(outcome)
            done.set()

        self.sessions.open(client, start, tell)
        assert done.wait(5.0)
        return outcomes[0]

    def close_avatar(self, client: Client, avatar_id: str) -> None:
        done = threading.Event()
        self.sessions.close_avatar(client, avatar_id, done.set)
        assert done.wait(5.0)

    def await_idle(self) -> None:
        """Waits until the threads that open and close have nothing left to do."""
        for jobs in (self.sessions._openings, self.sessions._closings):
            done = threading.Event()
            jobs.put(done.set)
            assert done.wait(5.0)

    def tick_to(self, now_s: float) -> None:
        """Time passes, and the daemon looks who is silent every two seconds."""
        while self.now_s < now_s:
            self.now_s = min(now_s, self.now_s + 2.0)
            self.sessions.expire()

    def ids(self) -> list[str]:
        return [session.avatar_id for session in self.sessions.all()]


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.sessions.close()
    made.sessions.close()
    made.own.close()


def test_an_avatar_is_its_clients_own(house: House) -> None:
    ann, bob = house.sessions.seen(b"ann"), house.sessions.seen(b"bob")
    hers = house.open(ann)
    assert house.ids() == ["default", hers.avatar_id] == house.publisher.offered
    assert house.sessions.driven_by(ann, hers.avatar_id) is hers
    assert house.sessions.find(hers.avatar_id) is hers  # everybody may ask about it
    with pytest.raises(NotYourAvatarError):
        house.sessions.driven_by(bob, hers.avatar_id)
    with pytest.raises(NotYourAvatarError):
        house.close_avatar(bob, hers.avatar_id)
    house.close_avatar(ann, hers.avatar_id)
    assert house.ids() == ["default"] == house.publisher.offered
    with pytest.raises(UnknownAvatarError):
        house.sessions.driven_by(ann, hers.avatar_id)


def test_the_daemons_own_is_everybodys_and_stays(house: House) -> None:
    ann = house.sessions.seen(b"ann")
    assert house.sessions.driven_by(ann, "") is house.own
    for avatar_id in ("", "default"):
        with pytest.raises(NotYourAvatarError):
            house.close_avatar(ann, avatar_id)
    house.tick_to(1_000.0)
    assert house.ids() == ["default"]


def test_a_silent_client_is_forgotten_at_its_time_and_not_before(house: House) -> None:
    ann, bob = house.sessions.seen(b"ann"), house.sessions.seen(b"bob")
    hers, his = house.open(ann), house.open(bob)
    events = hers.events.subscribe(newest=False)
    house.tick_to(9.0)
    house.sessions.seen(b"bob")
    house.tick_to(10.0)
    assert len(house.ids()) == 3
    house.tick_to(10.01)
    house.await_idle()
    assert house.ids() == ["default", his.avatar_id] == house.publisher.offered
    told = []
    while (event := events.get(0)) is not None:
        told.append(event)
    assert (told[-1].type, getattr(told[-1], "reason", "")) == ("avatar_closed", "silent")
    assert (house.sessions.counts()["avatars"], house.sessions.counts()["clients"]) == (2, 1)


def test_a_daemon_that_could_not_run_has_heard_nobody(house: House) -> None:
    hers = house.open(house.sessions.seen(b"ann"))
    house.tick_to(5.0)
    house.now_s = 60.0  # the machine slept
    house.sessions.expire()
    assert hers.avatar_id in house.ids()
    house.tick_to(62.5)
    assert hers.avatar_id in house.ids()
    house.tick_to(62.51)
    house.await_idle()
    assert house.ids() == ["default"]


def test_a_client_that_comes_back_takes_its_avatars_up_again(house: House) -> None:
    ann = house.sessions.seen(b"ann")
    hers = house.open(ann)
    house.now_s = 9.0
    again = house.sessions.seen(b"ann's next connection")
    assert house.sessions.resume(again, "0" * 32) == []
    assert house.sessions.resume(again, ann.resume_token) == [hers.avatar_id]
    assert again.resume_token == ann.resume_token
    house.tick_to(18.0)
    assert house.sessions.driven_by(again, hers.avatar_id) is hers
    house.tick_to(30.0)
    late = house.sessions.seen(b"too late")
    assert house.sessions.resume(late, ann.resume_token) == []
    house.await_idle()
    assert house.ids() == ["default"]


def test_limits_at_their_edge(house: House) -> None:
    ann, bob = house.sessions.seen(b"ann"), house.sessions.seen(b"bob")
    first = house.open(ann)
    house.open(ann)
    with pytest.raises(LimitError, match="2 avatars"):
        house.try_open(ann)
    house.open(bob)
    with pytest.raises(LimitError, match="4 avatars are open"):
        house.try_open(bob)
    house.close_avatar(ann, first.avatar_id)
    house.open(bob)
    house.sessions.seen(b"eve")
    with pytest.raises(LimitError, match="3 clients"):
        house.sessions.seen(b"mallory")
    house.sessions.seen(b"ann")
    house.tick_to(11.0)
    house.sessions.seen(b"mallory")


def test_what_cannot_be_opened_is_told_and_takes_no_place(house: House) -> None:
    ann = house.sessions.seen(b"ann")
    for error, words in ((ModelError("no avatar 'x'\nhere"), "no avatar 'x' here"), (ValueError(), "Value")):
        outcome = house.try_open(ann, error)
        assert isinstance(outcome, AvatarOpenError) and words in str(outcome) and "\n" not in str(outcome)
    house.open(ann)
    house.open(ann)


def test_who_waits_for_an_avatar_is_not_silent(house: House) -> None:
    ann = house.sessions.seen(b"ann")
    opening, go_on = threading.Event(), threading.Event()
    started: list[AvatarSession] = []
    told: list[AvatarSession | BridgeError] = []

    def start(avatar_id: str) -> AvatarSession:
        opening.set()
        assert go_on.wait(5.0)
        started.append(avatar(avatar_id))
        return started[0]

    house.sessions.open(ann, start, told.append)
    assert opening.wait(5.0)
    house.tick_to(60.0)
    go_on.set()
    house.await_idle()
    assert told == started and len(house.ids()) == 2
    house.tick_to(70.0)
    assert len(house.ids()) == 2
    house.tick_to(70.01)
    house.await_idle()
    assert house.ids() == ["default"]
    assert started[0].frames.subscribe(newest=True).closed


def test_who_opens_does_not_wait_for_those_that_close(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = house.sessions.seen(b"ann"), house.sessions.seen(b"bob")
    hers, go_on = house.open(ann), threading.Event()
    close = hers.close
    monkeypatch.setattr(hers, "close", lambda: (go_on.wait(5.0), close()))
    closed = threading.Event()
    house.sessions.close_avatar(ann, hers.avatar_id, closed.set)
    house.open(bob)
    assert not closed.is_set()
    go_on.set()
    assert closed.wait(5.0)


def test_utterances_of_an_avatar_that_ends_are_accounted_for(house: House) -> None:
    ann = house.sessions.seen(b"ann")
    hers = house.open(ann)
    events = hers.events.subscribe(newest=False)
    for name in ("spoken", "waiting"):
        hers.push_audio(np.full(16_000, 0.2, np.float32), 16_000, name)
    while (event := events.get(3.0)) is not None and event.type != "first_frame":
        continue
    house.close_avatar(ann, hers.avatar_id)
    told = []
    while (event := events.get(0)) is not None:
        told.append((event.type, getattr(event, "utterance_id", "")))
    assert told[-3:] == [("cancelled", "spoken"), ("cancelled", "waiting"), ("avatar_closed", "")]

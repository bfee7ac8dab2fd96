from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest

from bridge.avatar import AvatarSession
from bridge.config import SessionSettings
from bridge.control import Control
from bridge.packs import Packs
from bridge.sessions import Sessions
from engine.config import EngineConfig
from tests.bridge.fake_pipeline import FakePipeline
from tests.bridge.fake_publisher import FakePublisher


class Client:
    """Speaks to a `Control` without sockets."""

    def __init__(self) -> None:
        self.pipeline = FakePipeline()
        self.session = AvatarSession(self.pipeline, fps=25, size_px=8, queue_limit_s=5.0)
        self.sessions = Sessions(FakePublisher(), SessionSettings())
        self.sessions.add(self.session)
        packs = Packs(EngineConfig(), lead_ms=200.0, queue_limit_s=5.0)
        endpoint = "tcp://127.0.0.1:5571"
        self.control = Control(self.sessions, packs, frames_endpoint=endpoint, speech_limit_s=5.0, local=True)

    def close(self) -> None:
        self.sessions.close()
        self.session.close()

    def ask(self, kind: str, payload: bytes | None = None, **fields: Any) -> dict[str, Any] | None:
        header = msgpack.packb({"v": 1, "type": kind, **fields})
        parts = [memoryview(header)] + ([] if payload is None else [memoryview(payload)])
        answers = self.control.answer(b"me", parts)
        assert len(answers) <= 1
        return msgpack.unpackb(answers[0]) if answers else None

    def speak(self, payload: bytes = bytes(3_200), **fields: Any) -> dict[str, Any] | None:
        return self.ask("audio", payload, **{"utterance_id": "u", "sample_rate_hz": 16_000, **fields})

    def waiting_ms(self) -> float:
        statistics = self.ask("get_statistics")
        assert statistics is not None
        return float(statistics["queues"]["speech_ms"])


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def code(answer: dict[str, Any] | None) -> str:
    assert answer is not None and answer["type"] == "error" and "\n" not in answer["text"]
    return str(answer["code"])


def test_hello_tells_version_limits_and_avatars(client: Client) -> None:
    welcome = client.ask("hello", request_id="7", versions=[1, 2])
    assert welcome is not None
    assert (welcome["type"], welcome["request_id"], welcome["protocol_version"]) == ("welcome", "7", 1)
    assert welcome["avatars"] == ["default"] and welcome["limits"]["waiting_speech_s"] == 5
    assert code(client.ask("hello", versions=[2])) == "unsupported_version"


def test_without_a_microphone_its_switches_are_refused(client: Client) -> None:
    welcome = client.ask("hello")
    assert welcome is not None and "set_microphone" not in welcome["capabilities"]
    assert code(client.ask("set_microphone", mute="on")) == "unsupported"
    assert code(client.ask("set_microphone", avatar_id="nobody")) == "unknown_avatar"


def test_success_is_answered_on_request_only(client: Client) -> None:
    assert client.speak() is None
    assert client.speak(request_id="r") == {"v": 1, "type": "ok", "request_id": "r"}
    info = client.ask("get_avatar_info", avatar_id="default", request_id="i")
    assert info is not None and (info["type"], info["width"], info["request_id"]) == ("avatar_info", 8, "i")


def test_formats_and_channels(client: Client) -> None:
    stereo = np.tile(np.array([[0.5, -0.25]], np.float32), (1_600, 1))
    client.speak(stereo.astype("<f4").tobytes(), format="f32", channels=2, utterance_id="f")
    client.speak((stereo * 32_768).astype("<i2").tobytes(), channels=2, utterance_id="s", final=True)
    client.ask("end", utterance_id="f")
    events = client.session.events.subscribe(newest=False, bound=500)
    while (event := events.get(3.0)) is not None:
        if event.type == "finished" and getattr(event, "utterance_id", "") == "s":
            break
    for name in ("f", "s"):
        spoken = np.concatenate([c.samples for c in client.pipeline.chunks if c.utterance_id == name])
        np.testing.assert_allclose(spoken, np.full(1_600, 0.125))


def test_gaps_are_filled_and_repetitions_cut(client: Client) -> None:
    second = bytes(32_000)
    client.speak(second, sample_index=0)
    client.speak(second, sample_index=8_000)  # half of it is known
    client.speak(second, sample_index=40_000)  # a second is missing
    assert 3_000 < client.waiting_ms() <= 3_500
    client.speak(second, sample_index=0)  # nothing new
    assert client.waiting_ms() <= 3_500
    assert code(client.speak(second, sample_index=10_000_000)) == "audio"


def test_a_full_queue_is_told_and_nothing_taken(client: Client) -> None:
    assert client.speak(bytes(128_000)) is None
    assert code(client.speak(bytes(64_000), sample_index=64_000)) == "queue_full"
    assert client.speak(bytes(3_200), sample_index=64_000) is None
    assert 3_000 < client.waiting_ms() < 4_200


@pytest.mark.parametrize(
    ("payload", "fields", "expected"),
    [
        (b"\0\0\0", {}, "audio"),
        (b"", {}, "audio"),
        (np.array([np.nan], "<f4").tobytes(), {"format": "f32"}, "audio"),
        (bytes(8), {"sample_rate_hz": 1}, "bad_field"),
        (bytes(8), {"avatar_id": "nobody"}, "unknown_avatar"),
    ],
)
def test_bad_audio(client: Client, payload: bytes, fields: dict[str, Any], expected: str) -> None:
    assert code(client.speak(payload, **fields)) == expected
    assert client.speak() is None


def test_a_rate_that_changes(client: Client) -> None:
    client.speak()
    assert code(client.speak(sample_rate_hz=8_000)) == "audio"


def test_final_may_be_empty_and_ends_the_utterance(client: Client) -> None:
    client.speak()
    assert client.speak(b"", final=True, request_id="r") == {"v": 1, "type": "ok", "request_id": "r"}
    assert code(client.speak()) == "audio"


def test_cancel_and_state(client: Client) -> None:
    client.speak(bytes(64_000))
    assert client.ask("cancel") is None
    assert client.waiting_ms() == 0
    assert code(client.speak()) == "utterance_cancelled"
    client.ask("end", utterance_id="u")
    assert client.speak() is None
    client.ask("set_state", state="listening")
    assert client.pipeline.state is not None and client.pipeline.state.name == "LISTENING"
    client.ask("set_state", state="auto")
    assert client.pipeline.state is None


def test_garbage_is_answered(client: Client) -> None:
    for parts in ([], [b""], [b"\xc1\xff"], [b"x"] * 3):
        answer = client.control.answer(b"me", [memoryview(part) for part in parts])
        assert code(msgpack.unpackb(answer[0])) == "bad_message"

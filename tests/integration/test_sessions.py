"""Many avatars and clients on real sockets: opening, formats, death, return, barge-in, late subscribers."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bridge.blendshapes import VISEME_NAMES
from bridge.daemon import GREETING, Daemon
from tests.integration.test_daemon import SPEECH, settings
from tests.integration.wire import WireClient
from tests.toy_pack import avatar_picture

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    limits = {"max_avatars": 6, "max_avatars_per_client": 4, "client_timeout_s": TIMEOUT_S}
    running = Daemon(settings(toy_pack, **{f"sessions__{key}": value for key, value in limits.items()}))
    yield running
    running.close()


@pytest.fixture
def join(daemon: Daemon) -> Iterator[Callable[..., WireClient]]:
    clients: list[WireClient] = []

    def connect(*topics: str) -> WireClient:
        clients.append(WireClient(daemon.control_endpoint, daemon.frames_endpoint, topics))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
    daemon.session.cancel()
    await_true(lambda: daemon.sessions.counts()["avatars"] == 1, 3 * TIMEOUT_S + 2)


def await_true(wanted: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def opened(client: WireClient, payload: bytes | None = None, **fields: Any) -> dict[str, Any]:
    answer = client.ask("open_avatar", payload, size_px=64, **fields)
    assert answer["type"] == "avatar_opened", answer
    return answer


def next_frame(client: WireClient, avatar_id: str) -> tuple[dict[str, Any], bytes]:
    seen = client.wait_for(lambda h: h["type"] == "frame" and h["avatar_id"] == avatar_id)
    return seen[-1][1], seen[-1][2]


def test_an_avatar_by_name_tells_what_it_can(join: Callable[..., WireClient]) -> None:
    client = join("frame/")
    told = opened(client, picture="toy", fps=30, seed=1)
    assert (told["width"], told["height"], told["fps"], told["name"]) == (64, 64, 30, "toy")
    assert told["limits"]["client_timeout_ms"] == 1_000 and "cancel" in told["capabilities"]
    header, pixels = next_frame(client, told["avatar_id"])
    assert len(pixels) == 64 * 64 * 4 and header["alpha"] == "straight"
    assert client.ask("close_avatar", avatar_id=told["avatar_id"])["type"] == "ok"
    assert client.ask("get_avatar_info", avatar_id=told["avatar_id"])["code"] == "unknown_avatar"
    assert client.ask("hello")["avatars"] == ["default"]


def test_every_pixel_format_shows_the_same_picture(join: Callable[..., WireClient]) -> None:
    client = join("frame/")
    picture = png(avatar_picture())
    shown = {}
    for name, alpha in (
        ("RGBA", "premultiplied"),
        ("BGRA", "straight"),
        ("I420", "straight"),
        ("JPEG", "straight"),
    ):
        told = opened(client, picture, format=name, alpha=alpha)
        header, payload = next_frame(client, told["avatar_id"])
        assert (header["format"], header["alpha"]) == (told["format"], told["alpha"])
        shown[name] = payload
    assert client.ask("open_avatar", picture, size_px=64)["code"] == "limit"
    rgba = np.frombuffer(shown["RGBA"], np.uint8).reshape(64, 64, 4).astype(int)
    assert (rgba[..., :3] <= rgba[..., 3:]).all() and 0 < rgba[..., 3].mean() < 255
    bgra = np.frombuffer(shown["BGRA"], np.uint8).reshape(64, 64, 4).astype(int)
    before_black = bgra[..., 2::-1] * bgra[..., 3:] // 255
    jpeg = np.asarray(Image.open(io.BytesIO(shown["JPEG"]))).astype(int)
    luma = np.frombuffer(shown["I420"], np.uint8)[: 64 * 64].reshape(64, 64)
    for other in (before_black, jpeg):
        assert np.abs(other - rgba[..., :3]).mean() < 12
    assert len(shown["I420"]) == 64 * 64 * 3 // 2
    grey = 16 + (rgba[..., :3] @ np.array([0.257, 0.504, 0.098]))
    assert np.abs(luma - grey).mean() < 6


def test_webp_has_alpha(join: Callable[..., WireClient]) -> None:
    client = join("frame/")
    _, payload = next_frame(client, opened(client, format="WEBP")["avatar_id"])
    assert np.asarray(Image.open(io.BytesIO(payload))).shape == (64, 64, 4)


@pytest.mark.parametrize(
    ("payload", "fields", "code"),
    [
        (None, {"picture": "nobody"}, "avatar"),
        (None, {"pack": "nothing"}, "avatar"),
        (None, {"pack": "/tmp"}, "avatar"),
        (None, {"size_px": 65}, "avatar"),
        (None, {"size_px": 2_048}, "bad_field"),
        (None, {"fps": 5}, "avatar"),
        (None, {"format": "TIFF"}, "bad_field"),
        (b"no picture", {}, "picture"),
        (png(Image.new("RGBA", (64, 64))), {}, "avatar"),
        (png(avatar_picture(64)), {"picture": "toy"}, "avatar"),
    ],
)
def test_what_cannot_be_opened_is_one_line(
    join: Callable[..., WireClient], payload: bytes | None, fields: dict[str, Any], code: str
) -> None:
    client = join()
    answer = client.ask("open_avatar", payload, **{"size_px": 64, **fields})
    assert answer["code"] == code and "\n" not in answer["text"], answer
    assert client.ask("hello")["own_avatars"] == []


def test_two_avatars_speak_for_themselves(join: Callable[..., WireClient]) -> None:
    ann, bob = join("event/"), join()
    hers, his = opened(ann)["avatar_id"], opened(bob)["avatar_id"]
    assert bob.ask("cancel", avatar_id=hers)["code"] == "not_yours"
    assert bob.ask("close_avatar", avatar_id=hers)["code"] == "not_yours"
    assert bob.ask("get_avatar_info", avatar_id=hers)["avatar_id"] == hers
    ann.send("audio", SPEECH, avatar_id=hers, utterance_id="u", sample_rate_hz=16_000, final=True)
    bob.send("audio", SPEECH, avatar_id=his, utterance_id="u", sample_rate_hz=16_000, final=True)
    finished: list[str] = []
    while len(finished) < 2:
        ann.send("ping"), bob.send("ping")
        if ann.frames.poll(200) and (header := ann.published()[1])["type"] == "finished":
            finished.append(header["avatar_id"])
    assert sorted(finished) == sorted([hers, his])


def test_a_client_that_dies_frees_its_avatars_and_nobody_elses(
    daemon: Daemon, join: Callable[..., WireClient]
) -> None:
    keeper, dying = join("event/"), join()
    kept, lost = opened(keeper)["avatar_id"], opened(dying)["avatar_id"]
    dying.close()
    told = []
    deadline_s = time.monotonic() + 3 * TIMEOUT_S + 2
    while not told and time.monotonic() < deadline_s:
        assert keeper.ask("ping")["type"] == "pong"
        while keeper.frames.poll(100):
            _, header, _ = keeper.published()
            told += [header] if header["type"] == "avatar_closed" else []
    assert (told[0]["avatar_id"], told[0]["reason"]) == (lost, "silent")
    assert keeper.ask("hello")["own_avatars"] == [kept]
    assert daemon.sessions.counts()["avatars"] == 2


def test_a_client_that_comes_back_finds_its_avatar_as_it_was(join: Callable[..., WireClient]) -> None:
    first = join()
    told = opened(first)
    first.send(
        "audio",
        SPEECH * 6,
        avatar_id=told["avatar_id"],
        utterance_id="long",
        sample_rate_hz=16_000,
        final=True,
    )
    assert first.ask("ping")["type"] == "pong"
    first.close()
    second = join("event/" + told["avatar_id"])
    welcome = second.ask("hello", resume=told["resume_token"])
    assert welcome["own_avatars"] == [told["avatar_id"]]
    assert second.ask("hello", resume="not a token")["own_avatars"] == [told["avatar_id"]]
    finished = False
    while not finished:
        second.send("ping")
        if second.frames.poll(200):
            finished = second.published()[1]["type"] == "finished"
    assert second.ask("close_avatar", avatar_id=told["avatar_id"])["type"] == "ok"


def test_a_late_subscriber_gets_frame_face_and_state_at_once(
    daemon: Daemon, join: Callable[..., WireClient]
) -> None:
    daemon.session.set_state(None)
    await_true(lambda: daemon.session.frames.last is not None, 3)
    early = join("event/default")
    early.event("statistics")
    late = join("event/default")
    header = late.published(500)[1]
    assert (header["type"], header["state"]) == ("state", "idle")
    late.frames.subscribe("blendshapes/default")
    face = late.event("blendshapes")
    assert tuple(face["visemes"]) == VISEME_NAMES and face["shapes"]["jawOpen"] >= 0
    assert set(face["head_deg"]) == {"yaw", "pitch", "roll"}


def test_barge_in_many_times_lets_no_old_frame_out(join: Callable[..., WireClient]) -> None:
    client = join("frame/", "audio/", "event/")
    avatar_id = opened(client, fps=50)["avatar_id"]
    stopped_ms = []
    for number in range(20):
        name = f"u{number}"
        client.send(
            "audio", SPEECH * 4, avatar_id=avatar_id, utterance_id=name, sample_rate_hz=16_000, final=True
        )
        client.wait_for(lambda h: h["type"] == "first_frame" and h["avatar_id"] == avatar_id)
        time.sleep(0.003 * number)
        assert client.ask("cancel", avatar_id=avatar_id)["type"] == "ok"
        answered_ns = time.monotonic_ns()
        after: list[dict[str, Any]] = []
        while not (after and after[-1]["type"] == "frame"):
            header = client.published()[1]
            if header.get("avatar_id") == avatar_id and header.get("published_ns", 0) > answered_ns:
                after.append(header)
        frames = [h for h in after if h["type"] == "frame"]
        assert [h["utterance_id"] for h in after if h["utterance_id"]] == []
        assert {h["epoch"] for h in frames} == {number + 1}
        assert {h["state"] for h in frames} == {"idle"}
        stopped_ms.append((frames[0]["published_ns"] - answered_ns) / 1e6)
    assert np.median(stopped_ms) < 150 and max(stopped_ms) < 1_000  # one by one where the machine is busy


def greeting() -> tuple[bytes, int]:
    with wave.open(str(GREETING)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.readframes(file.getnframes()), file.getframerate()


def test_it_listens_while_the_other_party_speaks(daemon: Daemon, join: Callable[..., WireClient]) -> None:
    client = join("event/default", "audio/default")
    voice, rate_hz = greeting()
    client.event("statistics")
    client.send("audio", voice, utterance_id="theirs", sample_rate_hz=rate_hz, final=True, role="other")
    seen = client.wait_for(lambda h: h["type"] == "state" and h["state"] == "listening", 8)
    seen += client.wait_for(lambda h: h["type"] == "state" and h["state"] == "idle", 15)
    assert not [h for _, h, _ in seen if h["type"] in ("utterance_started", "first_frame", "finished")]
    echo = np.concatenate([np.frombuffer(p, "<f4") for _, h, p in seen if h["type"] == "echo"])
    assert not echo.any()  # what it hears is not played back
    client.send("audio", voice, utterance_id="theirs 2", sample_rate_hz=rate_hz, final=True, role="other")
    client.wait_for(lambda h: h["type"] == "state" and h["state"] == "listening", 8)
    client.send("audio", SPEECH, utterance_id="own", sample_rate_hz=16_000, final=True)
    assert client.event("state")["state"] == "speaking"
    client.event("finished")


def test_expressions_are_refused_where_the_engine_has_none(
    daemon: Daemon, join: Callable[..., WireClient]
) -> None:
    client = join()
    assert client.ask("set_expression", preset="furious")["code"] == "expression"
    assert client.ask("set_expression", controls={"mouthSmile": float("nan")})["code"] == "expression"
    answer = client.ask("set_expression", preset="happy")
    if daemon.session.can_set_expression:
        assert answer["type"] == "ok" and "set_expression" in client.ask("hello")["capabilities"]
    else:
        assert answer["code"] == "unsupported"


def test_statistics_tell_latency_and_the_daemons_counts(join: Callable[..., WireClient]) -> None:
    client = join("event/default", "frame/default")
    client.send("dance")
    client.answer()
    client.send("audio", SPEECH * 3, utterance_id="s", sample_rate_hz=16_000, final=True)
    spoken = client.wait_for(lambda h: h["type"] == "frame" and h["utterance_id"] == "s")[-1][1]
    figures = client.wait_for(lambda h: h["type"] == "statistics" and h["latency_ms"] > 0)[-1][1]
    assert 80 < spoken["latency_ms"] < 5_000 and 80 < figures["latency_ms"] < 5_000  # the look-ahead and more
    assert figures["daemon"]["malformed"] >= 1 and figures["daemon"]["clients"] >= 1
    assert {"speech_ms", "utterances", "other_ms", "fed_ms", "frames"} <= set(figures["queues"])

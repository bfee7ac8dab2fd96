"""Golden messages that all clients' tests read; with LLIA_WRITE_GOLDEN=1 they are written anew."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from bridge.protocol import messages
from bridge.protocol.codec import decode, encode
from bridge.protocol.messages import PUBLISHED, REPLIES, REQUESTS, Message

GOLDEN = Path(__file__).parent / "golden.json"
ALL = {cls.type: cls for cls in (*REQUESTS, *REPLIES, *PUBLISHED)}

EXAMPLES: list[Message] = [
    messages.Hello(request_id="1", versions=[1], client="golden"),
    messages.Hello(versions=[1, 2], resume="0123456789abcdef0123456789abcdef"),
    messages.Ping(request_id="7"),
    messages.OpenAvatar(request_id="8", picture="amber"),
    messages.OpenAvatar(
        request_id="9", pack="nano", size_px=512, fps=30, format="BGRA", alpha="premultiplied", seed=7
    ),
    messages.CloseAvatar(request_id="10", avatar_id="avatar-0a1b2c3d"),
    messages.GetAvatarInfo(request_id="2"),
    messages.Audio(utterance_id="u-1", sample_rate_hz=22_050, sample_index=0),
    messages.Audio(
        request_id="3", avatar_id="default", utterance_id="u-1", sample_rate_hz=48_000, channels=2,
        format="f32", sample_index=441, final=True, live=True,
    ),
    messages.Audio(utterance_id="o-1", sample_rate_hz=16_000, live=True, role="other"),
    messages.End(utterance_id="u-1"),
    messages.End(utterance_id="o-1", role="other"),
    messages.Cancel(request_id="4"),
    messages.SetState(state="listening"),
    messages.SetExpression(request_id="11", preset="happy", controls={"browInnerUp": 0.5}),
    messages.SetExpression(preset="happy"),
    messages.SetMicrophone(request_id="12", mode="push_to_talk", talk="on", mute="off"),
    messages.SetMicrophone(mute="toggle"),
    messages.GetStatistics(request_id="5"),
    messages.Welcome(
        request_id="1", daemon="llia 0.1.0", capabilities=["audio_in"], limits={"payload_bytes": 4_194_304},
        frames_endpoint="tcp://127.0.0.1:5571", avatars=["default", "avatar-0a1b2c3d"],
        own_avatars=["avatar-0a1b2c3d"], resume_token="0123456789abcdef0123456789abcdef",
        expressions=["neutral", "happy"],
    ),
    messages.Pong(request_id="7", daemon_ns=1_234_567_890_123),
    messages.AvatarOpened(
        request_id="9", avatar_id="avatar-0a1b2c3d", name="amber", width=512, height=512, fps=30,
        format="BGRA", alpha="premultiplied", lookahead_ms=82.5, lead_ms=200.0, provider="CPU",
        resume_token="0123456789abcdef0123456789abcdef", capabilities=["audio_in"],
        limits={"client_timeout_ms": 10_000},
    ),
    messages.AvatarInfo(
        request_id="2", avatar_id="default", name="amber", width=384, height=384, fps=25, lookahead_ms=82.5,
        lead_ms=150.0, provider="CPU",
    ),
    messages.Ok(request_id="3"),
    messages.Statistics(
        avatar_id="default", state="speaking", fps=25.0, lead_ms=150.0, compute_ms=32.5,
        stages_ms={"decode": 9.5}, first_frame_ms=141.5, latency_ms=152.5,
        stalls=1, stalled_ms=20.5, skipped_audio_ms=0.0,
        queues={"speech_ms": 1500.0}, drops={"frames": 2},
        daemon={"clients": 1, "malformed": 3}, delays_ms={"camera": 190.5},
    ),
    messages.Error(request_id="6", code="bad_field", text="audio.sample_rate_hz is missing"),
    messages.StateChanged(avatar_id="default", state="speaking", pts_samples=6_400),
    messages.UtteranceStarted(avatar_id="default", utterance_id="u-1", pts_samples=6_100),
    messages.FirstFrame(avatar_id="default", utterance_id="u-1", pts_samples=6_400, latency_ms=141.5),
    messages.Finished(avatar_id="default", utterance_id="u-1", pts_samples=64_000),
    messages.Cancelled(avatar_id="default", utterance_id="ü-2", pts_samples=70_000),
    messages.ExpressionChanged(avatar_id="default", preset="happy", controls={"mouthSmile": 0.5}),
    messages.AvatarClosed(avatar_id="avatar-0a1b2c3d", reason="silent"),
    messages.Blendshapes(
        avatar_id="default", pts_samples=6_400, epoch=1, utterance_id="u-1", state="speaking",
        shapes={"jawOpen": 0.5, "eyeBlinkLeft": 0.0}, head_deg={"yaw": 1.5, "pitch": -2.0, "roll": 0.0},
        visemes={"aa": 0.75, "E": 0.25}, published_ns=1_234_567_890_123,
    ),
    messages.FrameHeader(
        avatar_id="default", pts_samples=6_400, epoch=1, utterance_id="u-1", state="speaking", width=2,
        height=1, latency_ms=152.5, published_ns=1_234_567_890_123,
    ),
    messages.FrameHeader(
        avatar_id="avatar-0a1b2c3d", pts_samples=7_040, epoch=2, utterance_id="", state="listening", width=2,
        height=1, format="BGRA", alpha="premultiplied", published_ns=1_234_567_890_123,
    ),
    messages.SharedFrame(
        avatar_id="default", pts_samples=6_400, epoch=1, utterance_id="u-1", state="speaking", width=2,
        height=1, latency_ms=152.5, published_ns=1_234_567_890_123, file="/dev/shm/llia-frames-ab12cd34",
        offset=4_160, payload_bytes=8, sequence_offset=4_096, sequence=41,
    ),
    messages.SharedFrame(
        avatar_id="default", pts_samples=7_040, epoch=1, utterance_id="u-1", state="speaking", width=2,
        height=1, published_ns=1_234_567_890_123, payload_bytes=8,
    ),
    messages.Echo(avatar_id="default", pts_samples=6_400, utterance_id="", published_ns=1_234_567_890_123),
]  # fmt: skip

PAYLOADS = {"audio": bytes(16), "frame": bytes([255, 0, 0, 255, 0, 255, 0, 128]), "echo": bytes(8)}


def _entry(message: Message) -> dict[str, object]:
    payload = PAYLOADS.get(message.type)
    if isinstance(message, messages.SharedFrame) and not message.file:
        payload = PAYLOADS["frame"]
    return {
        "type": message.type,
        "fields": dataclasses.asdict(message),
        "header_hex": encode(message).hex(),
        "payload_hex": None if payload is None else payload.hex(),
    }


if os.environ.get("LLIA_WRITE_GOLDEN") == "1":
    text = ",\n".join(json.dumps(_entry(message), ensure_ascii=False) for message in EXAMPLES)
    GOLDEN.write_text(f"[\n{text}\n]\n", encoding="utf-8")

STORED = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", STORED, ids=lambda entry: entry["type"])
def test_round_trip(entry: dict[str, object]) -> None:
    header = bytes.fromhex(str(entry["header_hex"]))
    parts = [header] if entry["payload_hex"] is None else [header, bytes.fromhex(str(entry["payload_hex"]))]
    message, payload = decode(parts, ALL.values())
    assert message.type == entry["type"]
    assert dataclasses.asdict(message) == entry["fields"]
    assert bytes(payload).hex() == (entry["payload_hex"] or "")
    assert encode(message) == header


def test_stored_messages_are_those_of_the_code() -> None:
    assert [_entry(message) for message in EXAMPLES] == STORED


def test_no_message_is_forgotten() -> None:
    defined = {
        cls.type
        for cls in vars(messages).values()
        if isinstance(cls, type) and issubclass(cls, Message) and "type" in vars(cls)
    }
    assert defined == {entry["type"] for entry in STORED} == set(ALL)

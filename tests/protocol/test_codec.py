from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.protocol.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, ProtocolError, decode, encode
from bridge.protocol.messages import REQUESTS, Audio, Cancel, Hello, OpenAvatar

AUDIO = {"v": 1, "type": "audio", "utterance_id": "u", "sample_rate_hz": 16_000}


def refusal(header: Any, *payload: bytes) -> ProtocolError:
    packed = header if isinstance(header, bytes) else msgpack.packb(header)
    with pytest.raises(ProtocolError) as caught:
        decode([packed, *payload], REQUESTS)
    assert "\n" not in str(caught.value)
    return caught.value


def test_unknown_fields_are_passed_over() -> None:
    message, _ = decode([msgpack.packb({"v": 1, "type": "cancel", "mood": {"deep": [1]}})], REQUESTS)
    assert message == Cancel()


def test_defaults_may_be_left_out() -> None:
    message, payload = decode([msgpack.packb(AUDIO), b"\0\0"], REQUESTS)
    assert message == Audio(utterance_id="u", sample_rate_hz=16_000)
    assert payload == b"\0\0"


def test_hello_may_come_from_another_version() -> None:
    message, _ = decode([msgpack.packb({"v": 7, "type": "hello", "versions": [7, 1]})], REQUESTS)
    assert message == Hello(versions=[7, 1])


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        (b"", "bad_message", "empty"),
        (b"\xc1", "bad_message", "msgpack"),
        (b"\x93\x01\x02\x03", "bad_message", "not a msgpack map"),
        (b"\xdd\xff\xff\xff\xff", "bad_message", "msgpack"),
        (b"\xdb\xff\xff\xff\xff", "bad_message", "msgpack"),
        (b"\x81" * 5_000, "bad_message", "msgpack"),
        (b"\x91" * 5_000, "bad_message", "msgpack"),
        (bytes(MAX_HEADER_BYTES + 1), "too_large", str(MAX_HEADER_BYTES)),
        ({"v": 1}, "bad_message", "type"),
        ({"v": 2, "type": "cancel"}, "unsupported_version", "1"),
        ({"type": "cancel"}, "unsupported_version", "None"),
        ({"v": 1, "type": "dance"}, "unknown_type", "dance"),
        ({"v": 1, "type": "end"}, "bad_field", "end.utterance_id is missing"),
        ({"v": 1, "type": "end", "utterance_id": ""}, "bad_field", "1 to 64"),
        ({"v": 1, "type": "end", "utterance_id": "x" * 65}, "bad_field", "1 to 64"),
        ({"v": 1, "type": "end", "utterance_id": 5}, "bad_field", "int"),
        ({"v": 1, "type": "set_state", "state": "asleep"}, "bad_field", "listening"),
        ({**AUDIO, "sample_rate_hz": 7_999}, "bad_field", "8000"),
        ({**AUDIO, "sample_rate_hz": True}, "bad_field", "bool"),
        ({**AUDIO, "sample_rate_hz": 2**63}, "bad_field", "8000"),
        ({**AUDIO, "channels": 3}, "bad_field", "1 to 2"),
        ({**AUDIO, "format": "mp3"}, "bad_field", "s16"),
        ({"v": 1, "type": "hello", "client": "x" * 513}, "bad_field", "512"),
        (AUDIO, "bad_payload", "1 parts"),
    ],
)
def test_refusals(header: Any, code: str, words: str) -> None:
    error = refusal(header)
    assert error.code == code
    assert words in str(error)


def test_a_payload_too_many_and_too_long() -> None:
    assert refusal({"v": 1, "type": "cancel"}, b"x").code == "bad_payload"
    assert refusal(AUDIO, bytes(MAX_PAYLOAD_BYTES + 1)).code == "too_large"


def test_sizes_at_their_edge() -> None:
    fields: dict[str, Any] = {"v": 1, "type": "cancel", **{f"unknown{n}": "x" * 4_000 for n in range(4)}}
    fields["rest"] = "x" * (MAX_HEADER_BYTES - len(msgpack.packb({**fields, "rest": "x" * 300})) + 300)
    longest = msgpack.packb(fields)
    assert len(longest) == MAX_HEADER_BYTES
    assert decode([longest], REQUESTS)[0] == Cancel()
    fields["rest"] += "x"
    assert refusal(fields).code == "too_large"
    assert len(decode([msgpack.packb(AUDIO), bytes(MAX_PAYLOAD_BYTES)], REQUESTS)[1]) == MAX_PAYLOAD_BYTES
    many = {"v": 1, "type": "cancel", **{f"unknown{n}": n for n in range(62)}}
    assert decode([msgpack.packb(many)], REQUESTS)[0] == Cancel()
    assert refusal({**many, "one more": 1}).code == "bad_message"


def test_a_payload_may_be_left_out_where_it_is_optional() -> None:
    header = msgpack.packb({"v": 1, "type": "open_avatar"})
    assert decode([header], REQUESTS) == (OpenAvatar(), b"")
    assert decode([header, b"png"], REQUESTS) == (OpenAvatar(), b"png")
    assert refusal({"v": 1, "type": "open_avatar"}, b"1", b"2").code == "bad_payload"


def test_refusals_bear_the_request_id() -> None:
    assert refusal({"v": 1, "type": "dance", "request_id": "r"}).request_id == "r"
    assert refusal({"v": 1, "type": "dance", "request_id": 5}).request_id == ""
    assert refusal({"v": 1, "type": "dance", "request_id": "x" * 600}).request_id == ""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_bytes_raise_nothing_but_protocol_errors(parts: list[bytes]) -> None:
    try:
        decode(parts, REQUESTS)
    except ProtocolError as error:
        assert len(str(error)) < 1_000


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([cls.type for cls in REQUESTS]),
    st.dictionaries(
        st.sampled_from(["utterance_id", "sample_rate_hz", "versions", "state", "format"]), VALUES
    ),
)
def test_random_fields_raise_nothing_but_protocol_errors(name: str, fields: dict[str, Any]) -> None:
    try:
        message, _ = decode([msgpack.packb({**fields, "v": 1, "type": name}), b"\0\0"], REQUESTS)
    except ProtocolError as error:
        assert len(str(error)) < 1_000
    else:
        assert encode(message)

"""Multipart to message and back. Every size is checked before anything is allocated; nothing is unpickled."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgpack

from bridge.protocol.messages import PROTOCOL_VERSION, PUBLISHED, REPLIES, REQUESTS, Hello, Message

MAX_HEADER_BYTES = 16_384
MAX_PAYLOAD_BYTES = 4_194_304
MAX_TEXT_CHARS = 512
MAX_ITEMS = 64
"""Longest list or map in a header."""

FIELD_TYPES = {cls.type: typing.get_type_hints(cls) for cls in (*REQUESTS, *REPLIES, *PUBLISHED)}

Part = bytes | memoryview
M = TypeVar("M", bound=Message)


class ProtocolError(Exception):
    """A message that cannot be understood.

    Attributes:
        code: "bad_message", "too_large", "unknown_type", "unsupported_version", "bad_field" or "bad_payload".
        request_id: that of the faulty message where it could be read.
    """

    def __init__(self, code: str, text: str, request_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.request_id = request_id


def encode(message: Message) -> bytes:
    """Packs a message's header: a msgpack map of `v`, `type` and the message's fields."""
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    packed = msgpack.packb({"v": PROTOCOL_VERSION, "type": message.type, **fields})
    return typing.cast(bytes, packed)


def decode(parts: Sequence[Part], known: Iterable[type[M]]) -> tuple[M, Part]:
    """Reads one message.

    Args:
        parts: the header and, for types that have one, the payload.
        known: the message classes that may come on this socket.

    Returns:
        The message and its payload, empty for types without one.

    Raises:
        ProtocolError: see its `code`.
    """
    header = _header(parts)
    request_id = header.get("request_id", "")
    if not isinstance(request_id, str) or len(request_id) > MAX_TEXT_CHARS:
        request_id = ""
    try:
        cls = _message_class(header, known)
        message = cls(**_fields(cls, header))
        if len(parts) != 1 + cls.has_payload and not (cls.payload_optional and len(parts) == 1):
            wanted = "a header and one payload part" if cls.has_payload else "a header and no payload"
            raise ProtocolError(
                "bad_payload", f"{cls.type} has {len(parts)} parts; {wanted} make the message"
            )
        payload = parts[1] if len(parts) > 1 else b""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ProtocolError(
                "too_large",
                f"the payload has {len(payload)} bytes; send pieces of {MAX_PAYLOAD_BYTES} at most",
            )
    except ProtocolError as error:
        raise ProtocolError(error.code, str(error), request_id) from None
    return message, payload


def _header(parts: Sequence[Part]) -> dict[str, Any]:
    if not parts or not len(parts[0]):
        raise ProtocolError("bad_message", "the header part is missing or empty; send a msgpack map")
    if len(parts[0]) > MAX_HEADER_BYTES:
        raise ProtocolError(
            "too_large", f"the header has {len(parts[0])} bytes; {MAX_HEADER_BYTES} are allowed"
        )
    try:
        header = msgpack.unpackb(
            parts[0], raw=False, max_str_len=4_096, max_bin_len=0, max_ext_len=0,
            max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS,
        )  # fmt: skip
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise ProtocolError("bad_message", f"the header is not valid msgpack: {reason[:200]}") from None
    if not isinstance(header, dict):
        raise ProtocolError("bad_message", "the header is not a msgpack map")
    return header


def _message_class(header: dict[str, Any], known: Iterable[type[M]]) -> type[M]:
    name, version = header.get("type"), header.get("v")
    if not isinstance(name, str):
        raise ProtocolError("bad_message", "the header has no 'type' text")
    # `hello` carries the list of versions itself and may come from any of them.
    if name != Hello.type and version != PROTOCOL_VERSION:
        raise ProtocolError(
            "unsupported_version",
            f"'v' is {version!r:.40}; set it to {PROTOCOL_VERSION}, the version spoken here",
        )
    for cls in known:
        if cls.type == name:
            return cls
    raise ProtocolError(
        "unknown_type", f"message type {name!r:.80} is not known in version {PROTOCOL_VERSION}"
    )


def _fields(cls: type[Message], header: dict[str, Any]) -> dict[str, Any]:
    """Takes the class's fields out of the header and checks them; unknown fields are passed over."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        where = f"{cls.type}.{field.name}"
        if field.name in header:
            values[field.name] = _checked(header[field.name], FIELD_TYPES[cls.type][field.name], where)
            _check_bounds(values[field.name], field.metadata, where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ProtocolError("bad_field", f"{where} is missing")
    return values


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Checks a value against a field's annotation; an int may stand for a float."""
    origin = typing.get_origin(kind)
    if origin is list and isinstance(value, list):
        return [_checked(item, typing.get_args(kind)[0], where) for item in value]
    if origin is dict and isinstance(value, dict):
        _, item_kind = typing.get_args(kind)
        return {
            _checked(key, str, where): _checked(item, item_kind, f"{where}.{key}")
            for key, item in value.items()
        }
    if kind is float and type(value) in (int, float):
        return float(value)
    if origin is None and type(value) is kind:
        if kind is str and len(value) > MAX_TEXT_CHARS:
            raise ProtocolError("bad_field", f"{where} has {len(value)} characters; at most {MAX_TEXT_CHARS}")
        return value
    expected = kind.__name__ if origin is None else str(kind)
    raise ProtocolError(
        "bad_field", f"{where} is {value!r:.40} of type {type(value).__name__}, not {expected}"
    )


def _check_bounds(value: Any, metadata: typing.Mapping[str, Any], where: str) -> None:
    choices = metadata.get("choices")
    if choices is not None and value not in choices:
        raise ProtocolError("bad_field", f"{where} is {value!r:.40}; one of {', '.join(choices)} is needed")
    if "low" in metadata:
        low, high = metadata["low"], metadata["high"]
        size = len(value) if isinstance(value, str) else value
        if not low <= size <= high:
            what = "characters" if isinstance(value, str) else "is the range"
            raise ProtocolError("bad_field", f"{where} is {value!r:.40}; {low} to {high} {what}")

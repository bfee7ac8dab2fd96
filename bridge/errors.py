"""Typed errors of the bridge: one clear line each (what, where, how to mend)."""

from __future__ import annotations


class BridgeError(Exception):
    """Base of everything the bridge raises for wrong input from a user, a client or a device.

    Attributes:
        code: short name of the fault, sent to clients in the `error` message (see `PROTOCOL.md`).
    """

    code = "bad_request"


class SettingError(BridgeError):
    """A configuration key is unknown or a value is out of its bounds."""

    code = "setting"


class DeviceError(BridgeError):
    """A microphone, camera or sound system is missing or failed."""

    code = "device"


class PortError(BridgeError):
    """A port cannot be bound."""

    code = "port"


class AudioInputError(BridgeError):
    """Audio from outside is unreadable, empty, non-finite or claims a wrong rate."""

    code = "audio"


class QueueFullError(BridgeError):
    """More speech is waiting than the limit allows; nothing of the refused chunk was taken."""

    code = "queue_full"


class UtteranceCancelledError(BridgeError):
    """Audio came for an utterance that a barge-in has cancelled; go on under a new utterance id."""

    code = "utterance_cancelled"


class UnknownAvatarError(BridgeError):
    """The daemon has no avatar of this id."""

    code = "unknown_avatar"


class NotYourAvatarError(BridgeError):
    """The avatar belongs to another client, or to the daemon itself."""

    code = "not_yours"


class LimitError(BridgeError):
    """The daemon has as many avatars or clients as it may have."""

    code = "limit"


class PictureError(BridgeError):
    """A picture from a client cannot be read or is too large."""

    code = "picture"


class AvatarOpenError(BridgeError):
    """An avatar cannot be opened: its pack, picture or a value is wrong."""

    code = "avatar"


class ExpressionError(BridgeError):
    """An expression has an unknown name or a value out of its range."""

    code = "expression"


class KeyFileError(BridgeError):
    """The CURVE keys are missing, unreadable or would be overwritten."""

    code = "keys"


class AvatarFailedError(BridgeError):
    """The engine of this avatar has stopped with an error; the daemon must be started again."""

    code = "avatar_failed"


class UnsupportedError(BridgeError):
    """This daemon does not offer what was asked for."""

    code = "unsupported"


class ObsError(BridgeError):
    """OBS is not running, refuses the connection or lacks what is needed."""

    code = "obs"

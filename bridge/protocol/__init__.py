"""The wire of `bridge/PROTOCOL.md`: a dataclass per message and the codec between them and multipart."""

"""Typed errors of the engine: one clear line each (what, where, how to mend)."""


class EngineError(Exception):
    """Base of everything the engine raises for wrong input from a user, a file or a device."""


class ConfigError(EngineError):
    """A configuration key is unknown or a value is out of its bounds."""


class ModelError(EngineError):
    """A model pack, graph or avatar picture is missing, altered or does not fit its manifest."""


class AudioFormatError(EngineError):
    """Audio cannot be read, is empty, contains non-finite samples or claims a wrong rate."""

"""The engine's section of a configuration file: typed, bounded, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from engine.errors import ConfigError

BOUNDS: dict[str, tuple[int, int]] = {
    "size_px": (64, 1024),
    "fps": (10, 60),
    "steps": (1, 50),
    "threads": (1, 256),
    "seed": (0, 2**63 - 1),
}
"""Lowest and highest value of each number, both allowed."""

MULTIPLES: dict[str, int] = {"size_px": 32}
"""The decoder halves its maps five times."""

PROVIDER_NAMES = ("auto", "CPU", "CUDA", "TensorRT", "OpenVINO")


def check_bounds(key: str, value: object, *, where: str = "") -> None:
    """Raises ConfigError where a number is none or out of its bounds.

    Args:
        key: a key of `BOUNDS`.
        value: what was given.
        where: the file and section, for the error's line.
    """
    low, high = BOUNDS[key]
    multiple = MULTIPLES.get(key, 1)
    if type(value) is not int or not low <= value <= high or value % multiple:
        steps = f" in steps of {multiple}" if multiple > 1 else ""
        raise ConfigError(f"{where}{key} = {value!r}: expected a whole number {low}..{high}{steps}")


@dataclass(frozen=True)
class EngineConfig:
    """What the engine is started with.

    Attributes:
        pack: a shipped pack's name, or the folder of one.
        avatar: an avatar of the pack, or the path of a picture; "" for the pack's default.
        size_px: side of the frames, 64..1024, a multiple of 32.
        fps: frames per second, 10..60.
        steps: sampling steps; the pack says which it has.
        threads: cap on the threads that compute, None: every core.
        provider: "auto", "CPU", "CUDA", "TensorRT" or "OpenVINO".
        seed: of the noise, None: another one each time.
    """

    pack: str = "nano"
    avatar: str = ""
    size_px: int = 384
    fps: int = 25
    steps: int = 2
    threads: int | None = None
    provider: str = "auto"
    seed: int | None = None

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any], *, file: str = "configuration") -> EngineConfig:
        """Checks a section as read from a file.

        Args:
            section: keys as the attributes; those left out keep their defaults.
            file: the file's name, for errors.

        Raises:
            ConfigError: a key is unknown or a value out of its bounds; names file, key, value, bound.
        """
        where = f"{file}: engine."
        known = {field.name for field in fields(cls)}
        for key, value in section.items():
            if key not in known:
                raise ConfigError(
                    f"{where}{key} = {value!r}: unknown key; known are {', '.join(sorted(known))}"
                )
            if key in BOUNDS:
                if value is not None or key not in ("threads", "seed"):
                    check_bounds(key, value, where=where)
            elif not isinstance(value, str):
                raise ConfigError(f"{where}{key} = {value!r}: expected text")
        provider = section.get("provider", "auto")
        if provider not in PROVIDER_NAMES:
            raise ConfigError(f"{where}provider = {provider!r}: expected one of {', '.join(PROVIDER_NAMES)}")
        return cls(**section)

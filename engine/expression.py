"""Edits the reference picture's expression before it is animated, LLIA's way (arXiv 2506.05806)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.decode import Decoder
from engine.errors import ConfigError
from engine.runtime.session import GraphSession
from engine.types import CONTROL_NAMES

SIGNED_CONTROLS = frozenset(
    {"eyeLookX", "eyeLookY", "headYaw", "headPitch", "headRoll", "headShift", "breath"}
)
"""Controls of the range -1..1; all others are 0..1."""


def controls_vector(expression: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """Controls by name to float32 [1, 21]; those not named are 0.

    Raises:
        ConfigError: a name is unknown or a value out of its range.
    """
    vector = np.zeros((1, len(CONTROL_NAMES)), np.float32)
    for name, value in expression.items():
        if name not in CONTROL_NAMES:
            raise ConfigError(f"expression: no control {name!r}; there are {', '.join(CONTROL_NAMES)}")
        low = -1.0 if name in SIGNED_CONTROLS else 0.0
        if not low <= value <= 1.0:
            raise ConfigError(f"expression: {name} = {value} is outside {low:g}..1")
        vector[0, CONTROL_NAMES.index(name)] = value
    return vector


def edit_reference(
    session: GraphSession,
    banks: Mapping[str, npt.NDArray[Any]],
    decoder: Decoder,
    expression: Mapping[str, float],
) -> npt.NDArray[np.uint8]:
    """The reference picture with another expression.

    Args:
        session: the pack's `expression`.
        banks: outputs of `reference` for the picture.
        decoder: of the picture, at the size wanted.
        expression: controls by name, see `engine.types.CONTROL_NAMES`.

    Returns:
        uint8 [S, S, 4], straight alpha.

    Raises:
        ConfigError: a name is unknown or a value out of its range.
    """
    latents = session.run({**banks, "controls": controls_vector(expression)})["latents"]
    rgba: npt.NDArray[np.uint8] = decoder.decode(latents)[0]
    return rgba

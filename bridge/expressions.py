"""Expressions by name: presets of the engine's controls that clients may lay others over."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import ExpressionError
from engine.types import CONTROL_NAMES

PRESETS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.8, "browOuterUp": 0.2},
    "sad": {"mouthFrown": 0.7, "browInnerUp": 0.7, "eyeLookY": 0.2},
    "surprised": {"browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.7},
    "angry": {"browDown": 0.8, "mouthFrown": 0.4},
    "thoughtful": {"browDown": 0.3, "eyeLookX": 0.4, "eyeLookY": -0.3},
}
"""Our choice; the controls and their ranges stand in `engine.types.CONTROL_NAMES`."""


def expression(preset: str, controls: Mapping[str, float]) -> dict[str, float]:
    """Lays controls over a preset.

    Args:
        preset: one of `PRESETS`, "" for none.
        controls: controls by name.

    Raises:
        ExpressionError: the preset or a control is unknown, or a value is not within -1..1.
    """
    if preset and preset not in PRESETS:
        raise ExpressionError(f"there is no expression {preset!r:.40}; known are {', '.join(PRESETS)}")
    for name, value in controls.items():
        if name not in CONTROL_NAMES:
            raise ExpressionError(f"there is no control {name!r:.40}; known are {', '.join(CONTROL_NAMES)}")
        if not -1.0 <= value <= 1.0:
            raise ExpressionError(
                f"control {name} is {value}; -1 to 1 is possible, 0 to 1 where it has no side"
            )
    return {**PRESETS.get(preset, {}), **controls}

"""Expressions, LLIA's way (arXiv 2506.05806): the reference picture is edited before its features are taken.

The denoiser then performs somebody who looks like that. It does so for what a face at rest shows (a smile,
a frown, brows); controls that every performance moves by itself (jaw, lids, gaze, head) are added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.decode import Decoder
from engine.errors import ConfigError
from engine.runtime.session import GraphSession
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

SIGNED_CONTROLS = frozenset(
    {"eyeLookX", "eyeLookY", "headYaw", "headPitch", "headRoll", "headShift", "breath"}
)
"""Controls of the range -1..1; all others are 0..1."""
LOWEST: Float = np.array([-1.0 if name in SIGNED_CONTROLS else 0.0 for name in CONTROL_NAMES], np.float32)
"""Least value of every control; the greatest is 1."""
REST_CONTROLS = ("mouthSmile", "mouthFrown", "browInnerUp", "browOuterUp", "browDown", "eyeWide")
"""What a performance keeps from its reference picture: the temperament of the training's takes."""
AT_REST = np.array([name in REST_CONTROLS for name in CONTROL_NAMES])
SPOKEN = np.array([name.startswith(("jaw", "mouth", "tongue")) for name in CONTROL_NAMES]) & ~AT_REST
"""What speech moves."""
POSE = [CONTROL_NAMES.index(name) for name in ("headYaw", "headPitch", "headRoll", "headShift")]
BLEND_SAMPLES = SAMPLE_RATE_HZ // 5
"""An expression comes and goes within 200 ms."""


def checked_controls(expression: Mapping[str, float]) -> dict[str, float]:
    """Controls by name.

    Raises:
        ConfigError: a name is unknown or a value out of its range.
    """
    for name, value in expression.items():
        if name not in CONTROL_NAMES:
            raise ConfigError(f"expression: no control {name!r}; there are {', '.join(CONTROL_NAMES)}")
        low = LOWEST[CONTROL_NAMES.index(name)]
        if not low <= value <= 1.0:
            raise ConfigError(f"expression: {name} = {value} is outside {low:g}..1")
    return dict(expression)


def within_reach(controls: Float) -> Float:
    """Controls [21] as far as the decoder can follow: each within its range, the head's pose at most 1 long.

    Head controls are of one range, and performances never have several of them at its end: there the flow
    tears the picture. A pose that is longer keeps its direction (our choice).
    """
    reached: Float = controls.clip(LOWEST, np.float32(1.0))
    reached[POSE] /= max(1.0, float(np.linalg.norm(reached[POSE])))
    return reached


def edit_reference(
    session: GraphSession, banks: Mapping[str, npt.NDArray[Any]], decoder: Decoder, controls: Float
) -> npt.NDArray[np.uint8]:
    """The reference picture with another expression.

    Args:
        session: the pack's `expression`.
        banks: outputs of `reference` for the picture.
        decoder: of the picture, at the size wanted.
        controls: float32 [21], by `CONTROL_NAMES`.

    Returns:
        uint8 [S, S, 4], straight alpha.
    """
    latents = session.run({**banks, "controls": controls[None]})["latents"]
    return decoder.decode(latents[0])


class ExpressionTrack:
    """What is added to the controls at any time, so that no change of expression shows a jump."""

    def __init__(self) -> None:
        """Starts with nothing added."""
        self._start: Float = np.zeros(len(CONTROL_NAMES), np.float32)
        self._goal = self._start
        self._from_samples = 0

    def change(self, from_samples: int, jump: Float, added: Float) -> None:
        """A new expression.

        Args:
            from_samples: frames from this time on are generated with it.
            jump: float32 [21], by how much their controls at rest differ from the frames' before.
            added: float32 [21], what the new expression adds to what is generated.
        """
        self._start = self.at(from_samples) - jump
        self._goal, self._from_samples = added, from_samples

    def cut(self, at_samples: int) -> None:
        """Barge-in: what lies after this time is generated anew, with the newest expression."""
        self._from_samples = min(self._from_samples, at_samples)

    def at(self, pts_samples: int) -> Float:
        """What is added at a time, float32 [21]."""
        passed = np.clip((pts_samples - self._from_samples) / BLEND_SAMPLES, 0.0, 1.0)
        smooth = np.float32(passed * passed * (3.0 - 2.0 * passed))
        sum_: Float = self._start + smooth * (self._goal - self._start)
        return sum_

"""The engine's face controls as ARKit blendshapes, head angles and visemes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.types import CONTROL_NAMES

Float = npt.NDArray[np.float32]

HEAD_RANGE_DEG = {"yaw": 12.0, "pitch": 10.0, "roll": 10.0}
"""Angle of the head where a control is 1: how far the training studio turns it."""

# What the mouth does in each viseme: open (jaw, 0..1), width (-1 round .. 1 wide), lips pressed, lower lip
# under the teeth, tongue at the teeth. Our choice, after the targets that the model was trained with.
_VISEMES: dict[str, tuple[float, float, float, float, float]] = {
    "sil": (0.0, 0.0, 0.0, 0.0, 0.0),
    "PP": (0.0, 0.0, 1.0, 0.0, 0.0),
    "FF": (0.2, 0.1, 0.0, 1.0, 0.0),
    "TH": (0.28, 0.1, 0.0, 0.0, 1.0),
    "DD": (0.25, 0.2, 0.0, 0.0, 0.6),
    "kk": (0.32, 0.1, 0.0, 0.0, 0.0),
    "CH": (0.24, -0.5, 0.0, 0.0, 0.1),
    "SS": (0.22, 0.35, 0.0, 0.0, 0.2),
    "nn": (0.28, 0.15, 0.0, 0.0, 0.8),
    "RR": (0.3, -0.5, 0.0, 0.0, 0.3),
    "aa": (0.95, 0.1, 0.0, 0.0, 0.0),
    "E": (0.62, 0.35, 0.0, 0.0, 0.0),
    "ih": (0.3, 0.4, 0.0, 0.0, 0.0),
    "oh": (0.6, -0.7, 0.0, 0.0, 0.0),
    "ou": (0.28, -0.95, 0.0, 0.0, 0.0),
}
VISEME_NAMES: tuple[str, ...] = tuple(_VISEMES)
"""The fifteen of Oculus LipSync (OVR), in its order."""

_TARGETS = np.array(list(_VISEMES.values()), np.float32)
_SPREAD = 0.12
_INDEX = {name: index for index, name in enumerate(CONTROL_NAMES)}


@dataclass(frozen=True)
class Face:
    """What a face does in one frame; left and right are the avatar's own.

    Attributes:
        shapes: ARKit's names to 0..1; names of ARKit that are missing are 0.
        head_deg: "yaw" (positive: to the avatar's left), "pitch" (positive: down) and "roll" (positive:
            towards the avatar's left shoulder), degrees.
        visemes: `VISEME_NAMES` to weights 0..1 that add up to 1.
    """

    shapes: dict[str, float]
    head_deg: dict[str, float]
    visemes: dict[str, float]


def face_of(controls: Float) -> Face:
    """Translates one frame's controls.

    Args:
        controls: float32 [21], see `engine.types.CONTROL_NAMES`; values beyond their range are clipped.
    """
    c = {name: float(np.clip(controls[index], -1.0, 1.0)) for name, index in _INDEX.items()}
    up = {name: max(0.0, value) for name, value in c.items()}
    # ARKit's mouthClose takes back what jawOpen has opened; ours shuts the lips whatever the jaw does.
    closed = up["jawOpen"] * up["mouthClose"]
    opening = up["jawOpen"] - closed
    left, down = c["eyeLookX"], c["eyeLookY"]  # the picture's right is the avatar's left
    shapes = {
        "jawOpen": up["jawOpen"],
        "mouthClose": closed,
        "mouthFunnel": up["mouthPucker"] * opening,
        "mouthPucker": up["mouthPucker"] * (1.0 - opening),
        "mouthRollLower": up["mouthRollLower"],
        "browInnerUp": up["browInnerUp"],
        "eyeBlinkLeft": up["eyeBlinkLeft"],
        "eyeBlinkRight": up["eyeBlinkRight"],
        "eyeLookOutLeft": max(0.0, left),
        "eyeLookInLeft": max(0.0, -left),
        "eyeLookInRight": max(0.0, left),
        "eyeLookOutRight": max(0.0, -left),
    }
    for side in ("Left", "Right"):
        for name in ("mouthStretch", "mouthSmile", "mouthFrown", "browOuterUp", "browDown", "eyeWide"):
            shapes[name + side] = up[name]
        shapes["eyeLookDown" + side] = max(0.0, down)
        shapes["eyeLookUp" + side] = max(0.0, -down)
    head_deg = {name: c["head" + name.title()] * range_deg for name, range_deg in HEAD_RANGE_DEG.items()}
    return Face(shapes, head_deg, _visemes(up, opening))


def _visemes(up: dict[str, float], opening: float) -> dict[str, float]:
    """How near the mouth is to each viseme: a normalized Gaussian of the distance."""
    # Lips at rest are half closed; what is beyond that presses them together.
    pressed = max(0.0, 2.0 * up["mouthClose"] - 1.0)
    width = up["mouthStretch"] - up["mouthPucker"]
    mouth = np.array([opening, width, pressed, up["mouthRollLower"], up["tongueUp"]], np.float32)
    distance = np.square(_TARGETS - mouth).sum(axis=1)
    weights = np.exp((distance.min() - distance) / (2.0 * _SPREAD**2))
    return {name: float(w) for name, w in zip(VISEME_NAMES, weights / weights.sum(), strict=True)}

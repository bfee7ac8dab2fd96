"""Draws control vectors for training pictures, columns in the order of `engine.types.CONTROL_NAMES`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.types import CONTROL_NAMES

Floats = npt.NDArray[np.float32]
_AT = {name: i for i, name in enumerate(CONTROL_NAMES)}
_SIGNED = {"eyeLookX", "eyeLookY", "headYaw", "headPitch", "headRoll", "headShift", "breath"}
_HEAD = ("headYaw", "headPitch", "headRoll", "headShift", "breath")


def random_controls(n: int, rng: np.random.Generator) -> Floats:
    """Wide coverage of everything; a third of the rows add one strong expression.

    Args:
        n: number of rows.
        rng: source of chance.

    Returns:
        [n, 21], each control within its range.
    """
    c = np.zeros((n, len(CONTROL_NAMES)), np.float32)

    def some(name: str, chance: float, low: float = 0.0, high: float = 1.0) -> None:
        c[:, _AT[name]] = np.where(rng.random(n) < chance, rng.uniform(low, high, n), 0)

    some("jawOpen", 0.75)
    some("mouthClose", 0.2)
    some("mouthStretch", 0.4)
    some("mouthPucker", 0.4)
    some("mouthSmile", 0.6)
    some("mouthFrown", 0.2)
    some("mouthRollLower", 0.2)
    some("tongueUp", 0.35)
    for name in ("browInnerUp", "browOuterUp", "browDown", "eyeWide"):
        some(name, 0.35)
    both = np.where(rng.random(n) < 0.3, rng.uniform(0, 1, n), rng.uniform(0, 0.12, n))
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        c[:, _AT[name]] = np.where(rng.random(n) < 0.08, rng.uniform(0, 1, n), both)
    c[:, _AT["eyeBlinkLeft"]][rng.random(n) < 0.04] = 1
    shut = rng.random(n) < 0.06
    c[shut, _AT["eyeBlinkLeft"]] = c[shut, _AT["eyeBlinkRight"]] = 1
    for name in _SIGNED:
        c[:, _AT[name]] = rng.uniform(-1, 1, n)
    strong = np.flatnonzero(rng.random(n) < 0.33)
    expressions = [i for i, name in enumerate(CONTROL_NAMES) if name not in _HEAD]
    which = rng.choice(expressions, len(strong))
    c[strong, which] = rng.uniform(0.8, 1.0, len(strong))
    closed = rng.random(n) < 0.08
    c[closed, _AT["mouthClose"]] = 1
    # widening and rounding pull at the same lips: their sum stays within one
    a, b = c[:, _AT["mouthStretch"]], c[:, _AT["mouthPucker"]]
    over = np.maximum(a + b, 1)
    a /= over
    b /= over
    return c


def neutral_controls(n: int, rng: np.random.Generator) -> Floats:
    """What a reference picture looks like: near-frontal, mouth mostly shut, eyes open, a mild smile.

    Fifteen of a hundred have an open mouth, half closed lids or a small turn.

    Args:
        n: number of rows.
        rng: source of chance.

    Returns:
        [n, 21].
    """
    c = np.zeros((n, len(CONTROL_NAMES)), np.float32)
    c[:, _AT["mouthSmile"]] = rng.uniform(0.1, 0.65, n)
    for name in ("browInnerUp", "browOuterUp", "browDown"):
        c[:, _AT[name]] = rng.uniform(0, 0.25, n) * (rng.random(n) < 0.5)
    lids = rng.uniform(0, 0.08, n)
    c[:, _AT["eyeBlinkLeft"]] = c[:, _AT["eyeBlinkRight"]] = lids
    for name in ("eyeLookX", "eyeLookY"):
        c[:, _AT[name]] = rng.normal(0, 0.08, n).clip(-1, 1)
    for name in _HEAD:
        c[:, _AT[name]] = rng.normal(0, 0.06, n).clip(-0.2, 0.2)
    odd = rng.random(n)
    c[odd < 0.06, _AT["jawOpen"]] = rng.uniform(0.2, 0.9, int((odd < 0.06).sum()))
    half = (odd >= 0.06) & (odd < 0.10)
    c[half, _AT["eyeBlinkLeft"]] = c[half, _AT["eyeBlinkRight"]] = rng.uniform(0.3, 0.6, int(half.sum()))
    turned = (odd >= 0.10) & (odd < 0.15)
    for name in ("headYaw", "headPitch", "headRoll"):
        c[turned, _AT[name]] = rng.uniform(-0.5, 0.5, int(turned.sum()))
    return c

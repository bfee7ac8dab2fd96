from __future__ import annotations

import numpy as np
import pytest

from bridge.blendshapes import VISEME_NAMES, Face, face_of
from engine.types import CONTROL_NAMES

ARKIT = {
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "browInnerUp",
    *(name + side for side in ("Left", "Right") for name in (
        "mouthStretch", "mouthSmile", "mouthFrown", "browOuterUp", "browDown", "eyeWide", "eyeBlink",
        "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown",
    )),
}  # fmt: skip


def face(**controls: float) -> Face:
    return face_of(np.array([controls.get(name, 0.0) for name in CONTROL_NAMES], np.float32))


def test_a_face_at_rest_does_nothing() -> None:
    resting = face(mouthClose=0.5)
    assert set(resting.shapes) == ARKIT
    assert set(resting.shapes.values()) | set(resting.head_deg.values()) == {0.0}
    assert max(resting.visemes, key=lambda name: resting.visemes[name]) == "sil"


def test_any_controls_stay_within_range() -> None:
    chance = np.random.default_rng(1)
    for _ in range(200):
        made = face_of(chance.uniform(-3, 3, len(CONTROL_NAMES)).astype(np.float32))
        assert all(0.0 <= value <= 1.0 for value in made.shapes.values())
        assert sum(made.visemes.values()) == pytest.approx(1.0)
        assert tuple(made.visemes) == VISEME_NAMES


def test_closed_lips_take_the_jaw_back() -> None:
    shut = face(jawOpen=0.6, mouthClose=1.0).shapes
    assert shut["mouthClose"] == pytest.approx(shut["jawOpen"])
    assert face(jawOpen=0.6).shapes["mouthClose"] == 0.0


def test_left_is_the_avatars_own() -> None:
    looks = face(eyeLookX=0.5, eyeLookY=0.25, eyeBlinkLeft=1.0, headYaw=1.0)  # to the picture's right
    assert (looks.shapes["eyeLookOutLeft"], looks.shapes["eyeLookInRight"]) == (0.5, 0.5)
    assert (looks.shapes["eyeLookInLeft"], looks.shapes["eyeLookUpLeft"]) == (0.0, 0.0)
    assert (looks.shapes["eyeLookDownRight"], looks.shapes["eyeBlinkLeft"]) == (0.25, 1.0)
    assert looks.shapes["eyeBlinkRight"] == 0.0 and looks.head_deg["yaw"] > 5


@pytest.mark.parametrize(
    ("viseme", "controls"),
    [
        ("PP", {"jawOpen": 0.22, "mouthClose": 1.0}),
        ("FF", {"jawOpen": 0.2, "mouthStretch": 0.1, "mouthRollLower": 1.0}),
        ("TH", {"jawOpen": 0.28, "tongueUp": 1.0}),
        ("aa", {"jawOpen": 0.95}),
        ("oh", {"jawOpen": 0.6, "mouthPucker": 0.7}),
        ("ou", {"jawOpen": 0.28, "mouthPucker": 0.95}),
        ("E", {"jawOpen": 0.62, "mouthStretch": 0.35}),
    ],
)
def test_visemes_name_the_mouths_shape(viseme: str, controls: dict[str, float]) -> None:
    visemes = face(**controls).visemes
    assert max(visemes, key=lambda name: visemes[name]) == viseme

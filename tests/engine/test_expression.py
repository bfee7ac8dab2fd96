from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.expression import SIGNED_CONTROLS, controls_vector
from engine.pipeline import Engine
from engine.types import CONTROL_NAMES


def test_controls_by_name() -> None:
    vector = controls_vector({"mouthSmile": 0.5, "headYaw": -1.0})
    assert vector.shape == (1, 21)
    assert vector[0, CONTROL_NAMES.index("mouthSmile")] == 0.5
    assert vector.sum() == -0.5
    assert set(CONTROL_NAMES) >= SIGNED_CONTROLS


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("smile", 0.5, "no control 'smile'; there are jawOpen"),
        ("jawOpen", -0.1, r"jawOpen = -0.1 is outside 0..1"),
        ("headYaw", -1.5, r"headYaw = -1.5 is outside -1..1"),
        ("jawOpen", float("nan"), "jawOpen = nan is outside"),
    ],
)
def test_wrong_controls(name: str, value: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        controls_vector({name: value})


def test_the_edited_picture_becomes_the_reference(engine: Engine) -> None:
    with (
        engine.avatar(size_px=64) as plain,
        engine.avatar(size_px=64, expression={"jawOpen": 1.0}) as edited,
    ):
        difference = edited.portrait.ref_picture(64) - plain.portrait.ref_picture(64)
    assert difference[0, 0, 32, 32] == pytest.approx(0.5, abs=0.01)
    assert abs(difference[0, 3]).max() < 0.01

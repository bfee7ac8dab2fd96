from __future__ import annotations

import pytest

from bridge.errors import ExpressionError
from bridge.expressions import PRESETS, expression
from engine.types import CONTROL_NAMES


def test_presets_are_made_of_the_engines_controls() -> None:
    for name in PRESETS:
        assert set(expression(name, {})) <= set(CONTROL_NAMES)


def test_controls_are_laid_over_the_preset() -> None:
    made = expression("happy", {"mouthSmile": 0.25, "headYaw": -1.0})
    assert made == {**PRESETS["happy"], "mouthSmile": 0.25, "headYaw": -1.0}
    assert expression("", {}) == {}


@pytest.mark.parametrize(
    ("preset", "controls", "words"),
    [
        ("furious", {}, "known are neutral"),
        ("", {"nose": 0.5}, "no control 'nose'"),
        ("", {"mouthSmile": 1.01}, "-1 to 1"),
        ("", {"mouthSmile": float("nan")}, "-1 to 1"),
    ],
)
def test_what_no_face_can_do_is_refused(preset: str, controls: dict[str, float], words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        expression(preset, controls)

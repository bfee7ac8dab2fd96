"""The sliders' measurement: its figures on tracks made by hand, and the command as a user starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skia")

from engine.expression import BLEND_SAMPLES, ExpressionTrack
from engine.types import CONTROL_NAMES
from tests.quality.sliders import STEP, Shown, blend_ms, correlation, faults_of, steepest, summary
from tests.quality.test_quality import ROOT, measured

YAW, LOOK = CONTROL_NAMES.index("headYaw"), CONTROL_NAMES.index("eyeLookX")
COUNT = len(CONTROL_NAMES)


def blended(frames: int = 16) -> np.ndarray:
    """The engine's own way to a turned head, frame by frame."""
    track, added = ExpressionTrack(), np.zeros(COUNT, np.float32)
    added[YAW] = 0.8
    track.change(0, np.zeros(COUNT, np.float32), added)
    return np.stack([track.at(frame * STEP) for frame in range(frames)])


def shown(seen: float, leak: float = 0.0, lips_r: float = 0.99) -> Shown:
    """A head that was asked to turn by 0.8 and is seen to turn by a share of it, eyes with it."""
    asked, measured_, drawn = (np.zeros(COUNT, np.float32) for _ in range(3))
    asked[YAW], measured_[YAW], drawn[YAW] = 0.8, 0.8 * seen, 0.76
    measured_[LOOK] = leak
    spoken = np.stack([asked, measured_])
    return Shown(asked, measured_, drawn, blended(), spoken, lips_r, lips_r, np.zeros((1, 1, 4), np.uint8))


def faults(*faces: Shown, jump: float = 0.0) -> list[str]:
    named = {str(number): face for number, face in enumerate(faces)}
    row = summary({"headYaw": 0.8}, named) | {"jump": jump}
    return faults_of("headYaw 0.8", {"headYaw": 0.8}, row)


def test_the_engines_blend_takes_its_time() -> None:
    track = blended()[:, YAW]
    assert blend_ms(track) == BLEND_SAMPLES // 16 == 200
    assert steepest(track) == pytest.approx(0.296, abs=0.01)


def test_a_jump_and_a_late_blend_are_seen() -> None:
    step = np.full(16, 0.5, np.float32)
    assert (blend_ms(step), steepest(step)) == (0, 1.0)
    late = np.interp(np.arange(16), [0, 8], [0.0, 1.0])
    assert blend_ms(late) > 240


def test_a_good_slider_has_no_fault() -> None:
    assert faults(shown(0.9), shown(0.8)) == []


@pytest.mark.parametrize(
    ("face", "said"),
    [
        (shown(0.1), "of headYaw only 0.10 is seen"),
        (shown(-0.9), "of headYaw only -0.90 is seen"),
        (shown(0.9, leak=0.5), "'eyeLookX', 0.5"),
        (shown(0.9, lips_r=0.5), "lips follow the voice by 0.5"),
        (shown(0.9, lips_r=0.5), "lips are seen to follow the voice by 0.5"),
    ],
)
def test_what_is_wrong_is_said(face: Shown, said: str) -> None:
    assert said in " ".join(faults(shown(0.9), face))


def test_a_jump_amid_speech_is_said() -> None:
    assert faults(shown(0.9), jump=0.9) == ["headYaw 0.8: set amid speech it jumps by 0.9"]


def test_lips_that_stand_still_follow_nothing() -> None:
    moving = np.sin(np.arange(20.0)).astype(np.float32)
    assert correlation(moving, np.zeros(20, np.float32)) == 0.0
    assert correlation(moving, 0.5 * moving) == pytest.approx(1.0)


def test_the_command(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.webp"
    figures = measured("sliders", "--avatars", "amber", "--only", "headYaw", "sad", "--sheet", str(sheet))
    turned = figures["headYaw 0.5"]
    assert turned["seen"][0][0] > 0.5 and turned["seen speaking"][0][0] > 0.5
    assert "blend ms" not in figures["headYaw 1"], "cut off at the range's end"
    assert abs(turned["blend ms"][0] - 200) <= 40 and turned["steepest"] <= 0.4 and turned["jump"] <= 0.4
    assert turned["lips r"] > 0.9
    assert len(figures["sad"]["seen"][0]) == 3, "one figure for each control of the preset"
    assert sheet.stat().st_size > 1000


def test_an_unknown_slider_is_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.quality.sliders", "--only", "smile"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "--only smile: there are jawOpen" in ended.stderr

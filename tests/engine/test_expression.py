from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.expression import (
    BLEND_SAMPLES,
    LOWEST,
    POSE,
    SIGNED_CONTROLS,
    ExpressionTrack,
    checked_controls,
    within_reach,
)
from engine.pipeline import AvatarPipeline, Engine
from engine.types import CONTROL_NAMES, AudioChunk, VideoFrame

JAW, SMILE, YAW = (CONTROL_NAMES.index(n) for n in ("jawOpen", "mouthSmile", "headYaw"))


def test_controls_by_name() -> None:
    assert checked_controls({"mouthSmile": 0.5, "headYaw": -1.0}) == {"mouthSmile": 0.5, "headYaw": -1.0}
    assert set(CONTROL_NAMES) >= SIGNED_CONTROLS
    assert (LOWEST[SMILE], LOWEST[YAW]) == (0.0, -1.0)


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
        checked_controls({name: value})


def test_what_is_in_reach_stays_and_a_long_pose_keeps_its_direction() -> None:
    wanted = np.full(len(CONTROL_NAMES), 0.25, np.float32)
    np.testing.assert_array_equal(within_reach(wanted), wanted)
    wanted[POSE] = (1.5, -0.5, 1.0, 0.0)
    wanted[[JAW, SMILE]] = (1.2, -0.1)
    reached = within_reach(wanted)
    np.testing.assert_allclose(reached[POSE], np.array([1.0, -0.5, 1.0, 0.0]) / 1.5, rtol=1e-6)
    assert (reached[JAW], reached[SMILE]) == (1.0, 0.0)
    assert wanted[JAW] == np.float32(1.2)


def test_a_change_begins_where_the_last_one_stood_and_ends_at_its_goal() -> None:
    track, still = ExpressionTrack(), np.zeros(len(CONTROL_NAMES), np.float32)
    jump, added = still.copy(), still.copy()
    jump[SMILE], added[YAW] = 0.6, 0.4
    track.change(1000, jump, added)
    # What is generated jumps by 0.6, what is shown does not.
    assert track.at(1000)[SMILE] == pytest.approx(-0.6)
    assert track.at(1000)[YAW] == 0.0
    assert track.at(1000 + BLEND_SAMPLES // 2)[YAW] == pytest.approx(0.2, abs=0.01)
    assert track.at(1000 + BLEND_SAMPLES)[SMILE] == pytest.approx(0.0, abs=1e-6)
    halfway = track.at(1000 + BLEND_SAMPLES // 2)
    track.change(1000 + BLEND_SAMPLES // 2, still, still)
    np.testing.assert_allclose(track.at(1000 + BLEND_SAMPLES // 2), halfway, atol=1e-6)
    np.testing.assert_allclose(track.at(10**9), still, atol=1e-6)


def frames(avatar: AvatarPipeline, seconds: int) -> list[VideoFrame]:
    avatar.push_audio(AudioChunk(np.zeros(16_000 * seconds, np.float32), 0))
    avatar.finish()
    return list(avatar.frames())


def test_an_added_control_is_shown_and_told(engine: Engine) -> None:
    """The toy pack's red grows with jawOpen by half."""
    with (
        engine.avatar(size_px=64, seed=1, lead_ms=None) as plain,
        engine.avatar(size_px=64, seed=1, lead_ms=None, expression={"jawOpen": 0.8}) as open_mouth,
    ):
        before, after = frames(plain, 1), frames(open_mouth, 1)
    red = [int(b.rgba[32, 32, 0]) - int(a.rgba[32, 32, 0]) for a, b in zip(before, after, strict=True)]
    assert abs(red[0]) <= 1
    assert red[-1] == pytest.approx(0.4 * 255, abs=2)
    assert sorted(red) == red
    assert after[-1].controls[JAW] == pytest.approx(before[-1].controls[JAW] + 0.8, abs=0.01)


def test_an_expression_goes_as_it_came(engine: Engine) -> None:
    with (
        engine.avatar(size_px=64, seed=1, lead_ms=None) as plain,
        engine.avatar(
            size_px=64, seed=1, lead_ms=None, expression={"jawOpen": 0.5, "mouthSmile": 0.9}
        ) as avatar,
    ):
        avatar.set_expression({})
        wanted, made = frames(plain, 1), frames(avatar, 1)
    np.testing.assert_allclose(made[-1].controls, wanted[-1].controls, atol=0.01)


def test_the_edited_picture_conditions_the_next_clip(engine: Engine) -> None:
    """Its features are those of a picture that shows the expression; it is prepared once."""
    portrait = engine.portrait()
    controls = np.zeros(len(CONTROL_NAMES), np.float32)
    controls[JAW] = 1.0
    edited = engine.edited(portrait, controls)
    difference = edited.ref_picture(64).astype(int) - portrait.ref_picture(64)
    assert difference[32, 32, 0] == pytest.approx(127, abs=5)
    assert engine.edited(portrait, controls) is edited

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.steady import SLOW, SteadyFilter
from engine.types import CONTROL_NAMES

FPS, COUNT = 25, len(CONTROL_NAMES)
YAW, GAZE, JAW, LID = (CONTROL_NAMES.index(n) for n in ("headYaw", "eyeLookX", "jawOpen", "eyeBlinkLeft"))
Float = npt.NDArray[np.float32]


def steadied(controls: Float, clips: int = 1) -> Float:
    """Controls [n, 21] through the filter, in so many clips."""
    steady = SteadyFilter(np.ones(COUNT, np.float32), FPS)
    latents = controls.reshape(-1, COUNT, 1, 1)
    shown = [latents[0], latents[0]]
    for clip in np.array_split(latents, clips):
        shown += list(steady.filter(clip, shown[-1], shown[-2]))
    return np.stack(shown[2:]).reshape(-1, COUNT)


def tracks(**named: Float) -> Float:
    controls = np.zeros((len(next(iter(named.values()))), COUNT), np.float32)
    for name, track in named.items():
        controls[:, CONTROL_NAMES.index(name)] = track
    return controls


def test_a_tremor_goes_and_slow_motion_stays() -> None:
    t = np.arange(250) / FPS
    slow = (0.3 * np.sin(2 * np.pi * 0.3 * t)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0.0, 0.005, len(t)).astype(np.float32)
    made = steadied(tracks(headYaw=slow + noise))[:, YAW]
    assert np.abs(np.diff(made, 2)).mean() < 0.35 * np.abs(np.diff(slow + noise, 2)).mean()
    assert np.corrcoef(made[2:], slow[:-2])[0, 1] > 0.999, "two frames late"
    assert 0.97 < made.std() / slow.std() < 1.03


def test_a_saccade_stays_a_jump() -> None:
    gaze = np.zeros(40, np.float32)
    gaze[20:] = 0.6
    made = steadied(tracks(eyeLookX=gaze))[:, GAZE]
    assert made[20] > 0.3 and made[22] > 0.57
    assert made.max() < 0.66, "it does not ring"


def test_lips_and_lids_pass_through() -> None:
    rng = np.random.default_rng(0)
    controls = rng.normal(size=(30, COUNT)).astype(np.float32)
    made = steadied(controls)
    np.testing.assert_array_equal(made[:, ~SLOW], controls[:, ~SLOW])
    assert not SLOW[JAW] and not SLOW[LID]


def test_how_frames_fall_into_clips_does_not_matter() -> None:
    controls = np.random.default_rng(0).normal(size=(24, COUNT)).astype(np.float32)
    np.testing.assert_array_equal(steadied(controls), steadied(controls, clips=24))

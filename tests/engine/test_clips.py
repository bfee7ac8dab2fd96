from __future__ import annotations

import numpy as np
import pytest

from engine.clips import CUTS_KEPT, HISTORY_FRAMES, ClipPlanner, LatentHistory
from engine.types import AvatarState, ClipPlan

LENGTHS = (1, 2, 4, 8)


def _speaking(frame: int) -> AvatarState:
    return AvatarState.SPEAKING


def _lengths(planner: ClipPlanner, ready: int, *, finished: bool = False) -> list[int]:
    out = []
    while (plan := planner.plan(ready, finished=finished, state_of=_speaking)) is not None:
        out.append(plan.clip_length)
    return out


def test_short_clip_first_then_longer_ones() -> None:
    assert _lengths(ClipPlanner(LENGTHS, 640), 31) == [1, 2, 4, 8, 8, 8]


def test_a_clip_takes_what_audio_has_arrived() -> None:
    planner = ClipPlanner(LENGTHS, 640)
    assert _lengths(planner, 1) == [1]
    assert _lengths(planner, 2) == [1]
    assert _lengths(planner, 7) == [2, 2, 1]


def test_whole_clips_wait_until_the_recording_ends() -> None:
    planner = ClipPlanner(LENGTHS, 640, whole_clips=True)
    assert _lengths(planner, 14) == [1, 2, 4]
    assert _lengths(planner, 14, finished=True) == [4, 2, 1]


def test_restart_and_clear_make_the_next_clip_short() -> None:
    planner = ClipPlanner(LENGTHS, 640)
    _lengths(planner, 15)
    planner.restart()
    assert _lengths(planner, 18) == [1, 2]
    assert planner.clear(5 * 640 + 1) == 1
    assert (planner.next_frame, planner.epoch) == (6, 1)
    plan = planner.plan(18, finished=False, state_of=_speaking)
    assert plan is not None and (plan.first_frame, plan.clip_length, plan.epoch) == (6, 1, 1)


def test_clear_ahead_of_what_is_planned_does_not_jump() -> None:
    planner = ClipPlanner(LENGTHS, 640)
    planner.clear(6400)
    assert planner.next_frame == 0


def test_the_earliest_cut_between_epochs_counts() -> None:
    planner = ClipPlanner(LENGTHS, 640)
    for at_samples in (5000, 9000, 7000):
        planner.clear(at_samples)
    assert planner.cut_between(0, 3) == 5000
    assert planner.cut_between(1, 3) == 7000
    assert planner.cut_between(1, 2) == 9000
    assert planner.cut_between(3, 3) is None


def test_only_the_last_cuts_are_kept() -> None:
    planner = ClipPlanner(LENGTHS, 640)
    for number in range(CUTS_KEPT + 10):
        planner.clear(number)
    newest = planner.epoch
    assert newest == CUTS_KEPT + 10
    assert planner.cut_between(newest - 1, newest) == CUTS_KEPT + 9
    assert planner.cut_between(20, newest) == 20
    assert planner.cut_between(0, newest) == 10
    assert planner.cut_between(newest, newest) is None


def test_labels_are_per_frame() -> None:
    planner = ClipPlanner((1, 4), 640)
    planner.plan(5, finished=False, state_of=_speaking)
    plan = planner.plan(
        5, finished=False, state_of=lambda k: AvatarState.IDLE if k < 3 else AvatarState.SPEAKING
    )
    assert plan is not None
    assert plan.states.dtype == np.int64
    assert plan.states.tolist() == [2, 2, 0, 0]


def _plan(first: int, length: int) -> ClipPlan:
    return ClipPlan(first, length, np.zeros(length, np.int64), 0)


def _latents(first: int, length: int) -> np.ndarray:
    return np.arange(first, first + length, dtype=np.float32).reshape(-1, 1, 1, 1)


def _history(every: int | None = None, lags: tuple[int, ...] = (4, 3, 2, 1)) -> LatentHistory:
    history = LatentHistory(np.full((1, 1, 1, 1), -1.0, np.float32), lags, every)
    history.store(0, _latents(0, 10))
    return history


def test_motion_frames_start_with_the_reference() -> None:
    motion = _history().motion_frames(_plan(2, 8))
    assert motion.shape == (1, 4, 1, 1, 1)
    assert motion.ravel().tolist() == [-1, -1, 0, 1]


def test_motion_frames_lie_lags_before_the_clip() -> None:
    motion = _history(lags=(8, 4, 2, 1)).motion_frames(_plan(9, 1))
    assert motion.ravel().tolist() == [1, 5, 7, 8]


def test_cut_forgets_what_follows() -> None:
    history = _history()
    history.cut(6)
    assert history.motion_frames(_plan(6, 1)).ravel().tolist() == [2, 3, 4, 5]
    assert history.at(6).ravel().tolist() == [-1]


def test_the_oldest_are_let_go() -> None:
    history = _history()
    history.store(HISTORY_FRAMES + 5, _latents(0, 1))
    assert history.at(4).ravel().tolist() == [-1]
    assert history.at(5).ravel().tolist() == [5]


@pytest.mark.parametrize(("first", "length", "anchored"), [(8, 1, True), (7, 2, True), (7, 1, False)])
def test_reanchoring_replaces_the_oldest_once_in_so_many_frames(
    first: int, length: int, anchored: bool
) -> None:
    motion = _history(every=8).motion_frames(_plan(first, length)).ravel().tolist()
    assert motion == [-1.0 if anchored else first - 4.0, first - 3, first - 2, first - 1]

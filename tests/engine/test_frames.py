from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.frames import Pacer, Retimer

Float = npt.NDArray[np.float32]
Shown = list[tuple[int, int, float]]


def _take(retimer: Retimer, first: int, length: int) -> Shown:
    """A clip whose latents are their frame's index."""
    latents = np.arange(first, first + length, dtype=np.float32).reshape(-1, 1)
    taken = retimer.take(np.array([first - 1], np.float32), latents, first)
    return [(pts, index, float(latent[0])) for pts, index, latent in taken]


def test_the_models_own_rate_passes_untouched() -> None:
    latents = np.random.default_rng(0).standard_normal((3, 21, 1, 1)).astype(np.float32)
    taken = Retimer(25, 25).take(latents[0], latents, 0)
    assert [pts for pts, _, _ in taken] == [0, 640, 1280]
    for index, (_, which, latent) in enumerate(taken):
        assert which == index
        assert np.shares_memory(latent, latents[index])


@pytest.mark.parametrize("fps", [10, 24, 30, 50, 60])
@pytest.mark.parametrize("lengths", [[1, 2, 4, 8, 8, 8, 8], [1] * 39, [39]])
def test_other_rates_lie_on_a_line_between_model_frames(fps: int, lengths: list[int]) -> None:
    retimer, first, shown = Retimer(25, fps), 0, []
    for length in lengths:
        shown += _take(retimer, first, length)
        first += length
    assert [pts for pts, _, _ in shown] == [round(n * 16_000 / fps) for n in range(len(shown))]
    np.testing.assert_allclose(
        [value for _, _, value in shown], np.arange(len(shown)) * 25 / fps, rtol=1e-5, atol=1e-6
    )
    assert len(shown) == 38 * fps // 25 + 1
    held = retimer.hold(39 * 640)
    assert [pts for pts, _, _ in shown][-1] < held[0] if held else True
    assert len(shown) + len(held) == -(-39 * fps // 25)


def test_a_barge_in_makes_the_frames_from_there_again() -> None:
    retimer = Retimer(25, 50)
    first_time = _take(retimer, 0, 8)
    retimer.rewind(1601)  # between output frames 5 (1600) and 6 (1920)
    again = _take(retimer, 3, 5)
    assert [pts for pts, _, _ in again] == list(range(1920, 4481, 320))
    assert again == first_time_from(first_time, 1920, first_frame=3)
    retimer.rewind(10**6)
    assert _take(retimer, 8, 1)[0][0] == 4800


def first_time_from(shown: Shown, pts: int, *, first_frame: int) -> Shown:
    return [(p, index - first_frame, value) for p, index, value in shown if p >= pts]


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


def test_pacer_sleeps_until_due_and_never_creeps() -> None:
    clock = _Clock()
    pacer = Pacer(clock=clock, sleep=clock.sleep)
    pacer.start(in_ms=50.0)
    for k in range(1000):
        assert pacer.wait(k * 640)
        clock.now_s += 0.013  # what showing it takes
    assert clock.now_s == pytest.approx(100.0 + 0.05 + 999 * 0.04 + 0.013)
    assert pacer.now_samples() == pytest.approx(999 * 640 + 208, abs=1)


def test_pacer_skips_what_is_late() -> None:
    clock = _Clock()
    pacer = Pacer(late_ms=80.0, clock=clock, sleep=clock.sleep)
    pacer.start(6400)
    clock.now_s += 0.1
    assert not pacer.wait(6400)
    assert pacer.wait(6400 + 640)
    assert clock.slept_s == []
    assert pacer.wait(6400 + 1920)
    assert clock.slept_s == [pytest.approx(0.02)]

from __future__ import annotations

import numpy as np
import pytest

from engine.sampling import add_noise, alpha_sigma, sample_consistency


def test_ends_of_the_schedule() -> None:
    assert alpha_sigma(0.0) == (1.0, 0.0)
    assert alpha_sigma(1.0) == pytest.approx((0.0, 1.0))
    alpha, sigma = alpha_sigma(0.3)
    assert alpha**2 + sigma**2 == pytest.approx(1.0)


def test_noise_starts_each_step_and_the_last_x0_is_the_result() -> None:
    seen: list[tuple[float, float]] = []

    def denoiser(x: np.ndarray, timestep: float) -> np.ndarray:
        seen.append((float(x[0]), timestep))
        return np.full(1, 10.0 * len(seen))

    x0 = sample_consistency(denoiser, lambda step: np.full(1, 2.0 + step), (1.0, 0.5))
    alpha, sigma = alpha_sigma(0.5)
    assert seen == [(2.0, 1.0), (pytest.approx(alpha * 10.0 + sigma * 3.0), 0.5)]
    assert x0[0] == 20.0


def test_dtype_is_kept() -> None:
    x = np.ones(3, np.float32)
    assert add_noise(x, x, 0.5).dtype == np.float32

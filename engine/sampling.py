"""The noise schedule and the few-step consistency loop; operators only, so torch training shares it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi, sin
from typing import Any, TypeVar

X = TypeVar("X")
"""A numpy array or a torch tensor."""


def alpha_sigma(timestep: float) -> tuple[float, float]:
    """Weights of signal and noise at a timestep, 0 (clean) .. 1 (noise): cos, sin of t pi / 2."""
    return cos(timestep * pi / 2), sin(timestep * pi / 2)


def add_noise(x0: X, noise: X, timestep: float) -> X:
    """x_t = cos(t pi / 2) x0 + sin(t pi / 2) noise; unit variance stays unit variance (our choice)."""
    alpha, sigma = alpha_sigma(timestep)
    clean: Any = x0
    dirt: Any = noise
    result: X = alpha * clean + sigma * dirt
    return result


def sample_consistency(
    denoiser: Callable[[X, float], X], noise: Callable[[int], X], timesteps: Sequence[float]
) -> X:
    """Multistep consistency sampling (Song et al. 2023, arXiv 2303.01469, algorithm 1).

    Args:
        denoiser: (x, timestep) -> x0.
        noise: step number -> fresh noise of unit variance, shaped as x.
        timesteps: falling, the first one 1.0.

    Returns:
        x0 of the last step.
    """
    x0 = denoiser(noise(0), timesteps[0])
    for step, timestep in enumerate(timesteps[1:], start=1):
        x0 = denoiser(add_noise(x0, noise(step), timestep), timestep)
    return x0

from __future__ import annotations

import numpy as np

from engine.denoise import Denoiser
from engine.pipeline import Engine
from engine.types import ClipPlan


def _clip(
    engine: Engine, first: int, length: int, *, states: list[int] | None = None, seed: int = 1, steps: int = 2
) -> np.ndarray:
    denoiser = Denoiser(
        engine.graphs["denoiser"],
        engine.portrait().banks,
        engine.manifest.sampling_timesteps[steps],
        engine.manifest.noise_scale,
        seed,
    )
    plan = ClipPlan(first, length, np.array(states or [0] * length, np.int64), 0)
    audio_emb = np.full((length, 10, 128), 0.5, np.float32)
    return denoiser.generate(plan, audio_emb, np.full((1, 4, 21, 1, 1), 7.0, np.float32))


def test_conditions_arrive(engine: Engine) -> None:
    latents = _clip(engine, 0, 4, states=[0, 1, 2, 0])
    assert latents.shape == (4, 21, 1, 1)
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents[:, 0], 0.5)
    np.testing.assert_allclose(latents[:, 1, 0, 0], [0, 1, 2, 0])
    np.testing.assert_allclose(latents[:, 3], 7.0)


def test_noise_depends_on_seed_and_frame_only(engine: Engine) -> None:
    whole = _clip(engine, 3, 4)
    parts = np.concatenate([_clip(engine, 3, 1), _clip(engine, 4, 2), _clip(engine, 6, 1)])
    np.testing.assert_allclose(whole[:, 2], parts[:, 2], atol=1e-6)
    assert not np.allclose(whole[:, 2], _clip(engine, 3, 4, seed=2)[:, 2])
    assert not np.allclose(whole[0, 2], whole[1, 2])
    assert not np.allclose(whole[:, 2], _clip(engine, 3, 4, steps=1)[:, 2])

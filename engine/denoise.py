"""One clip of latents from audio, state and motion frames, with the few-step sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.runtime.session import GraphSession
from engine.sampling import sample_consistency
from engine.types import ClipPlan

Float = npt.NDArray[np.float32]


class Denoiser:
    """The contract `denoiser(x, timestep, **cond) -> x0` around a pack's graph, for one portrait."""

    def __init__(
        self,
        session: GraphSession,
        banks: Mapping[str, npt.NDArray[Any]],
        timesteps: Sequence[float],
        noise_scale: Sequence[Sequence[float]],
        seed: int,
    ) -> None:
        """Binds the graph to a portrait.

        Args:
            session: the pack's `denoiser`.
            banks: outputs of `reference` for this portrait.
            timesteps: the manifest's for the number of steps wanted.
            noise_scale: the manifest's, by state a factor for every latent number.
            seed: noise depends on it and on the frame's index only, never on how frames fell into clips.
        """
        self._session, self._banks = session, dict(banks)
        self._timesteps, self._seed = tuple(timesteps), seed
        self._latent_shape = tuple(int(n) for n in session.spec.outputs["x0"].shape[2:])
        self._noise_scale: Float = np.array(noise_scale, np.float32).reshape(-1, *self._latent_shape)

    def condition(self, banks: Mapping[str, npt.NDArray[Any]]) -> None:
        """Conditions the next clip on another reference."""
        self._banks = dict(banks)

    def _noise(self, plan: ClipPlan, step: int) -> Float:
        frames = range(plan.first_frame, plan.first_frame + plan.clip_length)
        noise: Float = np.stack(
            [
                np.random.default_rng((self._seed, k, step)).standard_normal(self._latent_shape, np.float32)
                for k in frames
            ]
        )
        scaled: Float = (self._noise_scale[plan.states] * noise)[None]
        return scaled

    def generate(self, plan: ClipPlan, audio_emb: Float, motion_frames: Float) -> Float:
        """Latents of a clip.

        Args:
            plan: the clip.
            audio_emb: float32 [F, 10, 128].
            motion_frames: float32 [1, M, C, h, w].

        Returns:
            float32 [F, C, h, w].
        """
        cond = {
            **self._banks,
            "audio_emb": audio_emb,
            "state": plan.states[None],
            "motion_frames": motion_frames,
        }

        made: dict[str, Float] = {}

        def denoiser(x: Float, timestep: float) -> Float:
            feeds = {**cond, "x": x, "timestep": np.array([timestep], np.float32)}
            made.update(self._session.run(feeds))
            return made["x0"]

        sample_consistency(denoiser, lambda step: self._noise(plan, step), self._timesteps)
        latents: Float = made["latents"][0]
        return latents

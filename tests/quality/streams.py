"""Streams of clips on held-out material, outside the pipeline's threads, so that one thing can be changed.

Plan, past, sampler and graphs are the engine's own; the sound goes through the pack's audio encoder and the
reference picture through its `reference`, whatever else generates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.audio import AudioRing
from engine.clips import ClipPlanner, LatentHistory
from engine.denoise import Denoiser
from engine.expression import LOWEST
from engine.pipeline import Engine
from engine.portrait import to_planes
from engine.runtime.manifest import REF_IMAGE_PX
from engine.runtime.session import GraphSession
from engine.steady import SteadyFilter
from engine.train.data.shards import open_folder, takes_of
from engine.train.evaluate import Sampler
from engine.train.models import denoiser as networks
from engine.train.models.autoencoder import working_size
from engine.train.models.config import ModelConfig
from engine.train.models.instruments import FaceLocator, face_mask
from engine.train.trainer import load_averaged
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState, ClipPlan
from tests.quality.hours import speech
from tests.quality.lips import TAIL_S
from tests.quality.lipsync import Phone

Float = npt.NDArray[np.float32]
Generate = Callable[[ClipPlan, Float, Float], Float]
"""Plan, audio_emb [F, K, D] and motion frames [1, M, C, 1, 1] to latents [F, C, 1, 1]."""
Make = Callable[["Scene"], Generate]
SEED = 1
LONGEST_CLIP = 16
"""Scenes have a multiple of so many frames: every clip length fits."""


@dataclass(frozen=True)
class Scene:
    """What a stream is generated from.

    Attributes:
        audio_emb: float32 [n, K, D].
        states: class labels, int64 [n].
        picture: float32 [1, 4, 384, 384], premultiplied: who performs.
        banks: outputs of `reference` for it.
        truth: float32 [n, 21], the controls of the performance; None where nobody knows.
        phones: what is said, of speech.
    """

    audio_emb: Float
    states: npt.NDArray[np.int64]
    picture: Float
    banks: Mapping[str, npt.NDArray[Any]]
    truth: Float | None = None
    phones: tuple[Phone, ...] = ()


@dataclass(frozen=True)
class Way:
    """How clips follow each other; the defaults are the engine's.

    Attributes:
        clip_lengths: see `ClipPlanner`; a single one is kept from the start.
        remembers: False: the past is always the reference's own latent, as if every clip were the first.
        motion_noise: deviation of noise on the motion frames, in deviations of a control.
        reanchor_every_frames: see `Manifest`.
    """

    clip_lengths: tuple[int, ...] = (1, 2, 4, 8)
    remembers: bool = True
    motion_noise: float = 0.0
    reanchor_every_frames: int | None = None


@dataclass(frozen=True)
class Stream:
    """Latents [n, C, 1, 1] and controls [n, 21]; first frame and cost of each clip."""

    latents: Float
    controls: Float
    starts: tuple[int, ...]
    clip_ms: tuple[float, ...]


def embedded(engine: Engine, samples: Float, first: int, frames: int) -> Float:
    """The audio encoder's tokens of some frames of a recording, float32 [frames, K, D]."""
    ring = AudioRing()
    ring.append(AudioChunk(samples, 0))
    ring.finished = True
    windows = ring.mel_windows(first, frames, engine.manifest.frame_samples)
    blocks = np.array_split(windows, -(-frames // 256))
    return np.concatenate(
        [engine.graphs["audio_encoder"].run({"mel_windows": block})["audio_emb"] for block in blocks]
    )


def default_avatar(engine: Engine) -> tuple[Float, Mapping[str, npt.NDArray[Any]]]:
    """Picture and banks of the pack's default avatar."""
    portrait = engine.portrait()
    return to_planes(portrait.view(REF_IMAGE_PX), premultiply=True), portrait.banks


def held_scenes(engine: Engine, runs: Path, limit: int) -> Iterator[Scene]:
    """Held-out people in held-out takes: the runs that `latents_held` holds, heard by this pack."""
    arrays: dict[str, Any] = open_folder(runs / "performances_held")
    takes = takes_of(runs / "corpus_held")
    frames = arrays["controls"].shape[1] // LONGEST_CLIP * LONGEST_CLIP
    for index in range(min(limit, len(arrays["take"]))):
        take, first = takes[int(arrays["take"][index])], int(arrays["first"][index])
        picture = arrays["ref"][index : index + 1].astype(np.float32) / 255.0
        yield Scene(
            embedded(engine, take.samples, first, frames),
            take.state[first : first + frames],
            picture,
            engine.graphs["reference"].run({"ref_image": picture}),
            truth=np.array(arrays["controls"][index, :frames]),
        )


def spoken_scenes(engine: Engine, recordings: list[tuple[Float, list[Phone]]]) -> Iterator[Scene]:
    """Recordings said by the pack's default avatar."""
    step = engine.manifest.frame_samples * LONGEST_CLIP
    for samples, phones in recordings:
        needed = len(samples) + round(TAIL_S * SAMPLE_RATE_HZ)
        frames = -(-needed // step) * LONGEST_CLIP
        states = np.full(frames, AvatarState.SPEAKING, np.int64)
        yield Scene(
            embedded(engine, samples, 0, frames), states, *default_avatar(engine), phones=tuple(phones)
        )


def long_scene(engine: Engine, minutes: float) -> Scene:
    """Sentences and pauses without end, as `tests.quality.hours` has them."""
    step = engine.manifest.frame_samples
    frames = round(minutes * 60.0 * SAMPLE_RATE_HZ / step) // LONGEST_CLIP * LONGEST_CLIP
    samples, states = np.zeros(frames * step, np.float32), np.full(frames * step, AvatarState.IDLE, np.int64)
    sound, at = speech(np.random.default_rng(0)), 0
    while at < len(samples):
        piece, name = next(sound)
        rest = samples[at : at + len(piece)]
        rest[:] = piece[: len(rest)]
        states[at : at + len(rest)] = AvatarState.SPEAKING if name else AvatarState.IDLE
        at += len(rest)
    return Scene(embedded(engine, samples, 0, frames), states[::step], *default_avatar(engine))


def of_pack(engine: Engine, steps: int = 2, session: GraphSession | None = None) -> Make:
    """The engine's sampler with its denoiser or another session of the same contract."""
    m = engine.manifest
    graph = engine.graphs["denoiser"] if session is None else session
    timesteps = m.sampling_timesteps[steps]
    return lambda scene: Denoiser(graph, scene.banks, timesteps, m.noise_scale, SEED).generate


class Trained:
    """A checkpoint's denoiser in PyTorch, and what shows it the picture."""

    def __init__(self, folder: Path, runs: Path, config: ModelConfig) -> None:
        """Loads `folder`'s denoiser; appearance and face locator are those of the stages under `runs`."""
        self.denoiser, self.appearance = networks.Denoiser(config), networks.AppearanceNet(config)
        self.locator = FaceLocator()
        load_averaged(folder, {"denoiser": self.denoiser})
        load_averaged(runs / "diffusion", {"appearance": self.appearance})
        load_averaged(runs / "locator", {"locator": self.locator})

    @torch.no_grad()
    def bank(self, picture: Float) -> torch.Tensor:
        """What the denoiser looks up in a picture."""
        small = working_size(torch.from_numpy(picture))
        face = face_mask(self.locator(small), networks.AppearanceNet.GRID)
        return self.denoiser.keys_values(self.appearance(small, face))


def of_network(trained: Trained, sampler: Sampler) -> Make:
    """A checkpoint's denoiser in PyTorch, with the same noise."""
    net = trained.denoiser

    def make(scene: Scene) -> Generate:
        bank, ref_latent = trained.bank(scene.picture), torch.from_numpy(scene.banks["ref_latent"])

        @torch.no_grad()
        def generate(plan: ClipPlan, audio_emb: Float, motion_frames: Float) -> Float:
            past, states = torch.from_numpy(motion_frames), torch.from_numpy(plan.states)[None]
            heard = torch.from_numpy(audio_emb)[None]

            def noise(step: int) -> torch.Tensor:
                shape, frames = past.shape[2:], range(plan.first_frame, plan.first_frame + plan.clip_length)
                rngs = [np.random.default_rng((SEED, frame, step)) for frame in frames]
                return torch.from_numpy(np.stack([r.standard_normal(shape, np.float32) for r in rngs]))[None]

            def denoiser(x: torch.Tensor, timestep: float) -> torch.Tensor:
                made: torch.Tensor = net(x, torch.tensor([timestep]), heard, states, past, bank, ref_latent)
                return made

            x0 = sampler(denoiser, noise, states)
            latents: Float = net.latents(x0, net.readings(heard), states, past)[0].numpy()
            return latents

        return generate

    return make


def stream(engine: Engine, scene: Scene, way: Way, make: Make) -> Stream:
    """Generates a scene clip by clip.

    Raises:
        EngineError: the graph refuses a clip.
    """
    m, generate, rng = engine.manifest, make(scene), np.random.default_rng(SEED)
    planner = ClipPlanner(way.clip_lengths, m.frame_samples, whole_clips=True)
    mean, std = (np.array(v, np.float32) for v in (m.control_mean, m.control_std))
    history = LatentHistory(scene.banks["ref_latent"], m.motion_lags, way.reanchor_every_frames)
    steady, shown = SteadyFilter(std, m.fps), [scene.banks["ref_latent"]] * 2
    frames, starts, clip_ms = len(scene.states), [], []

    def state_of(frame: int) -> AvatarState:
        return AvatarState(int(scene.states[frame]))

    while (plan := planner.plan(frames, finished=True, state_of=state_of)) is not None:
        motion_frames = history.motion_frames(plan)
        noise = rng.standard_normal(motion_frames.shape, np.float32)
        heard = scene.audio_emb[plan.first_frame : plan.first_frame + plan.clip_length]
        start_s = time.perf_counter()
        latents = generate(plan, heard, motion_frames + np.float32(way.motion_noise) * noise)
        clip_ms.append((time.perf_counter() - start_s) * 1000.0)
        if way.remembers:
            history.store(plan.first_frame, latents)
        past = np.concatenate(shown[-2:])[-2:]
        shown.append(steady.filter(latents, past[1], past[0]))
        starts.append(plan.first_frame)
    latents = np.concatenate(shown[2:])
    controls = (mean + std * latents.reshape(frames, -1)).clip(LOWEST, 1.0)
    return Stream(latents, controls, tuple(starts), tuple(clip_ms))

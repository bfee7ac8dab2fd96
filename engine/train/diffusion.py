"""Stage `diffusion`: the denoiser learns latent video, first with a fixed clip length, then a dynamic one.

x0-prediction with the cosine schedule x_t = cos(t pi/2) x0 + sin(t pi/2) noise. Beside the plain error on x0
there are losses on frame differences (plain x0 error shrinks slow motion and leaves jitter) and on the
controls that the autoencoder's probe reads off a latent (lips and lids matter more than their share of the
latent's variance). All of it is our choice; LLIA publishes none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.train.data.shards import open_folder
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.embedding import ControlEmbedding
from engine.train.models.layers import freeze_norms
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES

T = TypeVar("T", float, Tensor)

MAX_MOTION_NOISE = 0.05
"""Largest noise on motion frames, per latent number; 0.5 shrank slow motion to a third of the truth."""
START_SHARE = 0.05
"""Share of clips near the start of a stream: what lies before it is the reference's own latent."""
FRAMES_PER_BATCH = 96
NORM_SAMPLES = 10_000
"""Batch norms of the appearance net gather statistics until then."""
FIXED_SHARE = 0.3
"""Share of the schedule with the longest clip length only (LLIA: fixed early, then dynamic)."""
PROBE_WEIGHTS = {
    "jawOpen": 2.0, "mouthClose": 2.0, "mouthStretch": 1.0, "mouthPucker": 1.0, "mouthRollLower": 0.5,
    "eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0, "headYaw": 0.5, "headPitch": 0.5, "headRoll": 0.5,
}  # fmt: skip


def alpha(t: Tensor) -> Tensor:
    """Share of the clean latent at timestep t [B] -> [B, 1, 1, 1, 1]."""
    return torch.cos(t * (math.pi / 2)).view(-1, 1, 1, 1, 1)


def sigma(t: Tensor) -> Tensor:
    """Share of noise at timestep t [B] -> [B, 1, 1, 1, 1]."""
    return torch.sin(t * (math.pi / 2)).view(-1, 1, 1, 1, 1)


STUDENT_TIMESTEPS = {1: (1.0,), 2: (1.0, 0.85), 4: (1.0, 0.96, 0.85, 0.66)}
"""Where few-step sampling looks, by number of steps."""


def timestep_at(progress: T) -> T:
    """Timesteps by progress of sampling, 0 (all noise) .. 1: 1 falling to 0.4.

    The controls are spread over 12 times as many latent numbers, so their noise averages out: below 0.4 they
    are clear to see, and what sampling decides it decides close to 1.
    """
    return 1.0 - 0.6 * progress * progress


@dataclass
class Clip:
    """A batch of clips: x0 [B, F, C, h, w], last [B, C, h, w] before it, motion_frames [B, M, C, h, w]."""

    x0: Tensor
    last: Tensor
    audio_emb: Tensor
    state: Tensor
    motion_frames: Tensor
    picture: Tensor
    ref_latent: Tensor
    face: Tensor

    def cond(self, bank: Tensor) -> tuple[Tensor, ...]:
        """The denoiser's arguments after x and timestep; `bank` is the appearance of `picture`."""
        return (self.audio_emb, self.state, self.motion_frames, bank, self.ref_latent, self.face)


class LatentRuns:
    """Encoded performances; draws clips with the motion frames that precede them."""

    def __init__(self, folder: Path, config: ModelConfig, device: torch.device) -> None:
        self.arrays = {k: torch.from_numpy(np.array(v)) for k, v in open_folder(folder).items()}
        self.lags = torch.tensor(config.motion_lags)
        self.device = device
        self.runs, self.run_frames = self.arrays["z"].shape[:2]

    def clips(self, runs: Tensor, first: Tensor, length: int) -> Clip:
        """Clips that begin at frame `first` [B] of `runs` [B]."""

        def to(x: Tensor) -> Tensor:
            return x.to(self.device).float()

        index = first[:, None] + torch.arange(length)
        past = (first[:, None] - self.lags).clamp(min=0)
        a, pick = self.arrays, runs[:, None]
        motion = to(a["z"][pick, past])
        return Clip(
            x0=to(a["z"][pick, index]),
            last=to(a["z"][runs, (first - 1).clamp(min=0)]),
            audio_emb=to(a["audio_emb"][pick, index]),
            state=a["state"][pick, index].to(self.device).long(),
            motion_frames=motion,
            picture=to(a["picture"][runs]) / 255.0,
            ref_latent=to(a["ref_latent"][runs]),
            face=to(a["face"][runs]),
        )

    def draw(self, batch: int, length: int) -> Clip:
        """Random clips; motion frames a little noised, so that errors of a stream do not build up."""
        runs = torch.randint(0, self.runs, (batch,))
        first = torch.randint(int(self.lags.max()), self.run_frames - length + 1, (batch,))
        clip = self.clips(runs, first, length)
        level = torch.rand(batch, 1, 1, 1, 1, device=self.device) * MAX_MOTION_NOISE
        motion = clip.motion_frames + level * torch.randn_like(clip.motion_frames)
        # Frames since the stream began; a motion frame from before that is the reference's own latent.
        young = torch.rand(batch, 1, device=self.device) < START_SHARE
        age = torch.randint(0, int(self.lags.max()), (batch, 1), device=self.device)
        before = (young & (self.lags.to(self.device) > age))[:, :, None, None, None]
        clip.motion_frames = torch.where(before, clip.ref_latent[:, None].expand_as(motion), motion)
        return clip


class ClipLosses(nn.Module):
    """Compares generated latents with the truth: x0, frame differences, probed controls."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = ControlEmbedding(config.latent)
        weights = [PROBE_WEIGHTS.get(n, 0.1) for n in CONTROL_NAMES]
        self.register_buffer("weights", torch.tensor(weights))
        self.weights: Tensor

    def forward(self, x0: Tensor, truth: Tensor, last: Tensor) -> dict[str, Tensor]:
        """x0 and truth [B, F, C, h, w]; last [B, C, h, w] is the clean frame before the clip."""
        change = torch.diff(torch.cat([last[:, None], x0], dim=1), dim=1)
        true_change = torch.diff(torch.cat([last[:, None], truth], dim=1), dim=1)
        made, wanted = self.embedding.controls(x0), self.embedding.controls(truth)
        return {
            "x0": (x0 - truth).pow(2).mean(),
            "change": 0.5 * (change - true_change).pow(2).mean(),
            "controls": 6.0 * ((made - wanted).pow(2) * self.weights).mean(),
        }


def clip_length(config: ModelConfig, progress: float, rng: np.random.Generator) -> int:
    """The longest length early on, then any of the configuration's."""
    if progress < FIXED_SHARE:
        return max(config.clip_lengths)
    return int(rng.choice(config.clip_lengths, p=_length_shares(config)))


def _length_shares(config: ModelConfig) -> npt.NDArray[np.float64]:
    weights = np.sqrt(np.array(config.clip_lengths, dtype=float))
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares


def train(data: Path, folder: Path, config: ModelConfig, schedule: Schedule, device: torch.device) -> None:
    """Runs the stage on encoded performances."""
    torch.manual_seed(0)
    score = ClipLosses(config).to(device)
    clips = LatentRuns(data, config, device)
    net, appearance = Denoiser(config).to(device), AppearanceNet(config).to(device)
    trainer = Trainer(folder, {"denoiser": net, "appearance": appearance}, schedule, device=device)
    rng = np.random.default_rng(trainer.samples)
    torch.manual_seed(trainer.samples)
    for done in trainer:
        if done >= NORM_SAMPLES:
            freeze_norms(appearance)
        length = clip_length(config, done / schedule.samples, rng)
        batch = max(1, FRAMES_PER_BATCH // (length + config.motion_frames))
        clip = clips.draw(batch, length)
        t = timestep_at(torch.rand(batch, device=device))
        x = alpha(t) * clip.x0 + sigma(t) * torch.randn_like(clip.x0)
        with torch.autocast(device.type, torch.bfloat16):
            x0 = net(x, t, *clip.cond(appearance(clip.picture)))
        trainer.step(score(x0.float(), clip.x0, clip.last), batch)

"""Stage `diffusion`: the denoiser learns latent video, first with a fixed clip length, then a dynamic one.

x0-prediction with the cosine schedule x_t = cos(t pi/2) x0 + sin(t pi/2) noise, on the innovations of the
motion prior. Beside the plain error on them there are losses on the latents they make, where lips weigh
most, and on frame differences. All of it is our choice; LLIA publishes none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.train.data.shards import open_folder
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser, MotionPrior
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer, load_averaged
from engine.types import CONTROL_NAMES, AvatarState

MAX_MOTION_NOISE = 0.01
"""Largest noise on motion frames, in deviations of a control."""
START_SHARE = 0.05
"""Share of clips near the start of a stream: what lies before it is the reference's own latent."""
FRAMES_PER_BATCH = 1024
PRIOR_CLIPS = 10_000
NORM_SAMPLES = 10_000
"""Batch norms of the appearance net gather statistics until then."""
FIXED_SHARE = 0.3
"""Share of the schedule with the longest clip length only (LLIA: fixed early, then dynamic)."""
LATENT_WEIGHTS = {
    "jawOpen": 1.0, "mouthClose": 1.0, "mouthStretch": 1.0, "mouthPucker": 1.0, "mouthRollLower": 1.0,
    "headPitch": 2.0, "eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0,
}  # fmt: skip
"""What the error of a latent number costs, 0.3 for the others: a nod is an answer to what is heard, and lips
that speak are told by the sound anyway (`Denoiser.latents`)."""
LISTENING_SHARE = 0.5
"""Least share of clips that begin in the listening state: performances have 0.14, too few to learn nods."""


def alpha(t: Tensor) -> Tensor:
    """Share of the clean latent at timestep t [B] -> [B, 1, 1, 1, 1]."""
    return torch.cos(t * (math.pi / 2)).view(-1, 1, 1, 1, 1)


def sigma(t: Tensor) -> Tensor:
    """Share of noise at timestep t [B] -> [B, 1, 1, 1, 1]."""
    return torch.sin(t * (math.pi / 2)).view(-1, 1, 1, 1, 1)


STUDENT_TIMESTEPS = {1: (1.0,), 2: (1.0, 0.5), 4: (1.0, 0.75, 0.5, 0.25)}
"""Where few-step sampling looks, by number of steps."""


NOISE_SCALES = {
    "headYaw": 1.8, "headPitch": 1.5, "headRoll": 2.0, "headShift": 1.8, "breath": 1.5,
    "browInnerUp": 1.3, "browOuterUp": 1.3, "eyeBlinkLeft": 1.15, "eyeBlinkRight": 1.15,
}  # fmt: skip
GAZE_SCALES = {AvatarState.SPEAKING: 1.35, AvatarState.LISTENING: 0.65, AvatarState.IDLE: 1.05}
"""Of both directions of the eyes: few steps do not tell a listener, who looks at whoever speaks, from a
speaker, who looks away (chosen so that all do as often as in the performances, `tests.quality.life`)."""


def _temperature(state: AvatarState) -> tuple[float, ...]:
    scales = {**NOISE_SCALES, "eyeLookX": GAZE_SCALES[state], "eyeLookY": GAZE_SCALES[state]}
    return tuple(scales.get(name, 1.0) for name in CONTROL_NAMES)


NOISE_SCALE = tuple(_temperature(state) for state in AvatarState)
"""Sampling temperature of the student by state: few steps leave slow motion too calm and blinks too few
(chosen on held-out performances, `tests.quality.ablations clips`)."""


@dataclass
class Clip:
    """A batch of clips: x0 [B, F, C, 1, 1], last [B, C, 1, 1] before it, motion_frames [B, M, C, 1, 1]."""

    x0: Tensor
    last: Tensor
    audio_emb: Tensor
    state: Tensor
    motion_frames: Tensor
    picture: Tensor
    ref_latent: Tensor
    face: Tensor

    def repeated(self, times: int) -> Clip:
        """The batch over and over."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return Clip(**{k: v.repeat(times, *(1,) * (v.dim() - 1)) for k, v in parts.items()})

    def cond(self, bank: Tensor) -> tuple[Tensor, ...]:
        """The denoiser's arguments after x and timestep; `bank`: its `keys_values` of the `picture`."""
        return (self.audio_emb, self.state, self.motion_frames, bank, self.ref_latent)


class LatentRuns:
    """Encoded performances; draws clips with the motion frames that precede them."""

    def __init__(self, folder: Path, config: ModelConfig, device: torch.device) -> None:
        self.arrays = {k: torch.from_numpy(np.array(v)) for k, v in open_folder(folder).items()}
        self.lags = torch.tensor(config.motion_lags)
        self.device = device
        self.runs, self.run_frames = self.arrays["z"].shape[:2]
        begin, end = int(self.lags.max()), self.run_frames - max(config.clip_lengths) + 1
        listening = self.arrays["state"][:, begin:end] == int(AvatarState.LISTENING)
        self.listening = torch.nonzero(listening) + torch.tensor([0, begin])

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
        if len(self.listening):
            chosen = self.listening[torch.randint(0, len(self.listening), (batch,))]
            listens = torch.rand(batch) < LISTENING_SHARE
            runs, first = (torch.where(listens, a, b) for a, b in zip(chosen.T, (runs, first), strict=True))
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
    """Compares generated clips with the truth: innovations, latents and their frame differences."""

    def __init__(self) -> None:
        super().__init__()
        weights = [LATENT_WEIGHTS.get(n, 0.3) for n in CONTROL_NAMES]
        self.register_buffer("weights", torch.tensor(weights)[:, None, None])
        self.weights: Tensor

    def forward(self, prior: MotionPrior, made: Tensor, truth: Tensor, clip: Clip) -> dict[str, Tensor]:
        """Made and truth: innovations [B, F, C, 1, 1] of a clip."""
        z, z_true = (prior.latents(w, clip.motion_frames) for w in (made, truth))
        change, true_change = (
            torch.diff(torch.cat([clip.last[:, None], x], dim=1), dim=1) for x in (z, z_true)
        )
        return {
            "innovations": 0.3 * (made - truth).pow(2).mean(),
            "latents": (self.weights * (z - z_true).pow(2)).mean(),
            "change": (change - true_change).pow(2).mean(),
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


@torch.no_grad()
def fit_prior(prior: MotionPrior, clips: LatentRuns, config: ModelConfig) -> None:
    """Fits the motion prior to many random clips."""
    drawn = (clips.draw(1000, max(config.clip_lengths)) for _ in range(PRIOR_CLIPS // 1000))
    pairs = [(clip.x0, clip.motion_frames) for clip in drawn]
    prior.fit(torch.cat([x0 for x0, _ in pairs]), torch.cat([past for _, past in pairs]))


def train(
    data: Path, runs: Path, folder: Path, config: ModelConfig, schedule: Schedule, device: torch.device
) -> None:
    """Runs the stage on encoded performances."""
    torch.manual_seed(0)
    score = ClipLosses().to(device)
    clips = LatentRuns(data, config, device)
    net, appearance = Denoiser(config).to(device), AppearanceNet(config).to(device)
    load_averaged(runs / "audio", {"mouth": net.mouth, "phones": net.phones})
    fit_prior(net.prior, clips, config)
    trainer = Trainer(folder, {"denoiser": net, "appearance": appearance}, schedule, device=device)
    rng = np.random.default_rng(trainer.samples)
    torch.manual_seed(trainer.samples)
    for done in trainer:
        if done >= NORM_SAMPLES:
            freeze_norms(appearance)
        length = clip_length(config, done / schedule.samples, rng)
        batch = max(1, FRAMES_PER_BATCH // (length + config.motion_frames))
        clip = clips.draw(batch, length)
        truth = net.prior.innovations(clip.x0, clip.motion_frames)
        # Much noise more often than little: there the sound decides, and sampling begins.
        t = torch.rand(batch, device=device).sqrt()
        x = alpha(t) * truth + sigma(t) * torch.randn_like(truth)
        with half_precision(device):
            bank = net.keys_values(appearance(clip.picture, clip.face))
            made = net(x, t, *clip.cond(bank))
        trainer.step(score(net.prior, made.float(), truth, clip), batch)

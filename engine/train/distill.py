"""Stage `distill`: the denoiser becomes a consistency model of few steps, with a discriminator.

A consistency model gives the end of the teacher's trajectory from any point of it (Song et al. 2023,
arXiv 2303.01469, section 3). Latents are small, so whole trajectories of the teacher are sampled and their
ends are the targets themselves, without the bootstrapping of consistency distillation (algorithm 2), which
needs many more steps until the end is known at the start. Of the lips the truth is the target. Clips of
every length are as frequent: a microphone's are of one frame, and hardest. The discriminator (hinge loss)
works on latents with their audio, as LLIA trains with one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.train.audio import MOUTH
from engine.train.diffusion import (
    FRAMES_PER_BATCH,
    Clip,
    ClipLosses,
    LatentRuns,
    alpha,
    sigma,
)
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser, LatentDiscriminator
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer, load_averaged

TEACHER_STEPS = 12
POINTS = 4
"""Points of each trajectory that the student answers from; the first of them is pure noise."""
ADVERSARIAL_WEIGHT = 0.03


def _window(clip: Clip, x0: Tensor) -> Tensor:
    """The frame before the clip and the clip: what the discriminator looks at."""
    return torch.cat([clip.last[:, None], x0], dim=1)


def _judge(net: LatentDiscriminator, clip: Clip, x0: Tensor) -> Tensor:
    audio = torch.cat([clip.audio_emb[:, :1], clip.audio_emb], dim=1)
    state = torch.cat([clip.state[:, :1], clip.state], dim=1)
    scores: Tensor = net(_window(clip, x0), audio, state, clip.ref_latent)
    return scores


def trajectory(teacher: Denoiser, clip: Clip, bank: Tensor) -> tuple[list[Tensor], Tensor]:
    """The teacher's way from noise, TEACHER_STEPS points of it, and its end (DDIM, eta 0)."""
    x, points = torch.randn_like(clip.x0), []
    batch = len(x)
    for i in range(TEACHER_STEPS):
        points.append(x)
        t, u = (torch.full((batch,), 1.0 - k / TEACHER_STEPS, device=x.device) for k in (i, i + 1))
        x0 = teacher(x, t, *clip.cond(bank)).float()
        x = alpha(u) * x0 + sigma(u) * (x - alpha(t) * x0) / sigma(t)
    return points, x


def repeated(x: Tensor, times: int) -> Tensor:
    """The batch over and over."""
    return x.repeat(times, *(1,) * (x.dim() - 1))


def train(
    data: Path,
    runs: Path,
    folder: Path,
    config: ModelConfig,
    schedule: Schedule,
    device: torch.device,
    adversarial: bool,
) -> None:
    """Runs the stage; the teacher is the averaged denoiser of stage `diffusion`."""
    torch.manual_seed(0)
    teacher, student = Denoiser(config).to(device), Denoiser(config).to(device)
    appearance = AppearanceNet(config).to(device)
    load_averaged(runs / "diffusion", {"denoiser": teacher, "appearance": appearance})
    student.load_state_dict(teacher.state_dict())
    for told in (student.mouth, student.phones):
        told.eval().requires_grad_(False)
    prior = teacher.prior
    critic = LatentDiscriminator(config).to(device)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), 3e-4, betas=(0.5, 0.98))
    score = ClipLosses().to(device)
    clips = LatentRuns(data, config, device)
    trainer = Trainer(
        folder,
        {"denoiser": student},
        schedule,
        device=device,
        companions={"critic": critic, "critic_optimizer": critic_optimizer},
    )
    rng = np.random.default_rng(trainer.samples)
    torch.manual_seed(trainer.samples)
    for done in trainer:
        length = int(rng.choice(config.clip_lengths))
        batch = max(1, FRAMES_PER_BATCH // (length + config.motion_frames) // POINTS)
        clip = clips.draw(batch, length)
        with half_precision(device):
            with torch.no_grad():
                seen = appearance(clip.picture, clip.face)
                points, wanted = trajectory(teacher, clip, teacher.keys_values(seen))
                # Lips are told the truth: one sample of the teacher's lips is further from it than the mean.
                wanted[:, :, MOUTH] = prior.innovations(clip.x0, clip.motion_frames)[:, :, MOUTH]
            chosen = [0, *rng.choice(np.arange(1, TEACHER_STEPS), POINTS - 1, replace=False)]
            x = torch.cat([points[i] for i in chosen])
            t = torch.cat([torch.full((batch,), 1.0 - i / TEACHER_STEPS, device=device) for i in chosen])
            clip, wanted = clip.repeated(POINTS), repeated(wanted, POINTS)
            x0 = student(x, t, *clip.cond(repeated(student.keys_values(seen), POINTS))).float()
        losses = score(prior, x0, wanted, clip)
        if adversarial:
            critic.requires_grad_(True)
            made = prior.latents(x0, clip.motion_frames)
            real, fake = _judge(critic, clip, clip.x0), _judge(critic, clip, made.detach())
            critic_loss = torch.relu(1.0 - real).mean() + torch.relu(1.0 + fake).mean()
            critic_optimizer.zero_grad(set_to_none=True)
            critic_loss.backward()
            critic_optimizer.step()
            critic.requires_grad_(False)
            ramp = min(1.0, done / (0.2 * schedule.samples))
            losses["critic"] = -ADVERSARIAL_WEIGHT * ramp * _judge(critic, clip, made).mean()
        trainer.step(losses, batch)

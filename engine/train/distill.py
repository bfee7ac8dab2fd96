"""Stage `distill`: consistency training of the denoiser to few steps, with a discriminator.

Consistency distillation (Song et al. 2023, arXiv 2303.01469, algorithm 2): along one DDIM step of the
teacher the student's answer must stay the same as the averaged student's (the target). x0 at timestep 0 is
its own answer (the boundary condition), so c_skip and c_out are not needed: the network already adds
cos(t pi/2) x. The discriminator (hinge loss) works on latents with their audio, as LLIA trains with one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.train.diffusion import (
    FRAMES_PER_BATCH,
    Clip,
    ClipLosses,
    LatentRuns,
    alpha,
    clip_length,
    sigma,
)
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser, LatentDiscriminator
from engine.train.trainer import Schedule, Trainer, load_averaged

TEACHER_STEPS = 10
ADVERSARIAL_WEIGHT = 0.03


def _window(clip: Clip, x0: Tensor) -> Tensor:
    """The frame before the clip and the clip: what the discriminator looks at."""
    return torch.cat([clip.last[:, None], x0], dim=1)


def _judge(net: LatentDiscriminator, clip: Clip, x0: Tensor) -> Tensor:
    audio = torch.cat([clip.audio_emb[:, :1], clip.audio_emb], dim=1)
    state = torch.cat([clip.state[:, :1], clip.state], dim=1)
    scores: Tensor = net(_window(clip, x0), audio, state, clip.ref_latent)
    return scores


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
    target = trainer.averaged["denoiser"]
    rng = np.random.default_rng(trainer.samples)
    torch.manual_seed(trainer.samples)
    for done in trainer:
        length = clip_length(config, 1.0, rng)
        batch = max(1, FRAMES_PER_BATCH // (length + config.motion_frames))
        clip = clips.draw(batch, length)
        step = torch.randint(1, TEACHER_STEPS + 1, (batch,), device=device)
        # Step TEACHER_STEPS starts from noise, step 1 ends at the clean latent.
        t, u = step / TEACHER_STEPS, (step - 1) / TEACHER_STEPS
        truth = prior.innovations(clip.x0, clip.motion_frames)
        x = alpha(t) * truth + sigma(t) * torch.randn_like(truth)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                bank = appearance(clip.picture, clip.face)
                x0_teacher = teacher(x, t, *clip.cond(bank)).float()
                noise = (x - alpha(t) * x0_teacher) / sigma(t)
                earlier = alpha(u) * x0_teacher + sigma(u) * noise
                wanted = target(earlier, u, *clip.cond(bank)).float()
                wanted = torch.where((step == 1).view(-1, 1, 1, 1, 1), x0_teacher, wanted)
            x0 = student(x, t, *clip.cond(bank)).float()
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

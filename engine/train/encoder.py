"""Stage `encoder`: teaches the frame encoder what moves in a face, before a pixel is drawn from its latents.

The studio knows every control of a frame. Told directly, the encoder learns gaze, lids and lips in minutes;
taught through the decoder's pixels alone it finds the head's pose and little else for an hour (measured:
after 19 thousand samples of stage `autoencoder` smile and gaze correlated with the truth by 0.01).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.train.autoencoder import Pairs
from engine.train.instruments import entries_of
from engine.train.models.autoencoder import Autoencoder
from engine.train.models.config import ModelConfig
from engine.train.models.layers import freeze_norms
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES

BATCH = 64
NORM_SAMPLES = 20_000
"""Batch norms gather statistics until then."""
CONTROL_STD = (
    0.29, 0.32, 0.23, 0.22, 0.22, 0.19, 0.25, 0.20, 0.20, 0.22, 0.18, 0.23, 0.23, 0.18, 0.37, 0.34, 0.34,
    0.33, 0.34, 0.33, 0.57,
)  # fmt: skip
"""Of each control over the rendered pairs: errors are counted in these, so that small movements matter."""


def control_loss(made: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of controls [B, 21] in units of their standard deviations."""
    return ((made - truth) / made.new_tensor(CONTROL_STD)).pow(2).mean()


def unit_variance_loss(z: Tensor) -> Tensor:
    """Keeps latents [B, C, h, w] at mean 0 and variance 1 per channel, for the diffusion to come."""
    per_channel = z.transpose(0, 1).flatten(1)
    return per_channel.mean(1).pow(2).mean() + (per_channel.var(1) - 1.0).pow(2).mean()


def train(
    data: Path, held: Path, folder: Path, config: ModelConfig, schedule: Schedule, device: torch.device
) -> None:
    """Runs the stage; figures are correlations with the truth on held-out identities."""
    torch.manual_seed(0)
    whole = Autoencoder(config, len(CONTROL_NAMES)).to(device)
    encoder, head = whole.encoder.to(memory_format=torch.channels_last), whole.controls  # type: ignore[call-overload]
    names = ("frame", "controls", "ref_small")
    pairs, test = Pairs(data, device, *names), Pairs(held, device, *names)

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        batch = entries_of(test, 256, np.random.default_rng(0))
        a = networks["controls"](networks["encoder"](batch["frame"], batch["ref_small"]))
        a, b = a - a.mean(0), batch["controls"] - batch["controls"].mean(0)
        r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
        return {f"r_{n}": v.item() for n, v in zip(CONTROL_NAMES, r, strict=True)}

    trainer = Trainer(
        folder, {"encoder": encoder, "controls": head}, schedule, device=device, on_checkpoint=evaluate
    )
    rng = np.random.default_rng(trainer.samples)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(encoder)
        batch = entries_of(pairs, BATCH, rng)
        with torch.autocast(device.type, torch.bfloat16):
            z = encoder(batch["frame"], batch["ref_small"])
            made = head(z + 0.1 * torch.randn_like(z))
        losses = {
            "controls": control_loss(made.float(), batch["controls"]),
            "unit": 0.02 * unit_variance_loss(z.float()),
        }
        trainer.step(losses, BATCH)

"""Stage `encoder`: the frame encoder learns to read a frame's latent off its pixels.

The latent is the embedding of the studio's controls, so the encoder is told the answer. (Taught through the
decoder's pixels alone it found the head's pose and little else: after 19 thousand samples smile and gaze
correlated with the truth by 0.01.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.train.autoencoder import Pairs
from engine.train.data.performance import Take
from engine.train.data.shards import HELD_OUT_SEED, POSE, reference_for, takes_of
from engine.train.data.studio import FULL, Studio, neutral_controls, random_controls
from engine.train.instruments import entries_of
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import FrameEncoder
from engine.train.models.config import ModelConfig
from engine.train.models.embedding import ControlEmbedding
from engine.train.models.layers import freeze_norms
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES

BATCH = 64
NORM_SAMPLES = 20_000
"""Batch norms gather statistics until then."""


class LiveFrames:
    """Frames drawn while the encoder learns: ten thousand rendered ones were soon known by heart (measured).

    Args:
        takes: performances whose frames are drawn beside random expressions.
        identities: how many people are painted.
        rng: of everything.
        device: where frames are drawn.
    """

    REFERENCES = 3

    def __init__(
        self, takes: list[Take], identities: int, rng: np.random.Generator, device: torch.device
    ) -> None:
        self.rng, self.device = rng, device
        self.controls = torch.from_numpy(np.concatenate([t.controls for t in takes])).float()
        seeds = rng.integers(0, HELD_OUT_SEED, identities).tolist()
        self.studio = Studio(seeds, texture_px=256, device=device)
        ids = torch.arange(identities).repeat(self.REFERENCES)
        still = [
            reference_for(takes[rng.integers(len(takes))], rng)
            if rng.random() < 0.5
            else neutral_controls(1, rng)
            for _ in ids
        ]
        refs = self.studio.render(ids, torch.from_numpy(np.concatenate(still)), FULL(geo.WORKING_PX))
        self.refs = (refs * 255.0 + 0.5).byte().unflatten(0, (self.REFERENCES, identities))

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Frame and reference [count, 4, 96, 96], premultiplied, and the frame's controls [count, 21]."""
        ids = torch.from_numpy(self.rng.integers(0, self.refs.shape[1], count))
        moves = torch.from_numpy(random_controls(count, self.rng)).float()
        calm = torch.from_numpy(self.rng.random(count) < 0.4)
        moves[:, POSE] = torch.where(calm[:, None], 0.3 * moves[:, POSE], moves[:, POSE])
        acted = torch.from_numpy(self.rng.random(count) < 0.5)
        index = torch.from_numpy(self.rng.integers(0, len(self.controls), count))
        moves = torch.where(acted[:, None], self.controls[index], moves).to(self.device)
        frame = self.studio.render(ids, moves, FULL(geo.WORKING_PX))
        ref = self.refs[torch.from_numpy(self.rng.integers(0, self.REFERENCES, count)), ids].float() / 255.0
        if self.rng.random() < 0.5:
            order = [*self.rng.permutation(3).tolist(), 3]
            frame, ref = frame[:, order], ref[:, order]
        return frame, ref, moves


def train(
    corpus: Path,
    held: Path,
    folder: Path,
    config: ModelConfig,
    schedule: Schedule,
    device: torch.device,
    identities: int,
) -> None:
    """Runs the stage; figures are correlations with the truth on held-out identities."""
    torch.manual_seed(0)
    encoder, embedding = FrameEncoder(config).to(device), ControlEmbedding(config.latent).to(device)
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch forgot to declare it
    test = Pairs(held, device, "frame", "controls", "ref_small")

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        batch = entries_of(test, min(256, test.entries * test.frames), np.random.default_rng(0))
        a = embedding.controls(networks["encoder"](batch["frame"], batch["ref_small"]))
        a, b = a - a.mean(0), batch["controls"] - batch["controls"].mean(0)
        r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
        return {f"r_{n}": v.item() for n, v in zip(CONTROL_NAMES, r, strict=True)}

    trainer = Trainer(folder, {"encoder": encoder}, schedule, device=device, on_checkpoint=evaluate)
    live = LiveFrames(takes_of(corpus), identities, np.random.default_rng(trainer.samples), device)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(encoder)
        frame, ref, controls = live.draw(BATCH)
        with torch.autocast(device.type, torch.bfloat16):
            z = encoder(frame, ref)
        trainer.step({"latent": (z.float() - embedding(controls)).pow(2).mean()}, BATCH)

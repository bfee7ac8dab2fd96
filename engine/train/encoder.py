"""Stage `encoder`: the frame encoder learns to read a frame's latent off its pixels.

The latent is the studio's controls, so the encoder is told the answer. (Taught through the decoder's pixels
alone it found the head's pose and little else: after 19 thousand samples smile and gaze correlated with the
truth by 0.01.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.data.performance import Take
from engine.train.data.shards import HELD_OUT_SEED, reference_for, takes_of, view_of
from engine.train.data.studio import FULL, Studio, View, neutral_controls, random_controls
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import EYES_REGION, MOUTH_REGION, POSE, FrameEncoder
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LatentSpace
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES

BATCH = 64
REFERENCES = 16
"""How many of a batch's references are read as well."""
NORM_SAMPLES = 20_000
"""Batch norms gather statistics until then."""
HELD_IDENTITIES = 24
Views = tuple[Tensor, Tensor, Tensor]


def _half_size(box: geo.Box) -> View:
    view = view_of(box)
    return View(view.left, view.top, view.right, view.bottom, box.width // 2, box.height // 2)


STUDIO_VIEWS = (FULL(geo.WORKING_PX), _half_size(MOUTH_REGION), _half_size(EYES_REGION))
"""What `models.autoencoder.views` cuts out of a whole picture, drawn straight away."""


class LiveFrames:
    """Frames drawn while the encoder learns: ten thousand rendered ones were soon known by heart (measured).

    Args:
        takes: performances whose frames are drawn beside random expressions.
        seeds: who is painted.
        rng: of everything.
        device: where frames are drawn.
    """

    REFERENCES = 3

    def __init__(
        self, takes: list[Take], seeds: list[int], rng: np.random.Generator, device: torch.device
    ) -> None:
        self.rng, self.device = rng, device
        self.controls = torch.from_numpy(np.concatenate([t.controls for t in takes])).float()
        self.studio = Studio(seeds, texture_px=256, device=device)
        ids = torch.arange(len(seeds)).repeat(self.REFERENCES)
        still = [
            reference_for(takes[rng.integers(len(takes))], rng)
            if rng.random() < 0.5
            else neutral_controls(1, rng)
            for _ in ids
        ]
        moves = torch.from_numpy(np.concatenate(still)).float()
        self.ref_controls = moves.unflatten(0, (self.REFERENCES, -1)).to(device)
        self.refs = [
            (view * 255.0 + 0.5).byte().unflatten(0, (self.REFERENCES, -1)) for view in self._draw(ids, moves)
        ]

    def _draw(self, ids: Tensor, controls: Tensor) -> Views:
        whole, mouth, eyes = (self.studio.render(ids, controls, view) for view in STUDIO_VIEWS)
        return whole, mouth[:, :3], eyes[:, :3]

    def draw(self, count: int) -> tuple[Views, Views, Tensor, Tensor]:
        """Views of frames and of their references, and the controls [count, 21] of both."""
        ids = torch.from_numpy(self.rng.integers(0, self.ref_controls.shape[1], count))
        moves = torch.from_numpy(random_controls(count, self.rng)).float()
        calm = torch.from_numpy(self.rng.random(count) < 0.4)
        moves[:, POSE] = torch.where(calm[:, None], 0.3 * moves[:, POSE], moves[:, POSE])
        acted = torch.from_numpy(self.rng.random(count) < 0.5)
        index = torch.from_numpy(self.rng.integers(0, len(self.controls), count))
        moves = torch.where(acted[:, None], self.controls[index], moves).to(self.device)
        which = torch.from_numpy(self.rng.integers(0, self.REFERENCES, count))
        still = self.ref_controls[which, ids]
        frame: list[Tensor] = list(self._draw(ids, moves))
        ref = [view[which, ids].float() / 255.0 for view in self.refs]
        if self.rng.random() < 0.5:
            order = self.rng.permutation(3).tolist()
            frame, ref = (
                [torch.cat([view[:, order], view[:, 3:]], dim=1) for view in side] for side in (frame, ref)
            )
        return (frame[0], frame[1], frame[2]), (ref[0], ref[1], ref[2]), moves, still


def train(
    corpus: Path,
    held: Path,
    folder: Path,
    config: ModelConfig,
    schedule: Schedule,
    device: torch.device,
    identities: int,
) -> None:
    """Runs the stage on the takes of `corpus`; figures are of people and takes (`held`) never trained on.

    The decoder moves a picture by the difference of two latents, so that difference is told as well: an error
    that frame and reference share does no harm.
    """
    torch.manual_seed(0)
    encoder, space = FrameEncoder(config).to(device), LatentSpace().to(device)
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch forgot to declare it
    strangers = list(range(HELD_OUT_SEED, HELD_OUT_SEED + HELD_IDENTITIES))
    test = LiveFrames(takes_of(held), strangers, np.random.default_rng(0), device).draw(256)

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        frame, ref, moves, still = test
        net = networks["encoder"]
        z, z_ref = net(frame, ref), net(ref, ref)
        wrong = z - z_ref - (space(moves) - space(still))
        a = space.controls(z)
        a, b = a - a.mean(0), moves - moves.mean(0)
        r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
        rms = wrong.flatten(1).pow(2).mean(0).sqrt()
        return {
            **{f"r_{n}": v.item() for n, v in zip(CONTROL_NAMES, r, strict=True)},
            **{f"error_{n}": v.item() for n, v in zip(CONTROL_NAMES, rms, strict=True)},
        }

    trainer = Trainer(folder, {"encoder": encoder}, schedule, device=device, on_checkpoint=evaluate)
    rng = np.random.default_rng(trainer.samples)
    seeds = rng.integers(0, HELD_OUT_SEED, identities).tolist()
    live = LiveFrames(takes_of(corpus), seeds, rng, device)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(encoder)
        frame, ref, moves, still = live.draw(BATCH)
        with half_precision(device):
            # The reference of itself, as the product asks for it, beside the frames.
            both = [torch.cat([f, r[:REFERENCES]]) for f, r in zip(frame, ref, strict=True)]
            refs = [torch.cat([r, r[:REFERENCES]]) for r in ref]
            z, z_ref = encoder(both, refs).float().split((BATCH, REFERENCES))
        truth, truth_ref = space(moves), space(still[:REFERENCES])
        losses = {
            "latent": F.mse_loss(z, truth) + 0.25 * F.mse_loss(z_ref, truth_ref),
            "difference": F.mse_loss(z[:REFERENCES] - z_ref, truth[:REFERENCES] - truth_ref),
        }
        trainer.step(losses, BATCH)

"""Stages `locator` and `reader`: the small networks that look at pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.autoencoder import Pairs
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import working_size
from engine.train.models.instruments import FaceLocator, Reader
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES

NORM_SAMPLES = 10_000
"""Batch norms gather statistics until then."""
READER_PX = 192
READER_REGION = geo.MOUTH.grow(geo.REGION_MARGIN_PX)
"""The reader sees the mouth at half of 384 px: there a gap of 0.15 is two and a half pixels."""


def entries_of(pairs: Pairs, count: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """A batch of `count` random entries, one random frame of each."""
    picked = rng.integers(0, pairs.entries, count)
    return pairs.batch(picked, rng.integers(0, pairs.frames, (count, 1)))


def shaken(image: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """Random framing, colours and backgrounds for the locator: [B, 4, 96, 96], [B, 7, 2] -> the same, moved.

    A point p of the source picture lands at q with p = s R q + d.
    """
    b, device = len(image), image.device

    def r(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device)

    scale = torch.exp((r(b) - 0.4) * 0.9)
    angle, move = (r(b) - 0.5) * 0.5, (r(b, 2) - 0.5) * 0.5
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    matrix = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    grid = F.affine_grid(torch.cat([matrix, move[:, :, None]], 2), list(image.shape), align_corners=False)
    moved = F.grid_sample(image, grid, align_corners=False)
    points = torch.linalg.solve(matrix, (landmarks - move[:, None]).transpose(1, 2)).transpose(1, 2)
    hue = torch.stack([torch.randperm(3, device=device) for _ in range(b)])
    rgb = moved[:, :3]
    rgb = torch.where(r(b, 1, 1, 1) < 0.3, torch.gather(rgb, 1, hue[:, :, None, None].expand_as(rgb)), rgb)
    rgb = torch.where(r(b, 1, 1, 1) < 0.1, rgb.mean(1, keepdim=True).expand_as(rgb), rgb)
    paper = F.interpolate(r(b, 3, 3, 3), moved.shape[-1], mode="bilinear", align_corners=False)
    opaque = (r(b, 1, 1, 1) < 0.6).float()
    rgb = (rgb + (1.0 - moved[:, 3:]) * paper * opaque) * (0.8 + 0.3 * r(b, 1, 1, 1))
    alpha = moved[:, 3:] + (1.0 - moved[:, 3:]) * opaque
    noise = 0.03 * r(b, 1, 1, 1) * torch.randn_like(rgb)
    return torch.cat([(rgb + noise).clamp(0, 1) * (alpha > 0), alpha], 1), points


def train_locator(data: Path, held: Path, folder: Path, schedule: Schedule, device: torch.device) -> None:
    """Landmarks of the studio's faces in any framing; the figure is the mean error in picture widths."""
    torch.manual_seed(0)
    net = FaceLocator().to(device)
    pairs, test = Pairs(data, device, "frame", "landmarks"), Pairs(held, device, "frame", "landmarks")

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        batch = entries_of(test, 256, np.random.default_rng(0))
        image, points = shaken(batch["frame"], batch["landmarks"])
        error = (networks["locator"](image) - points).norm(dim=2)
        return {"error": error.mean().item() / 2, "error_p95": error.flatten().quantile(0.95).item() / 2}

    trainer = Trainer(folder, {"locator": net}, schedule, device=device, on_checkpoint=evaluate)
    rng = np.random.default_rng(trainer.samples)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(net)
        batch = entries_of(pairs, 64, rng)
        image, points = shaken(batch["frame"], batch["landmarks"])
        with half_precision(device):
            made = net(image)
        trainer.step({"points": F.smooth_l1_loss(made.float(), points, beta=0.02) * 10.0}, 64)


def reader_input(batch: dict[str, Tensor], soften: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frame and reference at 96 px, the mouth of both at 192 px; a third softened as if generated."""
    ref_mouth = F.avg_pool2d(READER_REGION.crop(batch["ref"])[:, :3], 2)
    mouth = F.avg_pool2d(batch["region_mouth"], 2)
    if soften:
        blurred = F.avg_pool2d(F.pad(mouth, (1, 1, 1, 1), mode="replicate"), 3, 1)
        mouth = torch.where(torch.rand(len(mouth), 1, 1, 1, device=mouth.device) < 0.35, blurred, mouth)
    return batch["frame"], working_size(batch["ref"]), mouth, ref_mouth


def train_reader(data: Path, held: Path, folder: Path, schedule: Schedule, device: torch.device) -> None:
    """Controls and aperture from pixels; figures are correlations with the truth on held-out identities."""
    torch.manual_seed(0)
    net = Reader(len(CONTROL_NAMES)).to(device)
    names = ("frame", "region_mouth", "controls", "aperture", "ref")
    pairs, test = Pairs(data, device, *names), Pairs(held, device, *names)

    def wanted(batch: dict[str, Tensor]) -> Tensor:
        return torch.cat([batch["controls"], batch["aperture"][:, None]], 1)

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        batch = entries_of(test, min(384, test.entries * test.frames), np.random.default_rng(0))
        made, truth = networks["reader"](*reader_input(batch, soften=False)), wanted(batch)
        error = (made - truth).abs().mean(0)
        a, b = made - made.mean(0), truth - truth.mean(0)
        r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
        figures = {f"r_{n}": v.item() for n, v in zip((*CONTROL_NAMES, "aperture"), r, strict=True)}
        return {"error_aperture": error[-1].item(), **figures}

    trainer = Trainer(folder, {"reader": net}, schedule, device=device, on_checkpoint=evaluate)
    rng = np.random.default_rng(trainer.samples)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(net)
        batch = entries_of(pairs, 48, rng)
        with half_precision(device):
            made = net(*reader_input(batch, soften=True))
        error = (made.float() - wanted(batch)).pow(2)
        trainer.step({"controls": error[:, :-1].mean(), "aperture": 4.0 * error[:, -1].mean()}, 48)

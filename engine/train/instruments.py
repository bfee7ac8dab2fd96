"""Stages `locator` and `reader`: the small networks that look at pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.autoencoder import FRAMES_PER_ENTRY, Pairs
from engine.train.data.shards import REGIONS
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import views
from engine.train.models.config import ModelConfig
from engine.train.models.instruments import FaceLocator, Reader
from engine.train.models.latent_space import LatentSpace
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer, load_averaged
from engine.types import CONTROL_NAMES

NORM_SAMPLES = 10_000
"""The locator's batch norms gather statistics until then."""
READER_PX = 192
"""The reader sees mouth and eyes at half of 384 px: there a gap of 0.15 is two and a half pixels."""
READER_ENTRIES = 6
MIDDLE_PX = geo.REFERENCE_PX // 2
APERTURE_WEIGHT = 10.0


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


def softened(view: Tensor) -> Tensor:
    """A third of the pictures [B, C, h, w] a little blurred, as generated ones are."""
    blurred = F.avg_pool2d(F.pad(view, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.where(torch.rand(len(view), 1, 1, 1, device=view.device) < 0.35, blurred, view)


def reader_views(batch: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Views of a batch of pairs, as `models.autoencoder.views` cuts them: of frames, of their references."""
    left = batch["region_eye_left"][..., : MIDDLE_PX - REGIONS["eye_left"].left]
    right = batch["region_eye_right"][..., MIDDLE_PX - REGIONS["eye_right"].left :]
    near = (F.avg_pool2d(v, 2) for v in (batch["region_mouth"], torch.cat([left, right], dim=3)))
    times = len(batch["frame"]) // len(batch["ref"])
    refs = tuple(v.repeat_interleave(times, 0) for v in views(batch["ref"]))
    return (batch["frame"], *near), refs


def train_reader(
    data: Path,
    held: Path,
    encoder: Path,
    folder: Path,
    config: ModelConfig,
    schedule: Schedule,
    device: torch.device,
) -> None:
    """Controls and aperture from pixels.

    It begins with what the frame encoder (its stage's folder) has learned, and sees the studio's frames
    alone: told what the decoder makes, it would read what was asked for rather than what shows. What counts
    in use is the difference between frames of one person, so that is told as well.

    Figures are of identities never trained on: `r_` correlation with the truth; `slope_` of the differences
    within one person over the true ones, 1 where all of them is seen.
    """
    torch.manual_seed(0)
    net, space = Reader(config).to(device), LatentSpace().to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch forgot to declare it
    names = ("frame", "region_mouth", "region_eye_left", "region_eye_right", "controls", "aperture", "ref")
    pairs, test = Pairs(data, device, *names), Pairs(held, device, *names)

    def within(values: Tensor) -> Tensor:
        """What differs between frames of one entry."""
        each: Tensor = values.unflatten(0, (-1, FRAMES_PER_ENTRY))
        return (each - each.mean(1, keepdim=True)).flatten(0, 1)

    @torch.no_grad()
    def evaluate(networks: dict[str, nn.Module]) -> dict[str, float]:
        batch = test.batch(np.arange(test.entries), np.tile(np.arange(FRAMES_PER_ENTRY), (test.entries, 1)))
        made = networks["reader"](*reader_views(batch))
        truth = torch.cat([batch["controls"], batch["aperture"][:, None]], dim=1)
        a, b = made - made.mean(0), truth - truth.mean(0)
        r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
        slope = (within(made) * within(truth)).sum(0) / (within(truth).pow(2).sum(0) + 1e-6)
        figures = {"error_aperture": (made - truth)[:, -1].abs().mean().item()}
        for kind, values in (("r", r), ("slope", slope)):
            every = zip((*CONTROL_NAMES, "aperture"), values, strict=True)
            figures |= {f"{kind}_{name}": value.item() for name, value in every}
        return figures

    trainer = Trainer(folder, {"reader": net}, schedule, device=device, on_checkpoint=evaluate)
    if trainer.samples == 0:
        load_averaged(encoder, {"encoder": net.encoder})
        net.requires_grad_(True)
    freeze_norms(net)
    rng = np.random.default_rng(trainer.samples)
    for _ in trainer:
        batch = pairs.draw(READER_ENTRIES, rng)
        (whole, mouth, eyes), refs = reader_views(batch)
        with half_precision(device):
            made = net((whole, softened(mouth), softened(eyes)), refs)
        z, truth = space(made[:, :-1].float()), space(batch["controls"])
        losses = {
            "controls": F.mse_loss(z, truth),
            "differences": F.mse_loss(within(z), within(truth)),
            "aperture": APERTURE_WEIGHT * F.mse_loss(made[:, -1].float(), batch["aperture"]),
        }
        trainer.step(losses, len(truth))

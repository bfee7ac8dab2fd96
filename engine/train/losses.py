"""Losses on pictures; all take [B, C, H, W] in 0..1 and return a scalar."""

from __future__ import annotations

import torch
from torch import Tensor


def edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and to the lower neighbour."""
    return image[..., :, 1:] - image[..., :, :-1], image[..., 1:, :] - image[..., :-1, :]


def picture_loss(image: Tensor, truth: Tensor, edge_weight: float = 1.0) -> Tensor:
    """L1 of pixels plus L1 of their differences: without the latter thin lines come out as a grey veil."""
    loss = (image - truth).abs().mean()
    for a, b in zip(edges(image), edges(truth), strict=True):
        loss = loss + edge_weight * (a - b).abs().mean()
    return loss


def psnr_db(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per picture, dB: [B]."""
    return -10.0 * torch.log10((image.clamp(0, 1) - truth).pow(2).flatten(1).mean(1) + 1e-8)


def ssim(image: Tensor, truth: Tensor, window: int = 7) -> Tensor:
    """Structural similarity with a box window (Wang et al. 2004), per picture: [B]."""

    def pool(x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, window, 1)

    a, b = pool(image), pool(truth)
    va, vb = pool(image * image) - a * a, pool(truth * truth) - b * b
    cov = pool(image * truth) - a * b
    c1, c2 = 0.01**2, 0.03**2
    s = ((2 * a * b + c1) * (2 * cov + c2)) / ((a * a + b * b + c1) * (va + vb + c2))
    return s.flatten(1).mean(1)

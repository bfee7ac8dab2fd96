"""Small networks that look at pictures: the face locator and the reader."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.train.models.layers import ConvBlock, ResBlock


def _trunk(channels: int) -> nn.Sequential:
    """[B, channels, 96, 96] -> [B, 32 * 36]."""
    return nn.Sequential(
        nn.PixelUnshuffle(2), ConvBlock(4 * channels, 32), ConvBlock(32, 48, 2), ResBlock(48),
        ConvBlock(48, 64, 2), ResBlock(64), ConvBlock(64, 96, 2), nn.Conv2d(96, 32, 1), nn.Flatten(),
    )  # fmt: skip


class FaceLocator(nn.Module):
    """Premultiplied RGBA [B, 4, 96, 96], any framing -> 7 landmarks [B, 7, 2], -1..1 (`engine/README.md`)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(_trunk(4), nn.Linear(32 * 36, 128), nn.ReLU(), nn.Linear(128, 14))

    def forward(self, image: Tensor) -> Tensor:
        landmarks: Tensor = self.net(image).unflatten(1, (7, 2))
        return landmarks


class Reader(nn.Module):
    """Measures controls and mouth aperture from pixels; trained on studio frames, apart from the generator.

    Frame and reference [B, 4, 96, 96], premultiplied RGBA, and the mouth region of both at 192 px,
    [B, 3, 72, 72] -> [B, 22]: the controls, then the aperture 0..1.
    """

    def __init__(self, controls: int) -> None:
        super().__init__()
        self.whole = _trunk(8)
        self.mouth = nn.Sequential(
            nn.PixelUnshuffle(2), ConvBlock(24, 48), ResBlock(48), ConvBlock(48, 64, 2), ResBlock(64),
            ConvBlock(64, 96, 2), nn.Conv2d(96, 32, 1), nn.Flatten(),
        )  # fmt: skip
        self.out = nn.Sequential(nn.Linear(32 * 36 + 32 * 81, 128), nn.ReLU(), nn.Linear(128, controls + 1))

    def forward(self, frame: Tensor, ref: Tensor, mouth: Tensor, ref_mouth: Tensor) -> Tensor:
        whole = self.whole(torch.cat([frame, ref], dim=1))
        near = self.mouth(torch.cat([mouth, ref_mouth], dim=1))
        measured: Tensor = self.out(torch.cat([whole, near], dim=1))
        return measured


def face_mask(landmarks: Tensor, grid: tuple[int, int]) -> Tensor:
    """The face's box on the latent grid: landmarks [B, 7, 2] -> [B, 1, h, w], softly from 0 to 1 inside."""
    low, high = landmarks.amin(dim=1) - 0.1, landmarks.amax(dim=1) + 0.1
    h, w = grid
    ys = (torch.arange(h, dtype=torch.float32, device=landmarks.device) + 0.5) * (2.0 / h) - 1.0
    xs = (torch.arange(w, dtype=torch.float32, device=landmarks.device) + 0.5) * (2.0 / w) - 1.0

    def inside(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.sigmoid((v - a) * 8.0) * torch.sigmoid((b - v) * 8.0)

    across = inside(xs[None], low[:, :1], high[:, :1])
    down = inside(ys[None], low[:, 1:], high[:, 1:])
    return (down[:, :, None] * across[:, None, :])[:, None]

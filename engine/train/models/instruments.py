"""Small networks that look at pictures: the face locator and the reader."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.train.models.autoencoder import FrameEncoder
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LatentSpace
from engine.train.models.layers import ConvBlock, ResBlock


class FaceLocator(nn.Module):
    """Premultiplied RGBA [B, 4, 96, 96], any framing -> 7 landmarks [B, 7, 2], -1..1 (`engine/README.md`)."""

    def __init__(self) -> None:
        super().__init__()
        trunk = nn.Sequential(
            nn.PixelUnshuffle(2), ConvBlock(16, 32), ConvBlock(32, 48, 2), ResBlock(48),
            ConvBlock(48, 64, 2), ResBlock(64), ConvBlock(64, 96, 2), nn.Conv2d(96, 32, 1), nn.Flatten(),
        )  # fmt: skip
        self.net = nn.Sequential(trunk, nn.Linear(32 * 36, 128), nn.ReLU(), nn.Linear(128, 14))

    def forward(self, image: Tensor) -> Tensor:
        landmarks: Tensor = self.net(image).unflatten(1, (7, 2))
        return landmarks


class Reader(nn.Module):
    """Measures controls and mouth aperture from pixels; trained on studio frames, apart from the generator.

    (views of a frame, views of its reference), as `models.autoencoder.views` gives them -> [B, 22]: the
    controls, then the aperture 0..1. It is built as the frame encoder is, which looks for the same things.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder, self.latent_space = FrameEncoder(config), LatentSpace()
        self.aperture = nn.Linear(FrameEncoder.WIDTH, 1)
        # What the encoder has learned is not to be shaken by a head that has learned nothing.
        nn.init.zeros_(self.aperture.weight)

    def forward(self, frame: Sequence[Tensor], ref: Sequence[Tensor]) -> Tensor:
        features = self.encoder.features(frame, ref)
        controls = self.latent_space.controls(self.encoder.latent(features))
        return torch.cat([controls, self.aperture(features)], dim=1)


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

"""Convolution blocks shared by the networks; batch norms fold into the convolutions at export."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU: [B, cin, H, W] -> [B, cout, H / stride, W / stride]."""

    def __init__(self, cin: int, cout: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout, momentum=0.02), nn.ReLU()
        )


class ResBlock(nn.Module):
    """Two 3x3 convolutions with a skip (He et al. 2015, arXiv 1512.03385): [B, C, H, W] kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = ConvBlock(channels, channels)
        self.b = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.b(self.a(x))))


class LatentMap(nn.Module):
    """Spreads a latent over a coarse grid of features: [B, size, 1, 1] -> [B, channels, height, width].

    The hidden layer lets a feature's place depend on several latent numbers at once (our choice).
    """

    def __init__(self, size: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, height, width)
        self.hidden = nn.Linear(size, 256)
        self.out = nn.Linear(256, channels * height * width)

    def forward(self, z: Tensor) -> Tensor:
        return torch.relu(self.out(torch.relu(self.hidden(z.flatten(1))))).view(-1, *self.shape)


def freeze_norms(network: nn.Module) -> None:
    """From now on batch norms use the statistics gathered so far, in training as in use.

    A batch of 24 frames knows its own mean: networks that place things to the pixel learn to rely on it and
    then miss it when they run (we measured a flow twice as wrong in use as in training).
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()

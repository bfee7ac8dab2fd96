"""Controls as latents: a fixed linear map that gives the latent space its meaning (our choice).

The studio knows what a frame shows. So the latent of a frame is not left to an encoder to invent: it is
this embedding of the frame's controls, the frame encoder learns to give it from pixels, the decoder to draw
it, the denoiser to perform it. Latents are exact and free of an encoder's jitter in training, and a
performance needs no pictures.

Exported it is the graph `expression`: decoding an embedded expression edits the reference picture before its
features are taken, LLIA's way of expression control (LLIA uses a portrait-animation model there).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONTROL_STD = (
    0.29, 0.32, 0.23, 0.22, 0.22, 0.19, 0.25, 0.20, 0.20, 0.22, 0.18, 0.23, 0.23, 0.18, 0.37, 0.34, 0.34,
    0.33, 0.34, 0.33, 0.57,
)  # fmt: skip
"""Of each control over the rendered pairs, so that small movements matter as much as large ones."""
CONTROL_MEAN = (
    0.25, 0.25, 0.12, 0.12, 0.25, 0.08, 0.08, 0.10, 0.10, 0.12, 0.08, 0.15, 0.15, 0.08, 0.0, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0,
)  # fmt: skip


class ControlEmbedding(nn.Module):
    """Controls [..., 21] <-> latents [..., C, h, w] of about unit variance; no parameters, seeded buffers."""

    matrix: Tensor
    inverse: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, latent: tuple[int, int, int]) -> None:
        super().__init__()
        self.latent = latent
        size = latent[0] * latent[1] * latent[2]
        controls = len(CONTROL_STD)
        noise = torch.randn(size, controls, generator=torch.Generator().manual_seed(0))
        rows = torch.linalg.qr(noise).Q.T * (size / controls) ** 0.5
        self.register_buffer("matrix", rows)
        self.register_buffer("inverse", torch.linalg.pinv(rows))
        self.register_buffer("mean", torch.tensor(CONTROL_MEAN))
        self.register_buffer("std", torch.tensor(CONTROL_STD))

    def forward(self, controls: Tensor) -> Tensor:
        latents: Tensor = (((controls - self.mean) / self.std) @ self.matrix).unflatten(-1, self.latent)
        return latents

    def controls(self, latents: Tensor) -> Tensor:
        """The controls a latent stands for."""
        return (latents.flatten(-3) @ self.inverse) * self.std + self.mean

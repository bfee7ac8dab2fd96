"""The latent space: a frame's controls at unit variance, so that every number has a meaning (our choice).

The studio knows what a frame shows. So the latent of a frame is not left to an encoder to invent: it is the
frame's controls, scaled; the frame encoder learns to read it off pixels, the decoder to draw it, the denoiser
to perform it. Latents are exact and free of an encoder's jitter in training, and a performance needs no
pictures. Diffusion in a small space of motion, pixels by a decoder that sees the reference: so does VASA-1
(Xu et al. 2024, arXiv 2404.10667, section 3), which learns its space.

Exported it is the graph `expression`: decoding an expression's latent edits the reference picture before its
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
LATENT_SHAPE = (len(CONTROL_STD), 1, 1)
"""Channels, height, width: every number tells of the whole face, so the grid is one cell."""


class LatentSpace(nn.Module):
    """Controls [..., 21] <-> latents [..., 21, 1, 1] of about unit variance; no parameters."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(CONTROL_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(CONTROL_STD), persistent=False)

    def forward(self, controls: Tensor) -> Tensor:
        latents: Tensor = ((controls - self.mean) / self.std)[..., None, None]
        return latents

    def controls(self, latents: Tensor) -> Tensor:
        """The controls a latent stands for."""
        return latents[..., 0, 0] * self.std + self.mean

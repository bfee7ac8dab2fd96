"""Where things are in the aligned picture, and the sampling grids of the decoder.

Picture coordinates are -1..1, x right and y down; the centre of pixel i of n lies at (2 i + 1) / n - 1. The
crops have the same place in every picture because pictures are aligned when they are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

REFERENCE_PX = 384
WORKING_PX = 96


@dataclass(frozen=True)
class Box:
    """A rectangle of the 384 px picture, in its pixels: columns left..left+width, rows top..top+height."""

    left: int
    top: int
    width: int
    height: int

    def crop(self, picture: Tensor) -> Tensor:
        """Cuts the box out of [..., 384, 384]."""
        return picture[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def slices(self, size_px: Tensor | int) -> tuple[slice, slice]:
        """Rows and columns of the box in a picture of size_px (a tensor while a graph is traced)."""
        top, bottom, left, right = (
            v * size_px // REFERENCE_PX
            for v in (self.top, self.top + self.height, self.left, self.left + self.width)
        )
        return slice(top, bottom), slice(left, right)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in picture coordinates, -1..1."""
        across, down = (self.left, self.left + self.width), (self.top, self.top + self.height)
        left, right = (2.0 * x / REFERENCE_PX - 1.0 for x in across)
        top, bottom = (2.0 * y / REFERENCE_PX - 1.0 for y in down)
        return left, top, right, bottom

    def grow(self, margin_px: int) -> Box:
        """The box with a margin on every side; it must stay inside the picture."""
        return Box(
            self.left - margin_px,
            self.top - margin_px,
            self.width + 2 * margin_px,
            self.height + 2 * margin_px,
        )


MOUTH = Box(left=144, top=222, width=96, height=96)
"""The mouth and what lies about it."""
LIPS = Box(left=152, top=234, width=80, height=72)
"""What of it may be painted anew."""
EYES = (Box(left=110, top=146, width=80, height=88), Box(left=194, top=146, width=80, height=88))
"""Picture-left and picture-right eye with their brows, mirror images about the middle column."""
EYES_APART_PX = EYES[1].left - EYES[0].left - EYES[0].width
FACE = Box(left=110, top=146, width=164, height=160)
"""Lips and eyes together."""
REGION_MARGIN_PX = 24
"""How far head motion may carry a patch out of its crop, in 384 px pixels."""


def centre_grid(height: int, width: int, device: torch.device) -> Tensor:
    """Coordinates -1..1 of the pixel centres of any picture: float32 [1, 2, height, width] (x, y)."""
    ys = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) * (2.0 / height) - 1.0
    xs = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) * (2.0 / width) - 1.0
    return _grid(xs, ys)


def pixel_grid(size_px: Tensor | int, box: Box | None, device: torch.device) -> Tensor:
    """Picture coordinates of the pixel centres of a size_px picture, or of a box of it.

    Args:
        size_px: side of the square picture.
        box: in 384 px pixels; scaled to size_px and rounded down.
        device: where the grid is made.

    Returns:
        float32 [1, 2, H, W] (x, y).
    """
    # While a graph is traced the size is a tensor and must stay one: a number would be frozen into it.
    axis = (torch.arange(cast(int, size_px), dtype=torch.float32, device=device) + 0.5) / size_px * 2.0 - 1.0
    if box is None:
        return _grid(axis, axis)
    rows, columns = box.slices(size_px)
    return _grid(axis[columns], axis[rows])


def _grid(xs: Tensor, ys: Tensor) -> Tensor:
    return torch.stack([xs[None, :].expand(ys.shape[0], -1), ys[:, None].expand(-1, xs.shape[0])])[None]


def sample(picture: Tensor, places: Tensor) -> Tensor:
    """Picture [B, C, h, w] at places [B, 2, H, W], bilinear, zero outside: [B, C, H, W].

    Everything else keeps places channel first: shifting and scaling them is then quick in every runtime.
    """
    return F.grid_sample(picture, places.permute(0, 2, 3, 1), align_corners=False, padding_mode="zeros")


def inside(height: int, width: int) -> float:
    """How far from the middle of a picture its outermost pixels' centres lie, on its shorter side."""
    return 1.0 - 1.0 / min(height, width)


def sample_inside(picture: Tensor, places: Tensor) -> Tensor:
    """The same, but the picture's edge goes on outside.

    Places are held inside the outermost pixels' centres (of the shorter side) rather than left to border
    padding, which onnxruntime computes four times slower.
    """
    limit = inside(picture.shape[-2], picture.shape[-1])
    return sample(picture, places.clamp(-limit, limit))


def sample_flow(flow: Tensor, grid: Tensor) -> Tensor:
    """Flow [B, 2, h, w] at the points of a grid [1 or B, 2, H, W], added to them: [B, 2, H, W]."""
    return grid + sample_inside(flow, grid.expand(flow.shape[0], -1, -1, -1))


def into_box(places: Tensor, box: Box) -> Tensor:
    """Places [B, 2, H, W] in the picture -> coordinates -1..1 inside a box's own pixels."""
    middle = [2 * box.left + box.width, 2 * box.top + box.height]
    centre = places.new_tensor(middle).view(2, 1, 1) / REFERENCE_PX - 1.0
    return (places - centre) * (REFERENCE_PX / places.new_tensor([box.width, box.height]).view(2, 1, 1))

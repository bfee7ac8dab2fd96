"""Head motion as an inverse warp: where in the picture at rest a pixel comes from, by depth of layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.types import CONTROL_NAMES

ZOOM = 1.16
OFFSET = 0.06
"""A picture coordinate is `(rest + OFFSET on y) * ZOOM`."""
_ALL = slice(None)
Maps = dict[str, torch.Tensor]
"""Control or parameter by name, each [B, 1, 1] so that it spreads over pixels."""


def by_name(controls: torch.Tensor) -> Maps:
    """float32 [B, 21] -> each control as [B, 1, 1]."""
    return {name: controls[:, i, None, None] for i, name in enumerate(CONTROL_NAMES)}


@dataclass(frozen=True)
class Field:
    """The head's inverse warp at pixels, each [B, h, w]: rest = (x, y) - depth * (dx, dy)."""

    x: torch.Tensor
    y: torch.Tensor
    dx: torch.Tensor
    dy: torch.Tensor

    def at(self, z: float, rows: slice = _ALL, columns: slice = _ALL) -> tuple[torch.Tensor, torch.Tensor]:
        """Rest coordinates at the depth of a layer; 1 is the tip of the nose, below 0 is behind the axis."""
        x, y, dx, dy = (m[:, rows, columns] for m in (self.x, self.y, self.dx, self.dy))
        return torch.add(x, dx, alpha=-z), torch.add(y, dy, alpha=-z)


def head(x: torch.Tensor, y: torch.Tensor, c: Maps) -> Field:
    """Inverse warp of the head.

    Args:
        x: picture coordinate divided by `ZOOM`, [B or 1, h or 1, w].
        y: the same downwards, [B or 1, h, w or 1].
        c: controls.
    """
    x, y = x - 0.06 * c["headShift"], y - 0.016 * c["breath"] - (OFFSET + 0.45)
    cos, sin = torch.cos(0.17 * c["headRoll"]), torch.sin(-0.17 * c["headRoll"])
    x, y = x * cos - y * sin, x * sin + y * cos + 0.45
    dome = (1 - (x / 0.75).square()).clamp_(0, 1).mul_((1 - ((y + 0.1) / 0.9).square()).clamp_(0, 1))
    lean = (0.45 - y).clamp_(-0.2, 1.2)
    yaw, pitch = c["headYaw"], c["headPitch"]
    return Field(
        x - lean * (0.03 * yaw), y - lean * (0.014 * pitch), dome * (0.095 * yaw), dome * (0.078 * pitch)
    )


def body(
    x: torch.Tensor, y: torch.Tensor, c: Maps, hx: torch.Tensor, hy: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inverse warp of the body: the top of the neck follows the head (hx, hy), the shoulders breathe."""
    w = ((0.81 - y) / 0.5).clamp(0, 1)
    w = w * w * (3 - 2 * w)
    bx, by = x * (1 - 0.010 * c["breath"]), y - 0.016 * c["breath"] * (y > 0) - OFFSET
    return bx + (hx - bx) * w, by + (hy - by) * w


def drop(c: Maps) -> torch.Tensor:
    """How far the chin falls, rest units."""
    return 0.072 * c["jawOpen"] * (1 - 0.45 * c["mouthClose"])


def jaw(y: torch.Tensor, c: Maps) -> torch.Tensor:
    """Inverse warp of the lower face as the jaw opens."""
    t = ((y - 0.12) / 0.34).clamp(0, 1)
    return y - drop(c) * t * t * (3 - 2 * t)


def forward(points: torch.Tensor, c: Maps, z: torch.Tensor, shoulders: torch.Tensor) -> torch.Tensor:
    """Where rest points appear in the picture, by fixed-point iteration of the inverse warp.

    Args:
        points: rest coordinates [B, N, 2].
        c: controls.
        z: depth [N].
        shoulders: bool [N], points that ride on the body.

    Returns:
        picture coordinates [B, N, 2].
    """
    x, y = points[:, None, :, 0], points[:, None, :, 1]
    px, py = x.clone(), y + OFFSET
    for _ in range(8):
        field = head(px, py, c)
        hx, hy = field.x - z * field.dx, field.y - z * field.dy
        bx, by = body(px, py, c, field.x, field.y)
        px = px + x - torch.where(shoulders, bx, hx)
        py = py + y - torch.where(shoulders, by, hy)
    return torch.stack([px[:, 0], py[:, 0]], -1) * ZOOM


def carried(points: torch.Tensor, seen: Maps, wanted: Maps, z: torch.Tensor) -> torch.Tensor:
    """Where points of a picture of the head lie in another picture of it.

    Args:
        points: picture coordinates [B, N, 2] in the picture with the controls `seen`.
        seen: controls of that picture.
        wanted: controls of the other one.
        z: depth of the points [N].

    Returns:
        picture coordinates [B, N, 2].
    """
    field = head(points[:, None, :, 0] / ZOOM, points[:, None, :, 1] / ZOOM, seen)
    rest = torch.stack([(field.x - z * field.dx)[:, 0], (field.y - z * field.dy)[:, 0]], dim=-1)
    return forward(rest, wanted, z, torch.zeros_like(z, dtype=torch.bool))

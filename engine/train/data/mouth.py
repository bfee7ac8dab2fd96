"""Draws the mouth as anti-aliased curves: lips, teeth, tongue and the dark between them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from engine.train.data.warp import Maps, drop

Cover = Callable[[torch.Tensor], torch.Tensor]
"""Signed distance in rest units -> share of the pixel that is covered, 0..1."""
DEPTH = 0.85
BOX = (-0.195, 0.130, 0.195, 0.460)
"""left, top, right, bottom of all that this file draws, in rest units."""
TEETH = (0.985, 0.970, 0.945)


def bump(q: torch.Tensor) -> torch.Tensor:
    """About exp(-q) for q >= 0, but cheap and exactly 0 far out (exp leaves slow denormal numbers there)."""
    return (1 - 0.36 * q).clamp_(min=0).square_()


def lip_gap(c: Maps, k: Maps) -> torch.Tensor:
    """Distance between the lips at their middle, rest units; exactly 0 when they touch."""
    press, roll, stretch = c["mouthClose"], c["mouthRollLower"], c["mouthStretch"]
    gap = k["gap"] * c["jawOpen"] * (1 - 0.75 * roll) * (1 - 0.22 * stretch)
    gap = gap + 0.040 * (stretch - 0.15).clamp(min=0) + 0.022 * (roll - 0.1).clamp(min=0)
    gap = gap * (1 - press)
    return torch.where(gap < 0.003, 0.0, gap)


def corners(c: Maps, k: Maps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Half width of the mouth, height of its middle and how far its corners lie below, rest units."""
    smile, frown = c["mouthSmile"], c["mouthFrown"]
    wide = (
        1
        + 0.30 * c["mouthStretch"]
        + 0.24 * smile
        - 0.38 * c["mouthPucker"]
        - 0.05 * c["jawOpen"]
        - 0.04 * frown
    )
    half = (k["mouth_w"] * wide).clamp(max=0.165)
    middle = k["mouth_y"] + 0.012 * smile - 0.012 * frown + 0.22 * drop(c)
    return half, middle, (0.034 * frown - 0.046 * smile - 0.011) * (1 - 0.75 * c["mouthPucker"])


def draw_mouth(img: torch.Tensor, x: torch.Tensor, y: torch.Tensor, c: Maps, k: Maps, cover: Cover) -> None:
    """Draws into img.

    Args:
        img: RGB [B, 3, h, w], opaque, changed in place.
        x: rest coordinate of its pixels, to the right [B, h, w].
        y: rest coordinate of its pixels, down [B, h, w].
        c: controls.
        k: parameters [B, 1, 1], colours [B, 4, 1, 1] of which RGB is used.
        cover: see `Cover`.
    """
    k = {n: v[:, :3] if v.dim() == 4 else v for n, v in k.items()}
    pucker, roll = c["mouthPucker"], c["mouthRollLower"]
    half, middle, corner = corners(c, k)
    gap = lip_gap(c, k)
    u = x / half
    u2 = u.square()
    arch = (1 - u2).clamp(min=0)
    root = arch.sqrt()
    side = cover((1 - u.abs()) * half)
    bow = bump(u2 * 14.0)  # the tubercle of the upper lip
    closed = middle + corner * u2 + 0.006 * bow * (1 - 0.8 * torch.maximum(c["mouthStretch"], pucker))
    share = 0.20 + 0.18 * pucker
    above = closed - gap * share * root
    below = closed + gap * (1 - share) * root
    below = torch.maximum(below - 0.006 * bow * (gap > 0), above)
    thick = k["lip_t"] * (1 + 0.75 * pucker - 0.35 * c["mouthClose"] - 0.15 * c["mouthStretch"])
    soft = torch.lerp(root, root.sqrt(), 0.5 * pucker)
    upper_edge = above - thick * 0.80 * soft * (1 - (0.34 - 0.2 * pucker) * bump(u2 * 45.0))
    lower_t = thick * (1.20 - 0.80 * roll - 0.25 * pucker) * soft
    lower_edge = below + lower_t
    d_above, d_below = y - above, below - y
    # lips
    lip, alpha = k["lip"], k["lip_alpha"]
    upper = cover(y - upper_edge) * cover(-d_above + 0.004) * side
    img.lerp_(lip * k["shade4"], (upper * alpha)[:, None])
    lower = cover(lower_edge - y) * cover(-d_below + 0.004) * side
    img.lerp_(lip * k["glow4"], (lower * alpha)[:, None])
    shine = bump(
        ((u + 0.12) / 0.32).square() + ((y - below - 0.45 * lower_t) / (lower_t * 0.30 + 0.003)).square()
    )
    img.lerp_(k["white"], (shine * lower * (0.30 * k["depth"]))[:, None])
    # shadow under the lip and folds of a smile
    under = bump(((y - lower_edge - 0.020) / 0.008).square() + (u * 2).square())
    fold = bump(
        ((x.abs() - half - 0.016) / 0.006).square() + ((y - middle - corner + 0.004) / 0.022).square()
    )
    img.lerp_(k["line"], ((under * 0.22 + fold * 0.30 * c["mouthSmile"].clamp(0, 1)) * k["depth"])[:, None])
    hole = cover(d_above) * cover(d_below) * side * (gap * 250).clamp(max=1)
    seen = hole.amax(0) > 0
    if bool(seen.any()):  # only the rows and columns where some mouth of the batch is open
        r, q = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
        rows, columns = slice(int(r[0]), int(r[-1]) + 1), slice(int(q[0]), int(q[-1]) + 1)
        x, y_, u_, u2_, above_, below_, hole = (
            m[:, rows, columns] for m in (x, y, u, u2, above, below, hole)
        )
        _inside(img[:, :, rows, columns], x, y_, u_, u2_, gap, above_, below_, hole, c, k, cover)
    # the line between the lips, thickest in the middle
    pen = 0.0058 * (0.35 + 0.65 * arch) * (1 + 0.25 * k["outline"])
    ends = cover((1.05 - u.abs()) * half)
    img.lerp_(k["line"], (cover(pen - d_above.abs()) * ends * 0.92)[:, None])
    shut = (gap * 200).clamp(max=1)
    img.lerp_(
        k["line"], (cover(pen * 0.6 - d_below.abs()) * ends * shut * (0.35 + 0.4 * k["outline"]))[:, None]
    )
    edge = cover(pen * 0.45 - (y - lower_edge).abs()) * bump(u2 * 5) * k["outline"] * 0.5
    img.lerp_(k["line"], edge[:, None])


def _inside(
    img: torch.Tensor, x: torch.Tensor, y: torch.Tensor, u: torch.Tensor, u2: torch.Tensor, gap: torch.Tensor,
    above: torch.Tensor, below: torch.Tensor, hole: torch.Tensor, c: Maps, k: Maps, cover: Cover,
) -> None:  # fmt: skip
    """The cavity with tongue and teeth; nothing outside `hole`."""
    img.lerp_(k["cavity"], hole[:, None])
    room = below - above
    tall = 0.032 * (1 - 0.30 * u2) * (1 - 0.75 * c["mouthPucker"])
    teeth = above + torch.minimum(
        tall * (0.75 + 0.25 * c["mouthStretch"]), 0.48 * room + 0.012 * c["mouthRollLower"]
    )
    # tongue: from the floor, up to the teeth's edge with tongueUp
    up = c["tongueUp"]
    rest = below - gap * 0.36
    top = torch.lerp(rest, torch.maximum(above + 0.5 * tall, below - 0.9 * room), up)
    span = 0.80 - 0.14 * up
    top = top + (below - top) * (1 - (1 - (u / span).square()).clamp(0, 1).sqrt())
    tongue = hole * cover(y - top) * cover((span - u.abs()) * k["mouth_w"])
    img.lerp_(k["tongue"], tongue[:, None])
    gloss = bump(((u + 0.05) / 0.30).square() + ((y - top - 0.012) / 0.007).square()) * tongue
    groove = bump(u2 / 0.0036) * tongue * ((y - top) / (gap + 0.01)).clamp(0, 1)
    img.lerp_(k["white"], (gloss * 0.28)[:, None])
    img.lerp_(k["cavity"], (groove * 0.35)[:, None])
    # teeth: separations every 0.021 units, a shadow under the lip
    gaps = 1 - 0.09 * bump(((torch.remainder(x + 0.0105, 0.021) - 0.0105) / 0.0018).square())
    shade = (gaps * (1 - 0.22 * bump((y - above) / 0.007)) * (1 - 0.22 * u2))[:, None]
    ivory = k["teeth"] * shade.clamp(0, 1)
    lower = (0.016 * (c["mouthStretch"] + 0.35 * c["jawOpen"])).clamp(max=0.016)
    low_line = below - torch.minimum(lower, 0.30 * room)
    img.lerp_(
        ivory * k["dim4"],
        (hole * cover(y - low_line) * cover((0.72 - u.abs()) * k["mouth_w"]) * (lower > 0.003) * (1 - up))[
            :, None
        ],
    )
    img.lerp_(ivory, (hole * cover(teeth - y) * cover((0.90 - u.abs()) * k["mouth_w"]))[:, None])

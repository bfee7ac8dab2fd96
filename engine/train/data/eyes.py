"""Draws one eye and its brow as anti-aliased curves."""

from __future__ import annotations

import torch

from engine.train.data.mouth import Cover, bump
from engine.train.data.warp import Maps

DEPTH = 0.72


def box(side: int) -> tuple[float, float, float, float]:
    """left, top, right, bottom of an eye with its brow in rest units; side as in `draw_eye`."""
    return (0.012, -0.26, 0.365, 0.125) if side > 0 else (-0.365, -0.26, -0.012, 0.125)


def draw_eye(
    img: torch.Tensor, x: torch.Tensor, y: torch.Tensor, c: Maps, k: Maps, cover: Cover, side: int
) -> None:
    """Draws an eye into img.

    Args:
        img: premultiplied RGBA [B, 4, h, w], changed in place.
        x: rest coordinate of its pixels, to the right [B, h, w].
        y: rest coordinate of its pixels, down [B, h, w].
        c: controls.
        k: parameters [B, 1, 1], colours [B, 4, 1, 1].
        cover: see `Cover`.
        side: 1 for the picture's right eye (the avatar's left), -1 for the other.
    """
    w, blink = k["eye_w"], c["eyeBlinkLeft" if side > 0 else "eyeBlinkRight"].clamp(0, 1)
    h = k["eye_h"] * (1 + 0.20 * c["eyeWide"])
    lx = side * x - k["eye_x"]
    u = lx / w
    ua = u.abs()
    ly = y - k["eye_y"] - k["eye_tilt"] * u
    arch = (1 - ua.clamp(max=1).pow(k["eye_round"])).clamp(min=1e-6)
    inner = (1 - ua) * w
    squint = c["mouthSmile"].clamp(0, 1)
    shut = 0.40 * k["eye_h"] * (1 - u * u) + 0.004
    root = arch.sqrt()
    curve = root * root.sqrt()  # arch to the power 0.75; roots are far cheaper than powers
    lid = torch.lerp(-h * curve, shut, blink)
    floor = torch.lerp(k["eye_h"] * (0.60 - 0.16 * squint) * curve, shut, blink)
    open_ = ((1 - blink) * 8).clamp(max=1)
    hole = cover(ly - lid) * cover(floor - ly) * cover(inner) * open_
    deep = bump(((ly - lid) / (0.34 * h)).clamp_(min=0).square_())  # shadow of the lid on the ball
    # lid: skin above the lash line, darker as it comes down
    crease = lid - (0.24 * k["eye_h"] + 0.012) * (1 - 0.45 * blink) - 0.004
    skin_lid = cover(ly - crease) * cover(lid - ly) * ((1.02 - ua) * 5).clamp(0, 1)
    img.lerp_(k["line"], (skin_lid * (0.10 + 0.10 * blink) * k["depth"])[:, None])
    if bool((blink < 0.99).any()):
        img.lerp_(k["eyewhite"], hole[:, None])
        img.lerp_(k["line"], (hole * deep * 0.30)[:, None])
        gx, gy = side * c["eyeLookX"] * 0.34 * w, c["eyeLookY"] * 0.34 * k["eye_h"]
        rx = k["iris"] * w
        ry = torch.maximum(rx, 0.80 * k["eye_h"])
        ix, iy = lx - gx + 0.02 * w, y - k["eye_y"] + 0.19 * k["eye_h"] - gy
        v = (iy / ry).clamp(-1.2, 1.2)
        d = ((ix / rx).square() + v.square()).sqrt()
        disc = hole * cover((1 - d) * rx)
        iris = k["eye"] * (0.74 + 0.46 * v)[:, None]
        iris[:, 3] = 1
        img.lerp_(k["eyerim"], disc[:, None])
        img.lerp_(iris.clamp_(0, 1), (hole * cover((0.86 - d) * rx))[:, None])
        glow = bump((ix / (0.52 * rx)).square() + ((v - 0.52) / 0.26).square())
        img.lerp_(k["eyeglow"], (disc * glow * 0.65)[:, None])
        img.lerp_(k["pupil"], (hole * cover((0.42 - d) * rx))[:, None])
        img.lerp_(k["pupil"], (disc * deep * 0.55)[:, None])
        sx = side * ix  # highlights lie on the same side in both eyes
        big = cover(0.27 * rx - ((sx + 0.34 * rx).square() + ((iy + 0.40 * ry) * 0.85).square()).sqrt())
        small = cover(0.12 * rx - ((sx - 0.34 * rx).square() + (iy - 0.36 * ry).square()).sqrt())
        img.lerp_(k["white"], (hole * (big + 0.8 * small).clamp(max=1) * 0.95)[:, None])
    # lashes: a tapered line with a wing, thicker and clean when shut
    reach = 1.10 + 0.06 * k["spikes"]
    wing = torch.where(u > 1, (1 - u) * k["eye_h"] * (0.55 - 0.95 * blink), lid)
    e = ((u + 1.04) / (reach + 1.04)).clamp(0, 1)
    taper = e.sqrt() * (1 - (e * e * e).square()) * 1.05 + 0.12
    saw = torch.remainder(u * 4.2 + 0.35, 1.0)
    tips = k["spikes"] * 0.85 * saw * ((u - 0.15) * 2).clamp(0, 1) * (1.25 - ua).clamp(0, 1)
    thick = k["lash"] * taper
    ends = cover((reach - ua) * w) * cover((u + 1.03) * w)
    side_up = torch.lerp(thick * (1 + tips), thick * 0.45, blink)
    side_down = torch.lerp(thick * 0.22, thick * (0.55 + 0.8 * tips), blink)
    img.lerp_(k["lashes"], (cover(ly - wing + side_up) * cover(wing + side_down - ly) * ends)[:, None])
    low = (
        cover(0.0030 + 0.0015 * k["outline"] - (ly - floor).abs())
        * cover(inner)
        * ((u + 0.5) / 1.2).clamp(0, 1)
    )
    img.lerp_(k["line"], (low * 0.8 * open_)[:, None])
    fold = cover(0.0028 - (ly - crease).abs()) * ((0.98 - ua) * 4).clamp(0, 1)
    img.lerp_(k["line"], (fold * (0.45 + 0.25 * k["outline"]))[:, None])


def draw_brow(
    img: torch.Tensor, x: torch.Tensor, y: torch.Tensor, c: Maps, k: Maps, cover: Cover, side: int
) -> None:
    """Draws a brow into img; see `draw_eye`."""
    half = k["eye_w"] * 1.16 + 0.006
    u = (side * x - k["eye_x"] * 1.03) / half
    down, inner, outer = c["browDown"], c["browInnerUp"], c["browOuterUp"]
    to_nose, to_ear = ((0.35 - u) / 1.35).clamp(0, 1), ((u + 0.45) / 1.45).clamp(0, 1)
    rise = 0.046 * inner * to_nose + 0.044 * outer * to_ear + 0.008 * c["eyeWide"]
    fall = down * (0.020 + 0.020 * to_nose)
    line = (
        k["eye_y"] - k["brow_y"] + k["brow_arc"] * (u.square() * 1.5 - 0.6) + k["brow_tilt"] * u - rise + fall
    )
    body = (1 - ((u + 0.42) / 1.42).clamp(-1, 1).square()).clamp(min=0).sqrt()
    blunt = ((u + 1) * 9).clamp(0, 1).sqrt()
    ink = cover(k["brow_t"] * 0.56 * body * blunt - (y - line).abs()) * cover((1 - u.abs()) * half)
    img.lerp_(k["brow"], (ink * 0.90)[:, None])

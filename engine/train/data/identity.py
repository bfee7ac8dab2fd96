"""Who is drawn: every parameter of one illustrated character, sampled from a seed or tuned by hand.

Lengths are in rest units: the head at rest, x to the picture's right, y down, face centre near (0, -0.1);
a picture coordinate is `(rest + offset) * zoom`, see `engine.train.data.warp`. Colours are sRGB, 0..1.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

RGB = tuple[float, float, float]

STYLES = ("cel", "painted", "flat")
FRINGES = ("bangs", "side", "curtain", "quiff", "undercut", "crop", "swept")
BACKS = ("short", "bob", "long", "wavy", "tails", "bun", "pony", "curly")
CLOTHES = ("tee", "shirt", "hoodie", "jacket", "turtleneck")
EXTRAS = ("none", "headband", "clips", "glasses", "earrings")


@dataclass(frozen=True)
class Identity:
    """One character. Lengths in rest units, colours sRGB 0..1, weights 0..1."""

    seed: int
    style: str
    masculine: bool
    age: float
    # colours
    skin: RGB
    hair: RGB
    eye: RGB
    lip: RGB
    cloth: RGB
    cloth2: RGB
    # how it is drawn
    line: float  # strength of outlines
    depth: float  # strength of gradients and shading
    blush: float
    # head
    face_w: float  # half width of the face
    top: float
    chin: float
    jaw: float  # half width at the jaw, as a share of face_w
    chin_w: float  # half width of the chin, as a share of face_w
    nose: int
    neck_w: float
    shoulder_w: float
    # eyes and brows
    eye_x: float
    eye_y: float
    eye_w: float  # half width
    eye_h: float  # height of the upper lid over the eye's axis
    eye_tilt: float
    eye_round: float  # exponent of the lid's curve
    iris: float  # radius as a share of eye_w
    lash: float
    spikes: float  # lashes that stand out at the outer corner
    brow_y: float
    brow_t: float
    brow_arc: float
    brow_tilt: float
    # mouth
    mouth_y: float
    mouth_w: float  # half width
    gap: float  # lip gap at jawOpen 1
    lip_t: float
    lip_alpha: float
    # hair, clothes, extras
    fringe: str
    back: str
    part: float  # where the hair parts, -1..1
    volume: float
    locks: int
    beard: float
    stubble: float
    clothes: str
    extra: str


def _hsv(h: float, s: float, v: float) -> RGB:
    r, g, b = colorsys.hsv_to_rgb(h % 1, min(max(s, 0.0), 1.0), min(max(v, 0.0), 1.0))
    return r, g, b


def _mix(a: RGB, b: RGB, t: float) -> RGB:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


_SKINS: tuple[RGB, ...] = (
    (1.0, 0.89, 0.82), (0.99, 0.84, 0.74), (0.96, 0.78, 0.65), (0.89, 0.69, 0.53), (0.77, 0.56, 0.41),
    (0.62, 0.42, 0.30), (0.47, 0.31, 0.23),
)  # fmt: skip


def _hair_colour(rng: np.random.Generator, style: str, age: float) -> RGB:
    u = rng.uniform
    if age > 0.7 and rng.random() < 0.7:
        return _hsv(u(0.05, 0.65), u(0.02, 0.08), u(0.55, 0.88))
    k = rng.random() + (0.12 if style == "cel" else 0.0)
    if k < 0.30:
        return _hsv(u(0.04, 0.08), u(0.45, 0.65), u(0.28, 0.48))  # brown
    if k < 0.50:
        return _hsv(u(0.55, 0.75), u(0.10, 0.28), u(0.17, 0.28))  # black with a blue cast
    if k < 0.64:
        return _hsv(u(0.10, 0.13), u(0.38, 0.58), u(0.80, 0.95))  # blond
    if k < 0.76:
        return _hsv(u(0.025, 0.06), u(0.62, 0.78), u(0.58, 0.80))  # copper
    return _hsv(u(0.45, 1.02), u(0.30, 0.52), u(0.62, 0.92))  # dyed


def sample_identity(seed: int) -> Identity:
    """Draws a character; the same seed gives the same character always.

    Args:
        seed: any non-negative integer.
    """
    r = np.random.default_rng([seed, 1])
    u = r.uniform
    style = str(r.choice(STYLES))
    masculine = bool(r.random() < 0.47)
    age = float(r.beta(1.1, 2.2))
    anime = (style == "cel" and r.random() < 0.65) or (style == "flat" and r.random() < 0.3)
    k = float(r.beta(1.0, 1.5)) * (len(_SKINS) - 1)
    skin = _mix(_SKINS[int(k)], _SKINS[min(int(k) + 1, len(_SKINS) - 1)], k % 1)
    hair = _hair_colour(r, style, age)
    if style == "flat":
        hair, skin = _mix(hair, (0.98, 0.88, 0.86), 0.18), _mix(skin, (1.0, 0.93, 0.9), 0.10)
    pastel = style == "flat"
    hue = u(0, 1)
    cloth = _hsv(hue, u(0.18, 0.4) if pastel else u(0.15, 0.62), u(0.72, 0.92) if pastel else u(0.28, 0.9))
    cloth2 = _hsv(hue + r.choice([0.08, 0.5, -0.1]), u(0.03, 0.35), u(0.78, 0.98))
    chin = u(0.355, 0.395) + (0.012 if masculine else 0) - (0.012 if anime else 0)
    mouth_y = min(u(0.208, 0.234), chin - 0.140)
    if masculine:
        fringe = str(r.choice(FRINGES, p=[0.12, 0.22, 0.10, 0.20, 0.18, 0.10, 0.08]))
        back = str(r.choice(BACKS, p=[0.80, 0.05, 0.02, 0.03, 0.0, 0.02, 0.02, 0.06]))
    else:
        fringe = str(r.choice(FRINGES, p=[0.34, 0.28, 0.24, 0.0, 0.02, 0.0, 0.12]))
        back = str(r.choice(BACKS, p=[0.07, 0.20, 0.22, 0.20, 0.08, 0.09, 0.08, 0.06]))
    if back in ("bob", "long", "wavy", "pony", "bun") and fringe in ("quiff", "undercut", "crop"):
        fringe = "curtain" if back != "bun" else "swept"
    extra = "glasses" if r.random() < 0.13 else str(r.choice(EXTRAS, p=[0.6, 0.13, 0.13, 0.0, 0.14]))
    if masculine and extra in ("headband", "clips", "earrings"):
        extra = "none"
    eye_w = u(0.106, 0.116) if anime else u(0.086, 0.104)
    bearded = masculine and not anime and r.random() < 0.42
    lip_natural = _mix(
        (skin[0] * 0.86, skin[1] * 0.62, skin[2] * 0.62), _hsv(u(0.96, 1.02), 0.5, 0.75), u(0.1, 0.4)
    )
    return Identity(
        seed=seed, style=style, masculine=masculine, age=age, skin=skin, hair=hair,
        eye=_hsv(u(0, 1), u(0.35, 0.7), u(0.5, 0.8)) if anime else _hsv(
            *((u(0.05, 0.09), 0.6, u(0.3, 0.5)), (u(0.52, 0.6), 0.5, 0.68), (u(0.24, 0.4), 0.4, 0.55))[
                int(r.choice(3, p=[0.5, 0.3, 0.2]))]),
        lip=lip_natural if masculine else _mix(lip_natural, _hsv(u(0.94, 1.02), 0.58, 0.80), u(0.2, 0.75)),
        cloth=cloth, cloth2=cloth2,
        line=u(0.75, 1.0) if style == "cel" else u(0.10, 0.3) if style == "painted" else u(0.0, 0.12),
        depth=u(0.6, 0.85) if style == "cel" else u(0.85, 1.1) if style == "painted" else u(0.25, 0.45),
        blush=u(0.05, 0.25) if masculine else u(0.2, 0.6),
        face_w=u(0.345, 0.372) + (0.010 if masculine else 0.0) + (0.008 if anime else 0), top=u(-0.595,
        -0.555),
        chin=chin, jaw=u(0.75, 0.83) if masculine else u(0.70, 0.78),
        chin_w=u(0.33, 0.42) if masculine else u(0.24, 0.33), nose=int(r.choice([0,
        3]) if anime else r.integers(1, 4)),
        neck_w=u(0.165, 0.19) if masculine else u(0.125, 0.145),
        shoulder_w=u(0.80, 0.90) if masculine else u(0.66, 0.76),
        eye_x=u(0.176, 0.190) + (0.006 if anime else 0), eye_y=u(0.004, 0.030), eye_w=eye_w,
        eye_h=(u(0.086, 0.102) if anime else u(0.050,
        0.070)) * (0.88 if masculine else 1.0) * (1 - 0.1 * age),
        eye_tilt=u(-0.014, 0.004), eye_round=u(1.9, 2.7), iris=u(0.50, 0.56) if anime else u(0.45, 0.51),
        lash=u(0.010, 0.014) if masculine else u(0.014, 0.022), spikes=0.0 if masculine else u(0.3, 1.0),
        brow_y=(u(0.126, 0.140) if anime else u(0.108, 0.126)) - (0.008 if masculine else 0),
        brow_t=u(0.017, 0.026) if masculine else u(0.010, 0.016),
        brow_arc=u(0.006, 0.016) if masculine else u(0.014, 0.026), brow_tilt=u(-0.004, 0.012),
        mouth_y=mouth_y, mouth_w=(u(0.088, 0.104) if masculine else u(0.080,
        0.098)) - (0.008 if anime else 0),
        gap=min(u(0.110, 0.138), chin + 0.07 - mouth_y - 0.085),
        lip_t=(u(0.011, 0.016) if masculine else u(0.015, 0.024)) * (0.7 if anime else 1.0),
        lip_alpha=u(0.3, 0.6) if masculine or anime else u(0.6, 0.95),
        fringe=fringe, back=back, part=u(0.25, 0.5) * r.choice([-1, 1]) if fringe != "curtain" else u(-0.1,
        0.1),
        volume=u(0.055, 0.085), locks=int(r.integers(6, 10)),
        beard=u(0.55, 1.0) if bearded and r.random() < 0.6 else 0.0, stubble=u(0.25, 0.6) if bearded else 0.0,
        clothes=str(r.choice(CLOTHES)), extra=extra,
    )  # fmt: skip


def default_identities() -> dict[str, Identity]:
    """The three characters that the product ships: amber, theo and mika."""
    base = sample_identity(7)
    amber = replace(
        base, seed=101, style="painted", masculine=False, age=0.2, skin=(0.98, 0.82, 0.71), hair=(0.56,
        0.29, 0.15),
        eye=(0.45, 0.52, 0.26), lip=(0.82, 0.40, 0.39), cloth=(0.86, 0.56, 0.33), cloth2=(0.98, 0.94, 0.87),
        line=0.25, depth=1.0, blush=0.45, face_w=0.353, top=-0.575, chin=0.375, jaw=0.735, chin_w=0.28,
        nose=2,
        neck_w=0.135, shoulder_w=0.70, eye_x=0.182, eye_y=0.018, eye_w=0.102, eye_h=0.070, eye_tilt=-0.009,
        eye_round=2.2, iris=0.50, lash=0.018, spikes=0.7, brow_y=0.122, brow_t=0.014, brow_arc=0.020,
        brow_tilt=0.002, mouth_y=0.222, mouth_w=0.094, gap=0.122, lip_t=0.020, lip_alpha=0.85, fringe="side",
        back="long", part=0.35, volume=0.075, locks=8, beard=0.0, stubble=0.0, clothes="jacket", extra="none",
    )  # fmt: skip
    theo = replace(
        amber, seed=202, style="flat", masculine=True, age=0.35, skin=(0.80, 0.58, 0.43), hair=(0.20, 0.15,
        0.17),
        eye=(0.33, 0.21, 0.13), lip=(0.68, 0.40, 0.34), cloth=(0.27, 0.43, 0.52), cloth2=(0.93, 0.90, 0.84),
        line=0.12, depth=0.6, blush=0.12, face_w=0.366, chin=0.397, jaw=0.82, chin_w=0.41, nose=2,
        neck_w=0.175,
        shoulder_w=0.84, eye_y=0.012, eye_w=0.094, eye_h=0.056, eye_tilt=-0.004, iris=0.47, lash=0.012,
        spikes=0.0,
        brow_y=0.108, brow_t=0.022, brow_arc=0.010, brow_tilt=0.004, mouth_y=0.226, mouth_w=0.099, gap=0.125,
        lip_t=0.014, lip_alpha=0.5, fringe="quiff", back="short", part=-0.3, volume=0.08, beard=0.75,
        stubble=0.5,
        clothes="shirt",
    )  # fmt: skip
    mika = replace(
        amber, seed=303, style="cel", age=0.0, skin=(1.0, 0.88, 0.81), hair=(0.46, 0.62, 0.90), eye=(0.62,
        0.36, 0.78),
        lip=(0.90, 0.50, 0.52), cloth=(0.96, 0.74, 0.36), cloth2=(0.30, 0.32, 0.52), line=0.9, depth=0.75,
        blush=0.55,
        face_w=0.370, chin=0.355, jaw=0.71, chin_w=0.24, nose=0, neck_w=0.122, shoulder_w=0.66, eye_x=0.190,
        eye_y=0.024, eye_w=0.114, eye_h=0.101, eye_tilt=-0.006, eye_round=2.5, iris=0.54, lash=0.021,
        spikes=1.0,
        brow_y=0.138, brow_t=0.012, brow_arc=0.018, mouth_y=0.212, mouth_w=0.080, gap=0.118, lip_t=0.012,
        lip_alpha=0.45, fringe="side", back="tails", part=-0.3, volume=0.085, locks=7, clothes="hoodie",
        extra="clips",
    )  # fmt: skip
    return {"amber": amber, "theo": theo, "mika": mika}

"""Paints the still layers of one identity with skia: hair behind, body, face, nose, hair in front."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import skia

from engine.train.data.brush import Point, curve, fill, gradient, mirrored, mix, oval, shape, stroke, tone
from engine.train.data.hair import CY, paint_back, paint_front
from engine.train.data.identity import Identity

UNITS = 2.3
"""A texture of `texture_px` pixels covers this many rest units."""
BOXES: dict[str, tuple[float, float, float, float]] = {
    "hair_back": (-1.0, -0.95, 1.0, 1.08),
    "body": (-1.15, 0.10, 1.15, 1.15),
    "face": (-0.55, -0.68, 0.55, 0.48),
    "nose": (-0.12, -0.10, 0.12, 0.22),
    "hair_front": (-0.62, -0.95, 0.62, 0.55),
}
"""left, top, right, bottom of each layer in rest units, in the order they are composited."""


def face_outline(p: Identity) -> skia.Path:
    """The face without ears."""
    w, jaw_y = p.face_w, CY + 0.22 + (p.chin - CY - 0.22) * 0.52
    right: list[Point] = [
        (0, p.top), (w * 0.58, p.top + 0.06), (w * 0.92, CY - 0.24), (w, CY - 0.02), (w * 0.985, CY + 0.10),
        (w * 0.925, CY + 0.22), (w * p.jaw, jaw_y), (w * p.chin_w, p.chin - 0.026),
    ]  # fmt: skip
    return curve([*mirrored([*right, (0, p.chin)])], True)


def _fabric(p: Identity) -> skia.Paint:
    """One paint for all parts of the garment, so that they join without a seam."""
    d, cloth = min(p.depth, 1), tone(p.cloth)
    tones = [mix(cloth, [1, 1, 1], 0.10 * d), cloth, mix(cloth, tone(p.cloth, 0.62), d)]
    return gradient((-0.2, 0.5), (0.2, 1.2), tones)


def _body(canvas: skia.Canvas, p: Identity) -> None:
    n, sh, pen, a = p.neck_w, p.shoulder_w, 0.008, p.line
    skin = tone(p.skin)
    shade, line, ink = tone(p.skin, 0.78, 1.0), tone(p.skin, 0.45, 0.8), tone(p.cloth, 0.42)
    d = min(p.depth, 1)
    slope = 0.585 if p.masculine else 0.60
    right: list[Point] = [
        (n * 0.9, 0.50),
        (n * 1.9, slope),
        (sh * 0.80, 0.685),
        (sh, 0.80),
        (sh + 0.10, 1.02),
        (sh + 0.13, 1.4),
    ]
    torso = curve([*((-x, y) for x, y in right), *reversed(right)], True)
    neck = curve(
        mirrored(
            [
                (0, 0.10),
                (n, 0.12),
                (n * 0.96, 0.40),
                (n * 1.25, 0.53),
                (n * 2.3, 0.61),
                (0.14, 0.82),
                (0, 0.86),
            ]
        ),
        True,
    )
    shape(canvas, torso, _fabric(p), ink, pen, a)
    canvas.save()
    canvas.clipPath(torso, True)
    for s in (-1, 1):
        canvas.drawPath(
            curve([(s * sh * 0.62, 1.3), (s * sh * 0.66, 1.02), (s * sh * 0.60, 0.90)]),
            stroke(ink, 0.008, 0.55),
        )
        canvas.drawOval(oval(s * sh * 0.86, 1.08, 0.16, 0.22), fill(tone(p.cloth, 0.55), 0.30 * d, 0.05))
    canvas.restore()
    shape(canvas, neck, gradient((0, 0.2), (0, 0.85), [skin, mix(skin, shade, 0.25)]), line, pen, a * 0.8)
    canvas.save()
    canvas.clipPath(neck, True)
    soft = 0.006 if p.style == "cel" else 0.022
    canvas.drawPath(curve([(-0.4, 0.1), (-0.30, p.chin), (-0.10, p.chin + 0.095), (0.12, p.chin + 0.105),
    (0.3, p.chin), (0.4, 0.1)], True),
                    fill(shade, 0.6 + 0.25 * d, soft))  # fmt: skip
    for s in (-1, 1):
        canvas.drawPath(
            curve([(s * 0.035, 0.672), (s * 0.13, 0.645), (s * n * 2.0, 0.632)]),
            stroke(shade, 0.010, 0.8 * d, 0.003),
        )
        canvas.drawPath(
            curve([(s * n * 0.75, 0.44), (s * 0.05, 0.64)]), stroke(shade, 0.016, 0.35 * d, 0.008)
        )
    canvas.restore()
    _CLOTHES[p.clothes](canvas, p)


def _tee(canvas: skia.Canvas, p: Identity) -> None:
    n, a = p.neck_w, p.line
    neck = [(-n * 2.05, 0.575), (-n * 1.25, 0.70), (0, 0.765), (n * 1.25, 0.70), (n * 2.05, 0.575)]
    cover = curve([*neck, (n * 2.6, 0.66), (0.36, 0.9), (-0.36, 0.9), (-n * 2.6, 0.66)], True)
    canvas.drawPath(cover, _fabric(p))
    canvas.drawPath(curve(neck), stroke(tone(p.cloth, 0.42), 0.044, a * 0.9))
    canvas.drawPath(curve(neck), stroke(tone(p.cloth2) if p.seed % 2 else tone(p.cloth, 0.88), 0.034))


def _shirt(canvas: skia.Canvas, p: Identity) -> None:
    n, ink = p.neck_w, tone(p.cloth, 0.42)
    cover = curve(
        [
            (-n * 1.3, 0.52),
            (-n * 0.6, 0.72),
            (0, 0.83),
            (n * 0.6, 0.72),
            (n * 1.3, 0.52),
            (n * 2.0, 0.552),
            (n * 2.5, 0.608),
            (n * 2.8, 0.68),
            (0.36, 1.2),
            (-0.36, 1.2),
            (-n * 2.8, 0.68),
            (-n * 2.5, 0.608),
            (-n * 2.0, 0.552),
        ],
        True,
    )
    canvas.drawPath(cover, _fabric(p))
    canvas.drawPath(curve([(0, 0.80), (0.012, 0.95), (0.012, 1.2)]), stroke(ink, 0.008, 0.5 + 0.3 * p.line))
    for y in (0.90, 1.02):
        canvas.drawOval(oval(-0.028, y, 0.012, 0.012), fill(tone(p.cloth2), 1.0))
    for s in (-1, 1):
        flap = curve(
            [
                (s * n * 1.10, 0.455),
                (s * n * 1.75, 0.545),
                (s * n * 1.5, 0.70),
                (s * 0.115, 0.86),
                (s * 0.006, 0.80),
                (s * n * 0.62, 0.69),
            ],
            True,
        )
        canvas.save()
        canvas.translate(0, 0.014)
        canvas.drawPath(flap, fill(ink, 0.35, 0.008))
        canvas.restore()
        light = mix(tone(p.cloth), [1, 1, 1], 0.16)
        shape(
            canvas,
            flap,
            gradient((0, 0.5), (0, 0.86), [light, tone(p.cloth, 0.95)]),
            ink,
            0.008,
            max(p.line, 0.25),
        )


def _hoodie(canvas: skia.Canvas, p: Identity) -> None:
    n, ink, a = p.neck_w, tone(p.cloth, 0.42), max(p.line, 0.25)
    light, deep = mix(tone(p.cloth), [1, 1, 1], 0.10), tone(p.cloth, 0.72)
    for s in (-1, 1):
        inside = [(s * n * 0.97, 0.41), (s * n * 1.3, 0.40), (s * n * 1.35, 0.66), (s * n * 1.06, 0.62)]
        canvas.drawPath(curve(inside, True), fill(tone(p.cloth, 0.5)))
        hood = curve(
            [
                (s * n * 1.02, 0.36),
                (s * n * 2.3, 0.44),
                (s * n * 2.9, 0.60),
                (s * n * 1.8, 0.80),
                (s * 0.02, 0.95),
                (0, 0.87),
                (s * n * 0.95, 0.72),
                (s * n * 1.15, 0.52),
            ],
            True,
        )
        shape(
            canvas,
            hood,
            gradient((s * n, 0.4), (s * n * 2.2, 0.85), [deep, light, tone(p.cloth, 0.86)]),
            ink,
            0.008,
            a,
        )
        canvas.drawPath(
            curve([(s * n * 1.25, 0.42), (s * n * 1.45, 0.58), (s * n * 1.2, 0.74), (s * 0.06, 0.88)]),
            stroke(ink, 0.006, 0.35),
        )
    for s in (-1, 1):
        cord = curve([(s * 0.085, 0.87), (s * 0.10, 0.98), (s * 0.092, 1.07)])
        canvas.drawPath(cord, stroke(ink, 0.022, 0.5))
        canvas.drawPath(cord, stroke(tone(p.cloth2), 0.016))


def _jacket(canvas: skia.Canvas, p: Identity) -> None:
    n, ink, a = p.neck_w, tone(p.cloth, 0.40), max(p.line, 0.25)
    inner = curve(
        [(-n * 1.9, 0.58), (-n, 0.70), (0, 0.745), (n, 0.70), (n * 1.9, 0.58), (0.3, 1.3), (-0.3, 1.3)], True
    )
    canvas.drawPath(inner, gradient((0, 0.6), (0, 1.2), [tone(p.cloth2), tone(p.cloth2, 0.86)]))
    canvas.drawPath(
        curve([(-n * 1.75, 0.60), (-n, 0.70), (0, 0.745), (n, 0.70), (n * 1.75, 0.60)]),
        stroke(tone(p.cloth2, 0.80), 0.014, 0.8),
    )
    for s in (-1, 1):
        side = curve(
            [
                (s * n * 1.55, 0.50),
                (s * n * 2.4, 0.60),
                (s * 0.52, 0.9),
                (s * 0.52, 1.4),
                (s * 0.10, 1.4),
                (s * 0.15, 1.0),
                (s * n * 1.6, 0.72),
            ],
            True,
        )
        canvas.drawPath(side, gradient((0, 0.5), (s * 0.3, 1.2), [tone(p.cloth), tone(p.cloth, 0.84)]))
        lapel = curve(
            [
                (s * n * 1.40, 0.475),
                (s * n * 2.25, 0.575),
                (s * n * 2.75, 0.78),
                (s * n * 2.1, 0.86),
                (s * 0.16, 1.15),
                (s * n * 1.35, 0.78),
                (s * n * 1.6, 0.62),
            ],
            True,
        )
        shape(
            canvas,
            lapel,
            gradient(
                (s * n, 0.5), (s * n * 2.4, 0.95), [tone(p.cloth, 0.80), mix(tone(p.cloth), [1, 1, 1], 0.10)]
            ),
            ink,
            0.008,
            a,
        )


def _turtleneck(canvas: skia.Canvas, p: Identity) -> None:
    n, ink, a = p.neck_w, tone(p.cloth, 0.42), max(p.line, 0.2)
    base = curve([(-n * 2.3, 0.60), (-n, 0.50), (n, 0.50), (n * 2.3, 0.60), (0.34, 0.9), (-0.34, 0.9)], True)
    canvas.drawPath(base, _fabric(p))
    roll = curve(
        [
            (-n * 1.10, 0.415),
            (0, 0.475),
            (n * 1.10, 0.415),
            (n * 1.30, 0.56),
            (n * 0.9, 0.625),
            (0, 0.65),
            (-n * 0.9, 0.625),
            (-n * 1.30, 0.56),
        ],
        True,
    )
    shape(
        canvas,
        roll,
        gradient((0, 0.42), (0, 0.65), [mix(tone(p.cloth), [1, 1, 1], 0.12), tone(p.cloth, 0.82)]),
        ink,
        0.008,
        a,
    )
    for q in np.linspace(-0.8, 0.8, 7):
        canvas.drawPath(
            curve([(q * n, 0.47 - 0.03 * q * q), (q * n * 1.15, 0.61 - 0.02 * q * q)]),
            stroke(ink, 0.005, 0.25),
        )


_CLOTHES: dict[str, Callable[[skia.Canvas, Identity], None]] = {
    "tee": _tee, "shirt": _shirt, "hoodie": _hoodie, "jacket": _jacket, "turtleneck": _turtleneck,
}  # fmt: skip


def _face(canvas: skia.Canvas, p: Identity) -> None:
    w, d, pen = p.face_w, min(p.depth, 1.1), 0.008
    skin, shade, line = tone(p.skin), tone(p.skin, 0.80, 1.0), tone(p.skin, 0.45, 0.8)
    for s in (-1, 1):
        ear = curve(
            [
                (s * (w - 0.04), CY + 0.03),
                (s * (w + 0.02), CY + 0.015),
                (s * (w + 0.052), CY + 0.06),
                (s * (w + 0.035), CY + 0.15),
                (s * (w + 0.0), CY + 0.215),
                (s * (w - 0.05), CY + 0.21),
            ],
            True,
        )
        shape(canvas, ear, fill(mix(skin, shade, 0.3)), line, pen, p.line)
        canvas.drawPath(
            curve(
                [(s * (w + 0.004), CY + 0.055), (s * (w + 0.030), CY + 0.075), (s * (w + 0.010), CY + 0.145)]
            ),
            stroke(shade, 0.012, 0.9),
        )
        if p.extra == "earrings":
            canvas.drawOval(
                oval(s * (w + 0.005), CY + 0.232, 0.017, 0.017),
                fill(mix([0.95, 0.8, 0.4], tone(p.cloth2), 0.4)),
            )
    face = face_outline(p)
    canvas.drawPath(
        face,
        gradient((0, p.top), (0, p.chin), [mix(skin, [1, 1, 1], 0.05 * d), skin, mix(skin, shade, 0.22 * d)]),
    )
    canvas.save()
    canvas.clipPath(face, True)
    if p.style == "painted":
        for s in (-1, 1):
            canvas.drawOval(oval(s * (w + 0.02), 0.02, 0.085, 0.40), fill(shade, 0.50, 0.045))
            canvas.drawOval(oval(s * p.eye_x, p.eye_y - 0.05, 0.12, 0.055), fill(shade, 0.34, 0.028))
        canvas.drawOval(oval(0, p.chin + 0.02, 0.16, 0.05), fill(shade, 0.5, 0.03))
        canvas.drawOval(oval(-0.02, -0.27, 0.14, 0.06), fill([1, 1, 1], 0.16, 0.04))
        canvas.drawOval(oval(0, p.mouth_y + 0.075, 0.07, 0.012), fill(shade, 0.45, 0.012))
    elif p.style == "cel":
        edge = [
            (w * 1.1, -0.3),
            (w * 0.93, -0.05),
            (w * 0.90, 0.10),
            (w * p.jaw * 0.93, 0.235),
            (w * p.chin_w * 0.9, p.chin - 0.035),
        ]
        canvas.drawPath(
            curve([*edge, (0.0, p.chin - 0.012), (0, p.chin + 0.1), (w * 1.2, 0.4)], True),
            fill(shade, 0.42 * d, 0.004),
        )
    for s in (-1, 1):
        rosy = mix(skin, [0.94, 0.36, 0.38], 0.5)
        canvas.drawOval(oval(s * w * 0.60, 0.135, 0.082, 0.040), fill(rosy, p.blush * 0.75, 0.030))
        if p.style == "cel" and p.blush > 0.35:
            for k in (-1, 0, 1):
                x = s * w * 0.60 + k * 0.030
                canvas.drawPath(
                    curve([(x + 0.008, 0.120), (x - 0.008, 0.148)]), stroke(rosy * 0.92, 0.006, 0.5)
                )
        if p.age > 0.5:
            fold = (p.age - 0.4) * 0.9
            canvas.drawPath(
                curve(
                    [(s * 0.072, 0.128), (s * (p.mouth_w + 0.022), 0.175), (s * (p.mouth_w + 0.034), 0.225)]
                ),
                stroke(shade, 0.011, fold, 0.004),
            )
            canvas.drawPath(
                curve(
                    [
                        (s * (p.eye_x - 0.07), p.eye_y + 0.075),
                        (s * p.eye_x, p.eye_y + 0.088),
                        (s * (p.eye_x + 0.06), p.eye_y + 0.075),
                    ]
                ),
                stroke(shade, 0.009, fold * 0.9, 0.004),
            )
    if p.stubble or p.beard:
        _beard(canvas, p)
    canvas.restore()
    canvas.drawPath(face, stroke(line, pen, p.line))


def _beard(canvas: skia.Canvas, p: Identity) -> None:
    """Hair on the face as shading; it moves with the jaw because it is part of the face."""
    w, my, m = p.face_w, p.mouth_y, p.mouth_w
    colour = mix(tone(p.hair, 0.62), tone(p.skin, 0.6), 0.25)
    side: list[Point] = [
        (w * 1.06, 0.02),
        (w * 0.97, 0.03),
        (w * 0.84, 0.15),
        (m + 0.075, my - 0.035),
        (m + 0.028, my - 0.052),
        (0.03, my - 0.066),
        (0, my - 0.058),
    ]
    area = curve(
        [
            *side,
            *((-x, y) for x, y in side[-2::-1]),
            (-w * 0.9, p.chin + 0.06),
            (0, p.chin + 0.12),
            (w * 0.9, p.chin + 0.06),
        ],
        True,
    )
    canvas.drawPath(area, fill(colour, (0.14 if p.style == "flat" else 0.30) * p.stubble, 0.018))
    if p.beard:
        canvas.drawPath(area, fill(colour, 0.85 * p.beard, 0.012 if p.style == "painted" else 0.004))
        bare = skia.Path().addOval(oval(0, my + 0.006, m * 0.92, 0.024))
        canvas.drawPath(bare, fill(tone(p.skin, 0.92), 0.9, 0.007))


def _nose(canvas: skia.Canvas, p: Identity) -> None:
    y, d = 0.108 + 0.3 * (p.mouth_y - 0.22), min(p.depth, 1)
    shade, line = tone(p.skin, 0.76, 1.0), tone(p.skin, 0.50, 0.8)
    if p.nose == 0:
        canvas.drawPath(
            curve([(-0.004, y - 0.022), (0.014, y + 0.002), (-0.004, y + 0.008)]), stroke(line, 0.0075, 0.75)
        )
        return
    if p.nose == 3:
        canvas.drawOval(oval(0, y + 0.004, 0.020, 0.009), fill(shade, 0.75, 0.004))
        canvas.drawOval(oval(-0.004, y - 0.018, 0.008, 0.010), fill([1, 1, 1], 0.55, 0.005))
        return
    wide = 0.036 if p.masculine else 0.030
    canvas.drawPath(
        curve(
            [(0.012, y - 0.125), (0.020, y - 0.06), (0.030, y - 0.005), (0.0, y + 0.006), (0.004, y - 0.06)],
            True,
        ),
        fill(shade, 0.50 * d, 0.010),
    )
    canvas.drawOval(oval(0, y + 0.010, wide * 1.1, 0.010), fill(shade, 0.65, 0.008))
    if p.nose == 1:
        canvas.drawOval(oval(-0.005, y - 0.035, 0.010, 0.040), fill([1, 1, 1], 0.30 * d, 0.010))
        canvas.drawOval(oval(-0.004, y - 0.012, 0.011, 0.009), fill([1, 1, 1], 0.35, 0.006))
    under = [
        (-wide, y - 0.004),
        (-wide * 0.62, y + 0.010),
        (-0.008, y + 0.008),
        (0.008, y + 0.011),
        (wide * 0.62, y + 0.010),
        (wide, y - 0.004),
    ]
    if p.nose == 1:
        for s in (-1, 1):
            canvas.drawPath(
                curve([(s * wide * 0.78, y + 0.007), (s * wide * 0.42, y + 0.008)]),
                stroke(line, 0.0075, 0.65, 0.001),
            )
    else:
        canvas.drawPath(curve(under), stroke(line, 0.0065, 0.55 + 0.25 * p.line))


def _glasses(canvas: skia.Canvas, p: Identity) -> None:
    frame = tone(p.cloth2, 0.35) if p.seed % 3 else tone([0.16, 0.15, 0.18])
    for s in (-1, 1):
        lens = skia.RRect.MakeRectXY(oval(s * p.eye_x, p.eye_y + 0.012, 0.132, 0.105), 0.085, 0.085)
        canvas.drawRRect(lens, fill([1, 1, 1], 0.07))
        canvas.drawRRect(lens, stroke(frame, 0.012))
        canvas.drawPath(
            curve([(s * (p.eye_x + 0.13), p.eye_y - 0.02), (s * (p.face_w + 0.012), p.eye_y - 0.035)]),
            stroke(frame, 0.011),
        )
    b = p.eye_x - 0.132
    canvas.drawPath(
        curve([(-b, p.eye_y - 0.005), (0, p.eye_y - 0.022), (b, p.eye_y - 0.005)]), stroke(frame, 0.011)
    )


def _front(canvas: skia.Canvas, p: Identity) -> None:
    paint_front(canvas, p, face_outline(p))
    if p.extra == "glasses":
        _glasses(canvas, p)


_PAINTERS: dict[str, Callable[[skia.Canvas, Identity], None]] = {
    "hair_back": paint_back, "body": _body, "face": _face, "nose": _nose, "hair_front": _front,
}  # fmt: skip


def paint_layers(p: Identity, texture_px: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Paints the layers of a character, each cropped to its box.

    Args:
        p: whom to paint.
        texture_px: pixels for `UNITS` rest units.

    Returns:
        name of `BOXES` -> uint8 [h, w, 4], premultiplied RGBA; h and w are multiples of 8.
    """
    scale = texture_px / UNITS
    layers = {}
    for name, (left, top, right, bottom) in BOXES.items():
        w, h = (max(8, round(side * scale / 8) * 8) for side in (right - left, bottom - top))
        surface = skia.Surface(w, h)
        canvas = surface.getCanvas()
        canvas.scale(w / (right - left), h / (bottom - top))
        canvas.translate(-left, -top)
        _PAINTERS[name](canvas, p)
        pixels = np.zeros((h, w, 4), np.uint8)
        info = skia.ImageInfo.Make(w, h, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
        surface.readPixels(info, pixels)
        layers[name] = pixels
    return layers

"""Strokes and fills of the painter: a thin layer over skia in rest units (see `identity`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import skia

Array = npt.NDArray[np.float64]
Point = tuple[float, float]


def tone(colour: Sequence[float] | Array, gain: float = 1.0, warm: float = 0.0) -> Array:
    """A darker (gain < 1) or lighter tone; `warm` keeps red up while it darkens, as skin does."""
    c = np.asarray(colour, float)
    return np.clip(c * gain + np.array([0.06, -0.01, -0.005]) * warm, 0, 1)


def mix(a: Sequence[float] | Array, b: Sequence[float] | Array, t: float) -> Array:
    """Colour between a (t = 0) and b (t = 1)."""
    return np.clip(np.asarray(a, float) * (1 - t) + np.asarray(b, float) * t, 0, 1)


def _colour(c: Sequence[float] | Array, alpha: float = 1.0) -> skia.Color4f:
    return skia.Color4f(
        *(float(v) for v in np.clip(np.asarray(c, float), 0, 1)), float(min(max(alpha, 0), 1))
    )


def fill(c: Sequence[float] | Array, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
    """A flat fill; `blur` is the softness of its edge."""
    paint = skia.Paint(AntiAlias=True, Color4f=_colour(c, alpha))
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def stroke(c: Sequence[float] | Array, width: float, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
    """A round pen."""
    paint = fill(c, alpha, blur)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


def gradient(
    p0: Point, p1: Point, colours: Sequence[Array], alphas: Sequence[float] | None = None
) -> skia.Paint:
    """A linear gradient from p0 to p1."""
    alphas = alphas or [1.0] * len(colours)
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(*p0), skia.Point(*p1)],
        [_colour(c, a).toColor() for c, a in zip(colours, alphas, strict=True)],
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def curve(points: Sequence[Point], closed: bool = False) -> skia.Path:
    """Smooth path through the points (Catmull and Rom)."""
    p = [np.array(q, float) for q in points]
    n = len(p)
    path = skia.Path()
    path.moveTo(*map(float, p[0]))
    for i in range(n if closed else n - 1):
        a, b, c, d = (p[j % n] if closed else p[min(max(j, 0), n - 1)] for j in range(i - 1, i + 3))
        first, second = b + (c - a) / 6, c - (d - b) / 6
        path.cubicTo(*map(float, first), *map(float, second), *map(float, c))
    if closed:
        path.close()
    return path


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Points from top centre down the right side, closed over the left side."""
    return [*points, *((-x, y) for x, y in reversed(points) if x != 0)]


def oval(x: float, y: float, rx: float, ry: float) -> skia.Rect:
    """The box of an ellipse."""
    return skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry)


def shape(
    canvas: skia.Canvas, path: skia.Path, paint: skia.Paint, line: Array, width: float, alpha: float
) -> None:
    """A filled shape with its outline."""
    canvas.drawPath(path, paint)
    if alpha > 0.02:
        canvas.drawPath(path, stroke(line, width, alpha))


def lock(
    canvas: skia.Canvas,
    bend: tuple[Point, Point, Point],
    width: float,
    colours: Sequence[Array],
    line: Array,
    alpha: float,
    pen: float = 0.007,
    root: float = 0.3,
    belly: float = 0.35,
    start: float = 0.72,
) -> None:
    """One tapered clump of hair along a quadratic curve, root to tip.

    Args:
        canvas: where to draw.
        bend: root, control point and tip of the curve.
        width: full width of the thickest place.
        colours: of the gradient from root to tip.
        line: colour of the outline; it starts after the share `root` of the length,
        so that roots melt together.
        alpha: strength of the outline.
        pen: width of the outline.
        root: where the outline starts, 0..1.
        start: width at the root as a share of the thickest place.
        belly: where the clump is thickest, 0..1.
    """
    a, b, c = (np.array(q, float) for q in bend)
    t = np.linspace(0, 1, 13)[:, None]
    spine = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    way = 2 * (1 - t) * (b - a) + 2 * t * (c - b)
    normal = np.stack([-way[:, 1], way[:, 0]], 1) / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-6)
    swell = start + (1 - start) * np.sin(np.clip(t / belly, 0, 1) * np.pi / 2)
    thin = np.cos(np.clip((t - belly) / (1 - belly), 0, 1) * np.pi / 2).clip(0) ** 0.85
    body = np.where(t < belly, swell, thin)
    left, right = spine + normal * body * width / 2, spine - normal * body * width / 2
    outline = [(float(x), float(y)) for x, y in np.concatenate([left, right[-2::-1]])]
    canvas.drawPath(curve(outline, True), gradient((a[0], a[1]), (c[0], c[1]), colours))
    if alpha > 0.02:
        k = int(root * 12)
        edge = np.concatenate([left[k:], right[-2 : -(14 - k) : -1]])
        canvas.drawPath(curve([(float(x), float(y)) for x, y in edge]), stroke(line, pen, alpha))

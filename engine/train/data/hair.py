"""Hair of the painter: what falls behind the head and what lies over it."""

from __future__ import annotations

import math

import numpy as np
import skia

from engine.train.data.brush import Point, curve, fill, lock, mirrored, mix, oval, shape, stroke, tone
from engine.train.data.brush import gradient as ramp
from engine.train.data.identity import Identity

Bend = tuple[Point, Point, Point]
CY = -0.1
"""Height of the face's centre in rest units."""


class _Hair:
    """Tones and sizes that all pieces share."""

    def __init__(self, p: Identity, salt: int) -> None:
        self.p, self.rng = p, np.random.default_rng([p.seed, salt])
        d = p.depth
        self.base = tone(p.hair)
        self.dark = mix(self.base, tone(p.hair, 0.50) * np.array([0.95, 0.9, 1.08]), 0.9 * min(d, 1))
        self.mid = mix(self.base, self.dark, 0.45)
        self.light = mix(self.base, [1.0, 0.96, 0.9], 0.30 * min(d, 1))
        self.line = tone(p.hair, 0.34) * np.array([1.0, 0.9, 1.0])
        self.pen = 0.0075
        self.w, self.y = p.face_w + p.volume * 0.75, p.top - p.volume * 1.15
        self.alpha = p.line * 0.85

    def jitter(self, scale: float) -> float:
        return float(self.rng.normal() * scale)

    def outer(self, grow: float = 0.0, low: float = CY + 0.05) -> list[Point]:
        """Right half of the skull's silhouette with hair, from the top down."""
        w, y = self.w + grow, self.y - grow
        return [(0, y), (w * 0.42, y + 0.035), (w * 0.78, y + 0.15), (w * 0.985, y + 0.34), (w * 1.0, low)]


def paint_back(canvas: skia.Canvas, p: Identity) -> None:
    """Draws the layer behind the head and the neck."""
    h = _Hair(p, 3)
    w, y, back = h.w, h.y, p.back
    length = {
        "bob": 0.30,
        "long": 0.92,
        "wavy": 0.74,
        "tails": 0.12,
        "bun": 0.10,
        "pony": 0.10,
        "short": 0.08,
    }.get(back, 0.2)
    wide = {"bob": 0.10, "wavy": 0.13}.get(back, 0.0)
    if back == "curly":
        for ring, grow, gain in ((15, 0.10, h.dark), (13, 0.055, h.mid)):
            for i in range(ring):
                a = math.pi * (-0.18 + 1.36 * i / (ring - 1))
                x, yy = (
                    (w + grow - 0.07) * math.cos(a),
                    CY - 0.13 - (CY - 0.16 - y + grow - 0.07) * math.sin(a),
                )
                q = 0.115 + h.jitter(0.008)
                path = skia.Path().addOval(oval(x, yy, q, q))
                shape(canvas, path, fill(gain), h.line, h.pen, h.alpha * 0.8)
        return
    if back == "tails":
        for s in (-1, 1):
            for i in range(4):
                x = s * (0.50 + 0.05 * i)
                lock(
                    canvas, ((s * 0.36, -0.42), (s * (0.66 + 0.045 * i), -0.42), (x + h.jitter(0.02),
                    0.62 - 0.09 * i)),
                    0.19 - 0.02 * i, [h.mid, h.base, h.base, h.dark], h.line, h.alpha, root=0.1, belly=0.5,
                )  # fmt: skip
            shape(canvas, skia.Path().addOval(oval(s * 0.40, -0.42, 0.045, 0.055)), fill(tone(p.cloth2)),
            h.line,
                  h.pen, h.alpha)  # fmt: skip
    if back == "bun":
        ball = skia.Path().addOval(oval(0, y - 0.055, 0.15, 0.125))
        shape(
            canvas,
            ball,
            ramp((-0.05, y - 0.17), (0.05, y + 0.05), [h.light, h.base, h.dark]),
            h.line,
            h.pen,
            h.alpha,
        )
        for q in (-0.08, 0.0, 0.08):
            canvas.drawPath(
                curve([(q * 0.5, y - 0.17), (q * 1.5, y - 0.09), (q, y)]), stroke(h.line, 0.005, 0.3)
            )
    if back == "pony":
        for i in range(4):
            x = 0.47 + 0.05 * i
            lock(canvas, ((0.20, -0.5), (0.72, -0.42), (x + 0.02, 0.55 - 0.12 * i)), 0.17, [h.mid, h.base,
            h.dark],
                 h.line, h.alpha, root=0.1, belly=0.5)  # fmt: skip
    side: list[Point] = [*h.outer(0.0)]
    if back in ("bob", "long", "wavy"):
        side += [(w + wide * 0.8, 0.12), (w + wide, min(length, 0.5) * 0.8), (w + wide * 0.5, length)]
    else:
        side += [(w * 0.95, 0.06), (w * 0.72, length + 0.06)]
    if back == "wavy":
        side[-3:] = [
            (w + 0.02, 0.04),
            (w + 0.10, 0.22),
            (w + 0.05, 0.42),
            (w + 0.12, 0.58),
            (w + 0.03, length),
        ]
    low = side[-1]
    bottom = [(low[0] * q, length + (0.03 if i % 2 else -0.01)) for i, q in enumerate((0.66, 0.33))]
    path = curve(mirrored([*side, *bottom, (0, length)]), True)
    shape(canvas, path, ramp((0, y), (0, max(length, 0.25)), [h.mid, h.dark, h.dark]), h.line, h.pen, h.alpha)
    if back in ("bob", "long", "wavy"):
        n = 5
        for s in (-1, 1):
            for i in range(n):  # clumps along the side, the outermost last
                f = (i + 0.6) / n
                x0, x1 = w * (0.50 + 0.38 * f), (w + wide * 0.75) * (0.50 + 0.5 * f)
                tip = length + 0.05 - 0.045 * f + h.jitter(0.012)
                out = x1 + (0.03 if back == "wavy" else -0.05 if back == "bob" else -0.02)
                belly = x1 + wide * (0.9 if back != "long" else 0.4)
                lock(canvas, ((s * x0, CY - 0.30), (s * belly, tip * 0.35), (s * out, tip)), 0.135,
                     [h.dark, mix(h.dark, h.base, 0.25 + 0.5 * f), mix(h.dark, h.base, 0.1 + 0.35 * f)],
                     h.line, h.alpha * 0.7, root=0.40, belly=0.62, start=0.2)  # fmt: skip


def _hairline(h: _Hair, y: float, peak: float) -> list[Point]:
    """Lower edge of the cap from the right temple to the left one."""
    f = h.p.face_w
    right: list[Point] = [
        (f * 0.955, CY - 0.06),
        (f * 0.90, y + 0.14),
        (f * 0.74, y + 0.052),
        (f * 0.38, y + 0.004 - peak * 0.4),
    ]
    return [*right, (0, y - peak), *((-a, b) for a, b in reversed(right))]


def _cap(h: _Hair, y: float, peak: float, grow: float = 0.0) -> skia.Path:
    top = h.outer(grow, CY - 0.10)
    top[3] = (top[3][0], min(top[3][1], CY - 0.22))
    top.append((h.p.face_w * 1.005, CY + 0.045))
    silhouette = [*((-a, b) for a, b in reversed(top)), *top[1:]]
    path = curve(silhouette)
    edge = curve(_hairline(h, y, peak))
    path.addPath(edge, skia.Path.kExtend_AddPathMode)
    path.close()
    return path


def _band(canvas: skia.Canvas, h: _Hair, clip: skia.Path) -> None:
    """The band of light over the crown, with strands."""
    p, w, y = h.p, h.w, h.y
    canvas.save()
    canvas.clipPath(clip, True)
    if p.style != "flat":
        soft = 0.010 if p.style == "cel" else 0.030
        arc = [
            (-w * 0.88, y + 0.33),
            (-w * 0.55, y + 0.19),
            (-w * 0.1, y + 0.155),
            (w * 0.45, y + 0.185),
            (w * 0.85, y + 0.33),
        ]
        canvas.drawPath(curve(arc), stroke(h.light, 0.050, 0.75 * p.depth, soft))
        canvas.drawPath(
            curve(arc[1:4]), stroke(mix(h.light, [1, 1, 1], 0.5), 0.016, 0.55 * p.depth, soft * 0.5)
        )
    canvas.restore()


def _strands(canvas: skia.Canvas, h: _Hair, ends: list[Point], x0: float, alpha: float) -> None:
    for x, yy in ends:
        mid = (x0 * 0.35 + x * 0.72, (h.y + yy) / 2 - 0.05)
        canvas.drawPath(curve([(x0 + x * 0.06, h.y + 0.02), mid, (x, yy)]), stroke(h.line, 0.0045, alpha))


def _sidelocks(canvas: skia.Canvas, h: _Hair) -> None:
    p, w = h.p, h.w
    long = {"bob": 0.24, "long": 0.52, "wavy": 0.44, "tails": 0.26, "pony": 0.22, "bun": 0.16}.get(
        p.back, 0.05
    )
    for s in (-1, 1):
        n = 1 if p.masculine else 2
        for i in range(n):
            tip = CY + 0.10 + long * (1.0 - 0.38 * i) + h.jitter(0.012)
            x = s * (w * (0.90 - 0.03 * i))
            bend = s * (w - 0.015 + (0.045 if p.back == "wavy" else 0.0))
            lock(canvas, ((x * 0.98, CY - 0.30), (bend, CY + 0.02), (x * (0.96 - 0.03 * i), tip)),
            0.080 - 0.015 * i,
                 [h.base, h.base, h.mid], h.line, h.alpha, root=0.3, belly=0.5, start=0.15)  # fmt: skip


def paint_front(canvas: skia.Canvas, p: Identity, face: skia.Path) -> None:
    """Draws the layer over the face: cap, fringe, locks at the sides, a soft shadow on the forehead."""
    h = _Hair(p, 5)
    w, y, f = h.w, h.y, p.fringe
    shade = tone(p.skin, 0.80, 1.0)
    line_y = p.top + (
        0.165 if f in ("bangs", "side", "curtain") else 0.215 + 0.03 * (p.age > 0.6 and p.masculine)
    )
    short = f in ("quiff", "undercut", "crop") and p.masculine
    cap = _cap(
        h,
        line_y,
        0.02 if f != "curtain" else 0.06,
        -0.045 if short and f != "crop" else -0.03 if short else 0.0,
    )
    canvas.save()
    canvas.clipPath(face, True)
    canvas.translate(0, 0.028)
    canvas.drawPath(cap, fill(shade, 0.55 * min(p.depth + 0.2, 1), 0.012))
    canvas.restore()
    x0 = p.part * w * (0.5 if f != "bangs" else 0.15)
    locks = _fringe_locks(h, x0) if p.back != "curly" and f in ("bangs", "side", "curtain") else []
    canvas.save()
    canvas.clipPath(face, True)
    canvas.translate(0.004, 0.024)
    for bend, width in locks:
        lock(canvas, bend, width * 0.95, [shade, shade], shade, 0.0)
    canvas.restore()
    if not short:
        _sidelocks(canvas, h)
    if f == "undercut":
        shape(
            canvas,
            cap,
            ramp((0, line_y), (0, CY), [h.dark, mix(h.dark, p.skin, 0.45)]),
            h.line,
            h.pen,
            h.alpha * 0.5,
        )
    else:
        tones = [h.mid, h.base, h.base if f not in ("swept", "quiff") else h.mid]
        shape(canvas, cap, ramp((0, y), (0, line_y + 0.1), tones), h.line, h.pen, h.alpha)
    if p.back == "curly":
        _curls(canvas, h, line_y)
    elif f == "swept":
        _strands(
            canvas, h, [(w * q, line_y + 0.02 + 0.14 * q * q) for q in np.linspace(-0.85, 0.85, 9)], 0.0, 0.35
        )
    elif f == "crop":
        _spikes(canvas, h, line_y + 0.040, 0.11, 9, 0.035 if p.part > 0 else -0.035)
    elif f in ("quiff", "undercut"):
        _volume(canvas, h, line_y)
    else:
        _fringe(canvas, h, locks)
    if p.back != "curly" and f not in ("undercut", "quiff", "crop"):
        _band(canvas, h, cap)
    if p.style == "cel" and not short and p.back != "curly":  # one lock that flies away
        bend = (
            (x0 * 0.6, y + 0.03),
            (x0 * 0.6 + 0.02, y - 0.05),
            (x0 * 0.6 + (0.10 if p.part > 0 else -0.10), y - 0.035),
        )
        lock(canvas, bend, 0.026, [h.base, h.base], h.line, h.alpha, root=0.2, belly=0.5, start=0.4)
    _extras(canvas, h)


def _fringe_locks(h: _Hair, x0: float) -> list[tuple[Bend, float]]:
    """Bend and width of each clump of the fringe, in the order of drawing."""
    p, w, y = h.p, h.w, h.y
    f = p.fringe
    tips: list[tuple[Point, Point, Point, float]] = []
    if f == "bangs":
        n = p.locks
        low = p.eye_y - p.brow_y - 0.005
        for i in range(n):
            q = -0.86 + 1.72 * i / (n - 1)
            tip = low + 0.060 * q * q + (0.022 if i % 2 else -0.010) + h.jitter(0.008)
            lean = (0.05 if p.part > 0 else -0.05) * (1 - q * q) + h.jitter(0.008)
            bend = (q * w * 1.0 - lean, (y + low) / 2 - 0.02)
            tips.append(
                ((x0 + q * 0.10, y + 0.05), bend, (q * w * 0.94 + lean, tip), (3.3 if i % 2 else 2.5) * w / n)
            )
    elif f == "curtain":
        for s in (-1, 1):
            for q, tip in ((0.95, 0.10), (0.86, -0.04), (0.74, -0.14)):
                tips.append(
                    (
                        (x0 + s * 0.02, y + 0.05),
                        (s * w * (q * 0.75), y + 0.20),
                        (s * w * q, tip + h.jitter(0.01)),
                        0.135,
                    )
                )
    else:
        s = -1 if x0 > 0 else 1  # the way the longer part falls
        for q, tip in ((0.98, 0.03), (0.86, -0.09), (0.66, -0.165), (0.42, -0.21)):
            tips.append(
                (
                    (x0 - s * 0.01, y + 0.06),
                    (s * w * q * 0.62 + x0 * 0.2, y + 0.14),
                    (s * w * q, tip + h.jitter(0.012)),
                    0.165,
                )
            )
        for q, tip in ((0.96, -0.02), (0.88, -0.14)):
            tips.append(((x0, y + 0.06), (-s * w * 0.80, y + 0.13), (-s * w * q, tip + h.jitter(0.01)), 0.12))
    tips.sort(key=lambda t: -abs(t[2][0] - x0))
    return [((a, b, c), width) for a, b, c, width in tips]


def _fringe(canvas: skia.Canvas, h: _Hair, locks: list[tuple[Bend, float]]) -> None:
    for k, ((a, b, c), width) in enumerate(locks):
        gain = 0.12 if k % 2 else 0.0
        tones = [h.base, mix(h.base, h.light, 0.35 - 2 * gain), h.base, mix(h.base, h.dark, 0.35 + gain)]
        lock(canvas, (a, b, c), width, tones, h.line, h.alpha, root=0.42, belly=0.50, start=0.5)
        strand = [
            ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 0.03),
            ((b[0] * 2 + c[0]) / 3, (b[1] + c[1]) / 2 - 0.02),
            c,
        ]
        canvas.drawPath(curve(strand), stroke(h.line, 0.0042, 0.22 + 0.15 * h.p.line))


def _spikes(canvas: skia.Canvas, h: _Hair, y: float, size: float, n: int, lean: float) -> None:
    for i in range(n):
        q = -0.80 + 1.6 * i / (n - 1)
        x = q * h.w
        yy = y + 0.10 * q**4
        lock(canvas, ((x * 0.94 - lean * 0.5, yy - size * 1.3), (x - lean * 0.2, yy - size * 0.4),
        (x + lean + h.jitter(0.010), yy + h.jitter(0.008))),
             0.085, [h.base, h.base, h.mid], h.line, h.alpha * 0.7, root=0.5, start=0.4)  # fmt: skip


def _volume(canvas: skia.Canvas, h: _Hair, line_y: float) -> None:
    """Hair combed up and to one side from the hairline."""
    p, w, y = h.p, h.w, h.y
    s = 1 if p.part > 0 else -1
    n = 7
    for i in range(n):
        q = -0.70 + 1.42 * i / (n - 1)
        x = q * w * s
        lift = y - 0.035 + 0.16 * q * q * (1.0 if q < 0 else 0.75) + h.jitter(0.006)
        root = (x * 0.90 - s * 0.04, line_y + 0.030 + 0.085 * q * q)
        lean = 0.11 * (1 - 0.75 * max(q, 0) ** 2)
        lock(canvas, (root, (x - s * 0.10, lift + 0.02), (x + s * lean, lift + 0.045 + 0.03 * max(q, 0))),
        0.19,
             [h.mid, h.base, mix(h.base, h.light, 0.55), h.base], h.line, h.alpha, root=0.25,
             belly=0.40)  # fmt: skip
        canvas.drawPath(curve([root, (x - s * 0.065, (root[1] + lift) / 2 - 0.02), (x + s * 0.02,
        lift + 0.045)]),
                        stroke(h.line, 0.0045, 0.28))  # fmt: skip


def _curls(canvas: skia.Canvas, h: _Hair, line_y: float) -> None:
    w, y = h.w, h.y
    for row, (lift, gain) in enumerate(((0.0, h.mid), (0.11, h.base), (0.2, h.base))):
        n = 9 - row
        for i in range(n):
            q = -1 + 2 * i / (n - 1)
            x, yy = (
                q * w * (0.92 - 0.10 * row),
                line_y - 0.01 - lift + (0.20 + 0.10 * row) * q**2 + h.jitter(0.008),
            )
            r = 0.078 + h.jitter(0.006)
            paint = ramp(
                (x, max(yy - r, y - 0.05)),
                (x, yy + r),
                [mix(gain, h.light, 0.25), gain, mix(gain, h.mid, 0.6)],
            )
            shape(canvas, skia.Path().addOval(oval(x, yy, r, r * 0.95)), paint, h.line, h.pen, h.alpha * 0.45)


def _extras(canvas: skia.Canvas, h: _Hair) -> None:
    p, w, y = h.p, h.w, h.y
    if p.extra == "headband":
        arc = [(-w * 0.98, CY - 0.17), (-w * 0.82, y + 0.20), (-w * 0.42, y + 0.085), (0, y + 0.06)]
        canvas.drawPath(
            curve([*arc, *((-a, b) for a, b in reversed(arc[:-1]))]), stroke(tone(p.cloth2, 0.55), 0.052, 0.5)
        )
        canvas.drawPath(
            curve([*arc, *((-a, b) for a, b in reversed(arc[:-1]))]), stroke(tone(p.cloth2), 0.042)
        )
    if p.extra == "clips":
        s = 1 if p.part < 0 else -1
        for k, c in ((0.0, p.cloth), (0.05, p.cloth2)):
            ends = [(s * w * 0.66, y + 0.24 + k), (s * w * 0.88, y + 0.285 + k)]
            canvas.drawPath(curve(ends), stroke(h.line, 0.036, 0.8))
            canvas.drawPath(curve(ends), stroke(tone(c), 0.026))

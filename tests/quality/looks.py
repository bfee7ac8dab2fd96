"""`python -m tests.quality.looks`: edges, detail and mouth of the built-in avatars, in levels of 0..255.

Halo: colour at the edges that the picture's own edges do not have. Detail: what
changes outside the face where nothing moves there. Cut: hair that the picture's border cuts off. Mouth: its
sharpness beside the studio's own drawing of the same controls.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
import torch

from engine.expression import within_reach
from engine.pipeline import Engine
from engine.portrait import Portrait
from engine.train.data.studio import FULL, Studio, default_identities
from engine.train.models import geometry as geo
from engine.types import CONTROL_NAMES
from tests.reliability.report import tell

Bytes = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
SIZES_PX = (384, 768)
MOST_HALO = 3.0
MOST_CHANGE = 2.0
"""Bars in levels: a halo that is not seen (our choice), and the change outside the face that is asked for."""
LEAST_SHARP = 0.8
LEAST_MOUTH_DB = 26.0
EDGE_PX = 3
"""How far from an edge pixel, at 384 px, the person's own colours are looked for."""
POSES: tuple[Mapping[str, float], ...] = (
    {},
    {"headYaw": -0.6},
    {"headYaw": 0.6},
    {"headPitch": -0.6},
    {"headPitch": 0.6},
    {"headRoll": -0.6},
    {"headRoll": 0.6},
    {"headShift": -0.6},
    {"headShift": 0.6},
    {"headYaw": 0.3, "headRoll": 0.4, "headShift": 0.4},
    {"headYaw": -0.3, "headRoll": -0.4, "headShift": -0.4},
)
"""As far as a head moves while it performs: of a minute in each state the longest pose is 0.65 long."""
MOUTHS: tuple[Mapping[str, float], ...] = (
    {"jawOpen": 0.4},
    {"jawOpen": 1.0},
    {"jawOpen": 0.6, "mouthStretch": 0.9},
    {"jawOpen": 0.5, "mouthPucker": 0.7},
    {"jawOpen": 0.5, "mouthSmile": 0.8, "tongueUp": 0.8},
)


def edge_pixels(rgba: Bytes) -> npt.NDArray[np.bool_]:
    """Where a picture [S, S, 4] is neither whole nor gone: bool [S, S]."""
    alpha = rgba[..., 3]
    seen: npt.NDArray[np.bool_] = (alpha > 8) & (alpha < 247)
    return seen


def over_grey(rgba: Bytes) -> Float:
    """A straight RGBA picture over mid grey: float32 [S, S, 3], 0..255."""
    alpha = rgba[..., 3:].astype(np.float32) / 255.0
    laid: Float = rgba[..., :3] * alpha + np.float32(128.0) * (1.0 - alpha)
    return laid


def edge_colours(rgba: Bytes) -> Bytes:
    """What colours a picture has at its outline: uint8 [n, 3], every eighth level.

    Pixels within `EDGE_PX` (at 384 px) of an edge pixel that are covered by a quarter and more.
    """
    reach = max(1, round(EDGE_PX * rgba.shape[0] / 384))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    near = cv2.dilate(edge_pixels(rgba).astype(np.uint8), kernel) > 0
    pixels = rgba[near & (rgba[..., 3] >= 64), :3]
    return np.unique(pixels // 8 * 8 + 4, axis=0).astype(np.uint8)


def halo(rgba: Bytes, colours: Bytes) -> Float:
    """How far each edge pixel is from the nearest of some colours, as it shows: float32 [n], levels.

    Over any background a pixel of alpha a that has another colour than it should is off by a times the
    difference, so this is the halo on black, white and green alike. The mean over the three channels.
    """
    edge = rgba[edge_pixels(rgba)].astype(np.float32)
    nearest = np.full(len(edge), np.inf, np.float32)
    for some in np.array_split(colours.astype(np.float32), max(1, len(colours) // 64)):
        away = np.abs(edge[:, None, :3] - some).mean(axis=2)
        nearest = np.minimum(nearest, away.min(axis=1))
    shown: Float = nearest * edge[:, 3] / 255.0
    return shown


def change_outside(made: Bytes, reference: Bytes, box: tuple[float, float, float, float]) -> float:
    """Mean absolute difference of two pictures outside a box (-1..1), over mid grey, where either is seen.

    Returns:
        levels of 0..255.
    """
    side = len(made)
    left, top, right, bottom = (round((v + 1.0) * side / 2) for v in box)
    counted = np.maximum(made[..., 3], reference[..., 3]) > 8
    counted[top:bottom, left:right] = False
    difference = np.abs(over_grey(made) - over_grey(reference)).mean(axis=2)
    return float(difference[counted].mean())


def cut_share(rgba: Bytes, body_row: int) -> float:
    """Share of the outline above the shoulders that is the picture's border: 0 where no hair is cut off."""
    seen = rgba[..., 3] > 127
    inner = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    outline = seen & (inner == 0)
    border = np.ones_like(seen)
    border[1:, 1:-1] = False
    above = slice(0, body_row)
    return float((outline & border)[above].sum() / max(1, outline[above].sum()))


def sharpness(rgba: Bytes, box: geo.Box) -> float:
    """Variance of the Laplacian of the luminance in a box of the 384 px picture."""
    rows, columns = box.slices(rgba.shape[0])
    grey = cv2.cvtColor(np.ascontiguousarray(rgba[rows, columns, :3]), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


class Sitter:
    """One avatar at one size: frames of given controls, the others as in its picture."""

    def __init__(self, engine: Engine, name: str, size_px: int) -> None:
        manifest = engine.manifest
        self._mean = np.array(manifest.control_mean, np.float32)
        self._std = np.array(manifest.control_std, np.float32)
        self.portrait: Portrait = engine.portrait(name)
        self._decoder = engine.decoder(self.portrait, size_px)
        self.size_px = size_px
        self.reference: Bytes = self.portrait.ref_picture(size_px)
        self.rest: Float = self._mean + self._std * self.portrait.banks["ref_latent"].ravel()

    def controls(self, changed: Mapping[str, float]) -> Float:
        """Controls [21] of the picture with some of them changed."""
        controls = within_reach(self.rest)
        for name, value in changed.items():
            controls[CONTROL_NAMES.index(name)] = value
        return controls

    def frame(self, changed: Mapping[str, float] | None) -> Bytes:
        """A frame; None: of the picture's own latent."""
        latent: Float = self.portrait.banks["ref_latent"][0]
        if changed is not None:
            latent = ((self.controls(changed) - self._mean) / self._std).reshape(latent.shape)
        return self._decoder.decode(latent)


def of_edges(sitter: Sitter, box: tuple[float, ...]) -> dict[str, float]:
    """Halo of frames in `POSES`, and what the border cuts."""
    frames = [sitter.frame(pose) for pose in POSES]
    colours = edge_colours(np.asarray(sitter.portrait.view(sitter.size_px)))
    levels = np.concatenate([halo(frame, colours) for frame in frames])
    figures = {"halo": float(levels.mean()), "halo, 99 %": float(np.quantile(levels, 0.99))}
    body_row = int((box[3] + 1.0) * sitter.size_px / 2)
    figures["outline cut by the border"] = max(cut_share(frame, body_row) for frame in frames)
    return figures


def of_detail(sitter: Sitter, box: tuple[float, float, float, float]) -> dict[str, float]:
    """Change outside the face at the picture's own latent, and while only the mouth moves."""
    spoken = [change_outside(sitter.frame(mouth), sitter.reference, box) for mouth in MOUTHS]
    return {
        "change at rest": change_outside(sitter.frame(None), sitter.reference, box),
        "change, mouth moving": max(spoken),
    }


def of_mouth(sitter: Sitter, studio: Studio) -> dict[str, float]:
    """The mouth beside the studio's drawing of the same controls: sharpness, and how like it is."""
    rows = np.stack([sitter.controls(mouth) for mouth in MOUTHS])
    drawn = studio.render(torch.zeros(len(rows), dtype=torch.long), torch.from_numpy(rows), FULL(384))
    truth = (drawn.permute(0, 2, 3, 1).numpy() * 255.0 + 0.5).astype(np.uint8)
    frames = [sitter.frame(mouth) for mouth in MOUTHS]
    ratios = [sharpness(f, geo.LIPS) / sharpness(t, geo.LIPS) for f, t in zip(frames, truth, strict=True)]
    away = geo.LIPS.crop(
        torch.from_numpy((np.stack(frames).astype(np.float32) - truth)[..., :3].transpose(0, 3, 1, 2))
    )
    psnr_db = 20.0 * np.log10(255.0) - 10.0 * torch.log10(away.square().mean(dim=(1, 2, 3)))
    return {
        "mouth, sharpness of the drawing's": float(np.mean(ratios)),
        "mouth, dB from the drawing": float(psnr_db.mean()),
    }


def faults_of(name: str, figures: Mapping[str, float]) -> list[str]:
    """What of an avatar's figures misses its bar."""
    bars = {
        "halo": MOST_HALO,
        "change at rest": MOST_CHANGE,
        "change, mouth moving": MOST_CHANGE,
        "outline cut by the border": 0.0,
    }
    faults = [f"{name}: {k} {figures[k]:.2f}" for k, bar in bars.items() if figures[k] > bar]
    least = {
        "mouth, sharpness of the drawing's": LEAST_SHARP,
        "mouth, dB from the drawing": LEAST_MOUTH_DB,
    }
    return faults + [f"{name}: {k} {figures[k]:.2f}" for k, bar in least.items() if figures.get(k, bar) < bar]


def main(arguments: list[str] | None = None) -> int:
    """Tells the figures of every avatar at every size."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.looks", description=__doc__)
    parser.add_argument("--pack", default="nano", help="a shipped pack's name, or the folder of one")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES_PX, help="px")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    result: dict[str, object] = {}
    faults: list[str] = []
    people = default_identities()
    with Engine(args.pack, threads=1, provider="CPU") as engine:
        sides = np.array([patch.box for patch in engine.manifest.patches.values()])
        left, top = sides[:, :2].min(axis=0).tolist()
        right, bottom = sides[:, 2:].max(axis=0).tolist()
        box = (left, top, right, bottom)
        for name in engine.manifest.avatars:
            for size_px in args.sizes:
                sitter = Sitter(engine, name, size_px)
                figures = {**of_edges(sitter, box), **of_detail(sitter, box)}
                if size_px == 384 and name in people:
                    figures |= of_mouth(sitter, Studio([people[name]]))
                result[f"{name} {size_px}"] = {k: round(v, 3) for k, v in figures.items()}
                faults += faults_of(f"{name} {size_px}", figures)
    return tell(result, faults)


if __name__ == "__main__":
    sys.exit(main())

"""The portrait studio: warps and composites the painted layers and draws the face, batched over identities.

Picture coordinates are -1..1, y down. Everything is evaluated only inside the view and inside its own box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from engine.train.data import eyes, mouth
from engine.train.data.controls import neutral_controls, random_controls
from engine.train.data.hair import CY
from engine.train.data.identity import Identity, default_identities, sample_identity
from engine.train.data.paint import BOXES, UNITS, paint_layers
from engine.train.data.warp import ZOOM, Field, Maps, body, by_name, forward, head, jaw

__all__ = [
    "ANCHOR_NAMES", "EYE_VIEWS", "FULL", "MOUTH_VIEW", "Studio", "View", "default_identities",
    "neutral_controls",
    "random_controls", "sample_identity",
]  # fmt: skip


@dataclass(frozen=True)
class View:
    """A rectangle of the picture (coordinates -1..1, y down) and the pixels it is drawn with."""

    left: float
    top: float
    right: float
    bottom: float
    width_px: int
    height_px: int


def FULL(size_px: int) -> View:  # noqa: N802
    """The whole picture at `size_px` x `size_px`."""
    return View(-1.0, -1.0, 1.0, 1.0, size_px, size_px)


def _at_384(left: int, top: int, width: int, height: int) -> View:
    right, bottom = left + width, top + height
    return View(
        (left - 192) / 192, (top - 192) / 192, (right - 192) / 192, (bottom - 192) / 192, width, height
    )


MOUTH_VIEW = _at_384(144, 222, 96, 96)
EYE_VIEWS = (_at_384(110, 146, 80, 88), _at_384(194, 146, 80, 88))
"""The picture's left and right eye with its brow, mirror images of each other."""

ANCHOR_NAMES = (
    "leftEye", "rightEye", "leftBrow", "rightBrow", "noseTip", "mouthCentre", "mouthLeft", "mouthRight",
    "chin",
    "forehead", "leftEar", "rightEar", "hairLeft", "hairRight", "hairTop", "leftShoulder", "rightShoulder",
)  # fmt: skip
"""Left and right are the picture's."""
_DEPTHS = {
    "hair_back": -0.7,
    "face": 0.35,
    "nose": 1.15,
    "hair_front": 0.62,
    "eyes": eyes.DEPTH,
    "mouth": mouth.DEPTH,
}
_ANCHOR_Z = (0.72, 0.72, 0.8, 0.8, 1.15, 0.85, 0.85, 0.85, 0.35, 0.35, 0.35, 0.35, 0.62, 0.62, 0.62, 0.0, 0.0)
_SCALARS = (
    "line", "depth", "eye_x", "eye_y", "eye_w", "eye_h", "eye_tilt", "eye_round", "iris", "lash", "spikes",
    "brow_y",
    "brow_t", "brow_arc", "brow_tilt", "mouth_y", "mouth_w", "gap", "lip_t", "lip_alpha", "chin", "face_w",
    "top",
    "volume", "shoulder_w",
)  # fmt: skip
_CHUNK_PIXELS = 160_000
"""Pixels worked on at once on a CPU, so that the maps stay in its cache."""


def _paints(p: Identity) -> dict[str, Sequence[float]]:
    skin, hair, eye = np.array(p.skin), np.array(p.hair), np.array(p.eye)
    ink = skin * [0.44, 0.28, 0.27] + [0.02, 0.0, 0.0]
    lash = hair * 0.20 + skin * 0.05 if hair.mean() < 0.75 else skin * [0.30, 0.20, 0.18]
    brow = hair * 0.58 + skin * [0.06, 0.03, 0.02]
    return {
        "skin": skin, "lip": np.array(p.lip), "line": ink, "lashes": lash * [1.1, 0.9, 0.95], "brow": brow,
        "eye": eye,
        "eyerim": eye * 0.36, "pupil": eye * 0.16 + 0.01, "eyeglow": np.clip(eye * 1.15 + 0.28, 0, 1),
        "eyewhite": np.array([0.985, 0.975, 0.975]), "white": np.ones(3), "cavity": np.array([0.30, 0.08,
        0.10]),
        "tongue": np.array([0.86, 0.43, 0.45]), "teeth": np.array(mouth.TEETH),
        "shade4": np.full(3, 0.88), "glow4": np.full(3, 1.04), "dim4": np.full(3, 0.90),
    }  # fmt: skip


class Studio:
    """A set of painted identities that can be drawn with any controls.

    Args:
        seeds: whom to paint: seeds of `sample_identity` or identities.
        texture_px: detail of the layers; 512 suits pictures up to 384 pixels, 1024 up to 768.
        device: where to draw.
    """

    def __init__(
        self, seeds: Sequence[int | Identity], texture_px: int = 512, device: str | torch.device = "cpu"
    ) -> None:
        """Paints everyone."""
        self.identities = [s if isinstance(s, Identity) else sample_identity(s) for s in seeds]
        self.texture_px, self.device = texture_px, torch.device(device)
        painted = [paint_layers(p, texture_px) for p in self.identities]
        self._textures = {name: self._mips(np.stack([p[name] for p in painted])) for name in BOXES}
        values = [[float(getattr(p, name)) for name in _SCALARS] for p in self.identities]
        self._scalars = torch.tensor(values, dtype=torch.float32, device=self.device)
        paints = [_paints(p) for p in self.identities]
        self._paint_names = tuple(paints[0])
        colours = np.ones((len(paints), len(self._paint_names), 4), np.float32)
        colours[:, :, :3] = np.array([[row[n] for n in self._paint_names] for row in paints])
        self._colours = torch.from_numpy(colours).clamp(0, 1.1).to(self.device)

    def _mips(self, pixels: npt.NDArray[np.uint8]) -> list[torch.Tensor]:
        """uint8 [N, h, w, 4] -> the same at full, half and quarter size, a pixel packed into one int32."""
        level = torch.from_numpy(pixels)
        levels = []
        for i in range(3):
            levels.append(level.contiguous().view(torch.int32)[..., 0].to(self.device))
            if i < 2:
                rows = [F.avg_pool2d(row.permute(2, 0, 1).float(), 2).round().byte() for row in level]
                level = torch.stack(rows).permute(0, 2, 3, 1)
        return levels

    @torch.no_grad()
    def render(self, ids: torch.Tensor, controls: torch.Tensor, view: View) -> torch.Tensor:
        """Draws one picture for each row.

        Args:
            ids: int64 [B], index into the identities.
            controls: float32 [B, 21].
            view: what of the picture to draw.

        Returns:
            float32 [B, 4, height_px, width_px], premultiplied RGBA, 0..1.
        """
        ids, controls = ids.to(self.device), controls.to(self.device)
        size = max(1, len(ids))
        if self.device.type == "cpu":
            size = max(1, _CHUNK_PIXELS // (view.width_px * view.height_px))
        starts = range(0, len(ids), size)
        parts = [self._render(ids[i : i + size], controls[i : i + size], view) for i in starts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _parameters(self, ids: torch.Tensor) -> Maps:
        scalars, colours = self._scalars[ids], self._colours[ids]
        k = {name: scalars[:, i, None, None] for i, name in enumerate(_SCALARS)}
        k["outline"] = k["line"]
        k.update({name: colours[:, i, :, None, None] for i, name in enumerate(self._paint_names)})
        return k

    def _render(self, ids: torch.Tensor, controls: torch.Tensor, view: View) -> torch.Tensor:
        c, k = by_name(controls), self._parameters(ids)
        img = torch.zeros(len(ids), 4, view.height_px, view.width_px, device=self.device)
        frame = _Frame(view, c, self.device)
        pixel = frame.pixel

        def cover(distance: torch.Tensor) -> torch.Tensor:
            return (distance / pixel).add_(0.5).clamp_(0, 1)

        self._layer(img, ids, frame, "hair_back")
        self._layer(img, ids, frame, "body")
        self._layer(img, ids, frame, "face")
        self._layer(img, ids, frame, "nose")
        if window := frame.window(mouth.BOX, "mouth"):
            x, y = frame.rest(window, "mouth")
            mouth.draw_mouth(img[:, :3, window[0], window[1]], x, y, c, k, cover)
        seen = []
        for side in (-1, 1):
            if window := frame.window(eyes.box(side), "eyes"):
                x, y = frame.rest(window, "eyes")
                seen.append((img[:, :, window[0], window[1]], x, y, c, k, cover, side))
        for eye in seen:
            eyes.draw_eye(*eye)
        self._layer(img, ids, frame, "hair_front")
        for eye in seen:  # brows show through the fringe, as illustrators like it
            eyes.draw_brow(*eye)
        return img.clamp_(0, 1)

    def _layer(self, img: torch.Tensor, ids: torch.Tensor, frame: _Frame, name: str) -> None:
        """Warps one painted layer and lays it over img."""
        window = frame.window(BOXES[name], name)
        if window is None:
            return
        x, y = frame.rest(window, name)
        left, top, right, bottom = BOXES[name]
        level = 0
        texel = UNITS / self.texture_px
        while level < 2 and texel * 2**level * 1.5 < frame.pixel:
            level += 1
        pool = self._textures[name][level]
        h, w = pool.shape[1:]
        tx, ty = (x - left) * (w / (right - left)), (y - top) * (h / (bottom - top))  # in texels
        x0, x1 = max(0, int(tx.min()) - 1), min(w, int(tx.max()) + 2)
        y0, y1 = max(0, int(ty.min()) - 1), min(h, int(ty.max()) + 2)
        if x1 <= x0 or y1 <= y0:
            return
        part = pool[:, y0:y1, x0:x1][ids]
        texture = part.view(torch.uint8).view(*part.shape, 4).permute(0, 3, 1, 2).float()
        grid = torch.empty(*x.shape, 2, device=self.device)
        torch.add((tx - x0).mul_(2 / (x1 - x0)), -1, out=grid[..., 0])
        torch.add((ty - y0).mul_(2 / (y1 - y0)), -1, out=grid[..., 1])
        edge = "border" if name == "body" else "zeros"
        drawn = F.grid_sample(texture, grid, padding_mode=edge, align_corners=False).mul_(1 / 255)
        target = img[:, :, window[0], window[1]]
        target.mul_(1 - drawn[:, 3:]).add_(drawn)

    @torch.no_grad()
    def anchors(self, ids: torch.Tensor, controls: torch.Tensor) -> torch.Tensor:
        """Picture coordinates of `ANCHOR_NAMES`, which ride on the head without expression, [B, N, 2]."""
        ids, controls = ids.to(self.device), controls.to(self.device)
        k = {n: v[:, 0, 0] for n, v in self._parameters(ids).items() if v.dim() == 3}
        hair_x, hair_y = k["face_w"] + k["volume"] * 0.75, k["top"] - k["volume"] * 1.15
        zero = torch.zeros_like(hair_x)
        nose = 0.108 + 0.3 * (k["mouth_y"] - 0.22)
        right = [
            (k["eye_x"], k["eye_y"]), (k["eye_x"] * 1.03, k["eye_y"] - k["brow_y"]), (k["mouth_w"],
            k["mouth_y"]),
            (k["face_w"] + 0.02, zero + CY + 0.11), (hair_x, zero + CY - 0.1), (k["shoulder_w"], zero + 0.80),
        ]  # fmt: skip
        pairs = [[(-x, y), (x, y)] for x, y in right]
        centre = [(zero, nose), (zero, k["mouth_y"]), (zero, k["chin"]), (zero, zero - 0.30), (zero, hair_y)]
        points = [*pairs[0], *pairs[1], centre[0], centre[1], *pairs[2], centre[2], centre[3], *pairs[3],
        *pairs[4],
                  centre[4], *pairs[5]]  # fmt: skip
        rest = torch.stack([torch.stack(p, -1) for p in points], 1)
        z = torch.tensor(_ANCHOR_Z, device=self.device)
        rides = torch.tensor([n.endswith("Shoulder") for n in ANCHOR_NAMES], device=self.device)
        return forward(rest, by_name(controls), z, rides)

    @torch.no_grad()
    def landmarks(self, ids: torch.Tensor, controls: torch.Tensor) -> torch.Tensor:
        """The seven points of the face locator as they are drawn, expression included, [B, 7, 2]."""
        ids, controls = ids.to(self.device), controls.to(self.device)
        c, k = by_name(controls), self._parameters(ids)
        half, middle, corner = mouth.corners(c, k)
        zero = torch.zeros_like(half)
        nose = 0.108 + 0.3 * (k["mouth_y"] - 0.22)
        chin = k["chin"]
        for _ in range(6):
            chin = chin + k["chin"] - jaw(chin, c)
        points = [(-k["eye_x"], k["eye_y"]), (k["eye_x"], k["eye_y"]), (zero, nose), (-half, middle + corner),
                  (half, middle + corner), (zero, chin), (zero, zero - 0.30)]  # fmt: skip
        rest = torch.stack([torch.cat([x, y], -1)[:, 0] for x, y in points], 1)
        z = torch.tensor([0.72, 0.72, 1.15, 0.85, 0.85, 0.35, 0.35], device=self.device)
        return forward(rest, c, z, torch.zeros(7, dtype=torch.bool, device=self.device))

    @torch.no_grad()
    def aperture(self, ids: torch.Tensor, controls: torch.Tensor) -> torch.Tensor:
        """Drawn lip gap as a share of the gap at jawOpen 1, [B], 0..1; 0 when the lips touch."""
        c, k = by_name(controls.to(self.device)), self._parameters(ids.to(self.device))
        return (mouth.lip_gap(c, k) / k["gap"])[:, 0, 0].clamp(0, 1)


class _Frame:
    """The pixels of a view and where in the picture at rest they come from."""

    def __init__(self, view: View, c: Maps, device: torch.device) -> None:
        self.c = c
        xs = (torch.arange(view.width_px, device=device) + 0.5) / view.width_px
        ys = (torch.arange(view.height_px, device=device) + 0.5) / view.height_px
        self.x = ((view.left + xs * (view.right - view.left)) / ZOOM)[None, None, :]
        self.y = ((view.top + ys * (view.bottom - view.top)) / ZOOM)[None, :, None]
        self.pixel = (view.bottom - view.top) / view.height_px / ZOOM
        self.field = head(self.x, self.y, c)
        h, w = view.height_px, view.width_px
        self._step = max(1, h // 16), max(1, w // 16)
        self._rows, self._columns = (
            torch.arange(0, n + s - 1, s).clamp(max=n - 1) for n, s in zip((h, w), self._step, strict=True)
        )
        self._coarse = head(self.x[:, :, self._columns], self.y[:, self._rows], c)

    def _layer(
        self, field: Field, name: str, rows: slice, columns: slice, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if name == "body":
            return body(x, y, self.c, *field.at(0.0, rows, columns))
        x, y = field.at(_DEPTHS[name], rows, columns)
        if name == "face":
            return x, jaw(y, self.c)
        if name.startswith("hair"):  # hair that hangs swings behind the head
            x = x + (y + 0.25).clamp_(min=0).square_() * (0.05 * self.c["headYaw"])
        return x, y

    def rest(self, window: tuple[slice, slice], name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Rest coordinates [B, h, w] of the pixels of a window."""
        return self._layer(self.field, name, *window, self.x[:, :, window[1]], self.y[:, window[0]])

    def window(self, box: tuple[float, float, float, float], name: str) -> tuple[slice, slice] | None:
        """Rows and columns in which any picture of the batch shows the box (rest units), if any."""
        h, w = self.y.shape[1], self.x.shape[2]
        (step_y, step_x), every = self._step, slice(None)
        x, y = self._layer(
            self._coarse, name, every, every, self.x[:, :, self._columns], self.y[:, self._rows]
        )
        m = 1.2 * self.pixel
        inside = ((x > box[0] - m * step_x) & (x < box[2] + m * step_x)
                  & (y > box[1] - m * step_y) & (y < box[3] + m * step_y)).any(0)  # fmt: skip
        r, q = torch.nonzero(inside.any(1))[:, 0], torch.nonzero(inside.any(0))[:, 0]
        if len(r) == 0:
            return None
        top, bottom = int(self._rows[r[0]]), int(self._rows[r[-1]]) + 1
        left, right = int(self._columns[q[0]]), int(self._columns[q[-1]]) + 1
        return slice(max(0, top - step_y), min(h, bottom + step_y)), slice(
            max(0, left - step_x), min(w, right + step_x)
        )

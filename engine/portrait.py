"""One picture, read, aligned to the pack's framing, and what the graphs want to know of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from engine.errors import ModelError
from engine.runtime.manifest import LOCATOR_PX, REF_IMAGE_PX, Manifest
from engine.runtime.session import Graphs, GraphSession

Float = npt.NDArray[np.float32]
Points = npt.NDArray[np.complex128]

MAX_SIDE_PX = 8192
MIN_FACE_PX = 96
_ALIGNED = 0.06
"""3 % of the picture's width, in -1..1 coordinates: closer than this a picture is left untouched."""
_MISFIT = 0.2
_PASSES = 3


def read_picture(path: str | Path) -> Image.Image:
    """Reads PNG, JPEG or WebP, turned as its EXIF says; a picture without alpha is opaque.

    Raises:
        ModelError: the file is missing, no such picture, or larger than 8192 px.
    """
    try:
        with warnings.catch_warnings():
            # Our own cap, below, says it in the user's words.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
                if max(picture.size) > MAX_SIDE_PX:
                    raise ModelError(
                        f"picture {path} is {picture.width}x{picture.height} px, "
                        f"at most {MAX_SIDE_PX} on a side"
                    )
                return ImageOps.exif_transpose(picture).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise ModelError(f"picture {path} is too large, at most {MAX_SIDE_PX} px on a side") from error
    except FileNotFoundError as error:
        raise ModelError(f"picture {path} does not exist") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ModelError(f"picture {path} cannot be read as PNG, JPEG or WebP ({error})") from error


def to_planes(picture: Image.Image, *, premultiply: bool) -> Float:
    """RGBA picture to float32 [1, 4, H, W], 0..1."""
    rgba = np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255.0)
    if premultiply:
        rgba[:3] *= rgba[3:]
    return np.ascontiguousarray(rgba[None])


def bleed_edges(planes: Float) -> Float:
    """Spreads colours under transparent pixels, so that straight alpha never shows a halo.

    Push-pull (Gortler et al. 1996, "The Lumigraph", section 3.4): each pixel that is not there takes the
    mean colour of the next coarser level.

    Args:
        planes: float32 [4, H, W], straight RGB and alpha, 0..1.

    Returns:
        The same shape; alpha and every pixel of alpha 1/8 and more are unchanged.
    """
    rgb, alpha = planes[:3], planes[3:]
    height, width = alpha.shape[1:]
    if height == 1 and width == 1:
        return planes
    padded = np.pad(np.concatenate([rgb * alpha, alpha]), ((0, 0), (0, height % 2), (0, width % 2)))
    blocks = padded.reshape(4, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2).mean(axis=(2, 4))
    colour = blocks[:3] / np.maximum(blocks[3:], 1e-6)
    coarse = bleed_edges(np.concatenate([colour, blocks[3:]]))[:3]
    filled = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    weight = np.clip(alpha * 8.0, 0.0, 1.0)
    return np.concatenate([np.where(weight == 1.0, rgb, rgb * weight + filled * (1.0 - weight)), alpha])


def _plausible(eye_left: complex, eye_right: complex, mouth: complex) -> bool:
    """A face upright within about 45 degrees: eyes beside each other, the mouth below between them."""
    points = np.array([eye_left, eye_right, mouth])
    if not np.isfinite(points).all() or max(abs(points.real).max(), abs(points.imag).max()) > 1.2:
        return False
    across = eye_right - eye_left
    if abs(across) < 0.04 or abs(np.angle(across)) > np.pi / 4:
        return False
    down = (mouth - (eye_left + eye_right) / 2) / across
    return bool(0.35 < down.imag < 2.5 and abs(down.real) < 0.7)


class Portrait:
    """An aligned picture and its reference banks.

    Attributes:
        banks: outputs of `reference` by name, computed once.
    """

    def __init__(
        self,
        picture: Image.Image,
        graphs: Graphs,
        manifest: Manifest,
        *,
        align: bool = True,
        origin: str = "picture",
    ) -> None:
        """Aligns a picture and runs `reference`.

        Args:
            picture: any mode and size.
            graphs: the pack's sessions.
            manifest: the pack's manifest.
            align: False where the picture already has the pack's framing, as the decoder's own have.
            origin: what to call the picture in an error.

        Raises:
            ModelError: no face is found, or it is too small.
        """
        picture = picture.convert("RGBA")
        side = max(picture.size)
        self._turn, self._shift = 1 + 0j, 0j
        self._untouched = not align
        self._source = picture
        if picture.width != picture.height:
            self._source = Image.new("RGBA", (side, side))
            self._source.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        if align:
            self._align(graphs["face_locator"], manifest, picture.width == picture.height, origin)
        ref_image = to_planes(self.view(REF_IMAGE_PX), premultiply=True)
        self.banks: dict[str, npt.NDArray[Any]] = graphs["reference"].run({"ref_image": ref_image})
        self._ref_pictures: dict[int, npt.NDArray[np.uint8]] = {}

    def view(self, size_px: int) -> Image.Image:
        """The aligned picture at a size, straight RGBA."""
        if self._untouched:
            same = self._source.width == size_px
            return self._source if same else self._source.resize((size_px, size_px), Image.Resampling.LANCZOS)
        # Source pixels per output pixel: shrinking first keeps the transform from aliasing.
        step = abs(self._turn) * self._source.width / size_px
        source = self._source
        if step > 1.0:
            side = max(1, round(source.width / step))
            source = source.resize((side, side), Image.Resampling.LANCZOS)
        scale, half = source.width / size_px, source.width / 2
        corner = (self._shift - self._turn * (1 + 1j) + 1 + 1j) * half
        a, b = self._turn.real * scale, self._turn.imag * scale
        return source.transform(
            (size_px, size_px),
            Image.Transform.AFFINE,
            (a, -b, corner.real, b, a, corner.imag),
            Image.Resampling.BICUBIC,
        )

    def ref_picture(self, size_px: int) -> npt.NDArray[np.uint8]:
        """uint8 [S, S, 4]: straight RGB bled under the edges, and alpha; kept per size."""
        if size_px not in self._ref_pictures:
            planes = to_planes(self.view(size_px), premultiply=False)
            levels = np.rint(bleed_edges(planes[0]).clip(0.0, 1.0) * 255.0).astype(np.uint8)
            self._ref_pictures[size_px] = np.ascontiguousarray(levels.transpose(1, 2, 0))
        return self._ref_pictures[size_px]

    def _align(self, locator: GraphSession, manifest: Manifest, square: bool, origin: str) -> None:
        left, right, eyes_y = manifest.framing_eyes
        target = np.array([complex(left, eyes_y), complex(right, eyes_y), complex(*manifest.framing_mouth)])
        misfit = np.inf
        for number in range(_PASSES):
            points = self._locate(locator, origin)
            misfit = float(abs(points - target).max())
            if number == 0 and square and misfit <= _ALIGNED:
                self._untouched = True
                return
            if number > 0 and misfit <= _ALIGNED / 3:
                break
            # Similarity from the framing to the source, least squares (Umeyama 1991), as complex numbers.
            source = self._turn * points + self._shift
            centred, moved = target - target.mean(), source - source.mean()
            self._turn = complex((centred.conj() * moved).sum() / (abs(centred) ** 2).sum())
            self._shift = complex(source.mean() - self._turn * target.mean())
        if misfit > _MISFIT:
            raise self._no_face(origin)
        face_px = abs(self._turn) * self._source.width
        if face_px < MIN_FACE_PX:
            raise ModelError(
                f"{origin}: the head is only {face_px:.0f} px wide, at least {MIN_FACE_PX}; "
                "use a larger picture"
            )

    def _locate(self, locator: GraphSession, origin: str) -> Points:
        """Left eye, right eye and middle of the mouth in the current view, x + iy, -1..1."""
        image = to_planes(self.view(LOCATOR_PX), premultiply=True)
        xy = locator.run({"image": image})["landmarks"][0].astype(np.float64)
        marks = xy[:, 0] + 1j * xy[:, 1]
        points = np.array([marks[0], marks[1], (marks[3] + marks[4]) / 2])
        if not _plausible(*points):
            raise self._no_face(origin)
        return points

    def _no_face(self, origin: str) -> ModelError:
        return ModelError(
            f"{origin}: no face found; use one person's head and shoulders, from the front and upright"
        )

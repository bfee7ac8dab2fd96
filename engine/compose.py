"""A frame from what the decoder says: the picture moved by a flow, and new pixels laid over it.

OpenCV does it, on bytes and outside the graph: at 384 px in 1.1 ms where onnxruntime's operators took 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_MARGIN_PX = 1
_RELATIVE = cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP


def cut_out(picture: Bytes, box: Sequence[float], sides: Sequence[int]) -> Bytes:
    """A part of a picture, its edge going on outside.

    Args:
        picture: uint8 [S, S, 4].
        box: left, top, right, bottom of the part, -1..1 across the picture.
        sides: height and width of what is wanted.

    Returns:
        uint8 [height, width, 3], its RGB.
    """
    half, (left, top, right, bottom), (height, width) = picture.shape[0] / 2, box, sides
    xs = left + (np.arange(width) + 0.5) * ((right - left) / width)
    ys = top + (np.arange(height) + 0.5) * ((bottom - top) / height)
    places = cv2.merge(np.meshgrid(*((axis + 1.0) * half - 0.5 for axis in (xs, ys)))).astype(np.float32)
    return _sampled(np.ascontiguousarray(picture[..., :3]), places, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class Patch:
    """What lies over a part of the moved picture.

    Attributes:
        box: left, top, right, bottom of its place in the unmoved picture, -1..1.
        rgba: uint8 [h, w, 4], RGB multiplied by the cover, and the cover (255 hides the picture).
    """

    box: Sequence[float]
    rgba: Bytes


def paint(under: Bytes, flow: Float, levels: Bytes, box: Sequence[float]) -> Patch:
    """A patch of old pixels moved and new ones.

    Args:
        under: uint8 [h, w, 3], what the patch covers of the unmoved picture (`cut_out`).
        flow: float32 [2, h', w'] (x, y), how far from each of the patch's pixels the picture's pixel lies
            that it shows, in halves of the picture's side.
        levels: uint8 [h, w, 5], new RGB multiplied by their share, the share of the moved picture, and the
            cover: both shares together.
        box: see `Patch`.
    """
    (height, width), (left, top, right, bottom) = under.shape[:2], box
    offsets = _resized(flow, (width / (right - left), height / (bottom - top)), (height, width))
    moved = _sampled(under, offsets, _RELATIVE, cv2.BORDER_REPLICATE)
    # Planes split and joined by OpenCV are several times as fast as numpy's slices.
    red, green, blue, share, cover = cv2.split(levels)
    kept = cv2.split(cv2.multiply(moved, cv2.merge([share, share, share]), scale=1 / 255))
    rgb = [cv2.add(new, old) for new, old in zip((red, green, blue), kept, strict=True)]
    return Patch(box, cv2.merge([*rgb, cover]).astype(np.uint8, copy=False))


class Composer:
    """Makes frames of one picture at one size."""

    def __init__(self, ref_picture: Bytes, body_top: float) -> None:
        """Keeps the picture.

        Args:
            ref_picture: uint8 [S, S, 4], straight RGB bled under the edges, and alpha.
            body_top: from here down, -1..1, the picture's edge goes on outside it even if it is cut out.
        """
        self._side = ref_picture.shape[0]
        self._half_px = self._side / 2
        self._picture = _with_margin(ref_picture, int((body_top + 1.0) * self._half_px))

    def compose(self, flow: Float, patch_flow: Float, patches: Sequence[Patch]) -> Bytes:
        """One frame.

        Args:
            flow: float32 [2, h, w] (x, y), how far from each output pixel the picture's pixel lies, in
                halves of the picture's side.
            patch_flow: the same for the patches, in the unmoved picture.
            patches: each is laid over those before it.

        Returns:
            uint8 [S, S, 4], straight alpha (the moved picture's own).
        """
        sides = (self._side, self._side)
        offsets = _resized(flow, (self._half_px, self._half_px), sides, _MARGIN_PX)
        frame = _sampled(self._picture, offsets, _RELATIVE, cv2.BORDER_REPLICATE)
        # Once for all patches: resizing it costs as much as laying one of them over the frame.
        carried_px = _resized(patch_flow, (self._half_px, self._half_px), sides)
        for patch in patches:
            rows, columns = self._reach(patch_flow, patch.box)
            if rows.start < rows.stop and columns.start < columns.stop:
                seen = frame[rows, columns]
                seen[:] = _laid_over(seen, self._carried(carried_px, patch, rows, columns))
        return frame

    def _box_px(self, box: Sequence[float]) -> list[float]:
        sides: list[float] = ((np.asarray(box, np.float64) + 1.0) * self._half_px).tolist()
        return sides

    def _reach(self, patch_flow: Float, box: Sequence[float]) -> tuple[slice, slice]:
        """Rows and columns of the frame that a patch can reach."""
        side = self._side
        left, top, right, bottom = self._box_px(box)
        low, high = patch_flow.min(axis=(1, 2)), patch_flow.max(axis=(1, 2))
        first = np.array([left, top]) - high * self._half_px
        last = np.array([right, bottom]) - low * self._half_px
        x0, y0 = np.floor(first.clip(0, side)).astype(int).tolist()
        x1, y1 = np.ceil(last.clip(0, side)).astype(int).tolist()
        return slice(y0, y1), slice(x0, x1)

    def _carried(self, carried_px: Float, patch: Patch, rows: slice, columns: slice) -> Bytes:
        """A patch as it lies in a part of the frame: uint8 [rows, columns, 4]; the flow is in pixels."""
        height, width = patch.rgba.shape[:2]
        left, top, right, bottom = self._box_px(patch.box)
        scale_x, scale_y = width / (right - left), height / (bottom - top)
        offsets = carried_px[rows, columns] * np.array([scale_x, scale_y], np.float32)
        xs = ((np.arange(columns.start, columns.stop) + 0.5 - left) * scale_x - 0.5).astype(np.float32)
        ys = ((np.arange(rows.start, rows.stop) + 0.5 - top) * scale_y - 0.5).astype(np.float32)
        places = offsets + cv2.merge(np.meshgrid(xs, ys))
        return _sampled(patch.rgba, places, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)


def _with_margin(picture: Bytes, body_row: int) -> Bytes:
    """The picture and what lies outside it: uint8 [S + 2, S + 2, 4], its edge goes on from there.

    A cut-out head that moves leaves nothing behind, so outside it is transparent; from `body_row` down the
    body goes on, and so does the background of a picture that fills its frame.
    """
    m = _MARGIN_PX
    padded: Bytes = cv2.copyMakeBorder(picture, m, m, m, m, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    above = padded[: body_row + m, :, 3]
    edges = (above[:m], above[:, :m], above[:, -m:])
    if not all(edge.min() == 255 for edge in edges):
        for edge in edges:
            edge[:] = 0
    return padded


def _resized(flow: Float, scale: Sequence[float], sides: tuple[int, int], more: float = 0.0) -> Float:
    """A flow times a scale for x and y, and some more, at another size: float32 [height, width, 2]."""
    x, y = (part * np.float32(by) + np.float32(more) for part, by in zip(flow, scale, strict=True))
    height, width = sides
    resized: Float = cv2.resize(cv2.merge([x, y]), (width, height), interpolation=cv2.INTER_LINEAR)
    return resized


def _sampled(picture: Bytes, places: Float, how: int, border: int) -> Bytes:
    """The picture at places [H, W, 2] in its pixels."""
    # Its stubs forget that the second map may be left out.
    sampled: Bytes = cv2.remap(picture, places, None, how, borderMode=border)  # type: ignore[call-overload]
    return sampled


def _laid_over(frame: Bytes, laid: Bytes) -> Bytes:
    """Premultiplied pixels over straight ones; the frame keeps its alpha."""
    shown = cv2.bitwise_not(laid[..., 3])
    kept = cv2.multiply(frame, cv2.merge([shown, shown, shown, np.full_like(shown, 255)]), scale=1 / 255)
    laid[..., 3] = 0
    return cv2.add(kept, laid).astype(np.uint8, copy=False)

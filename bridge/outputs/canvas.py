"""The wide picture of a camera: the square avatar over a background, or a placeholder for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from bridge.errors import SettingError
from bridge.outputs.background import read_background

Pixels = npt.NDArray[np.uint8]

_INK = (235, 238, 242)
_SHADE = (0, 0, 0)


class Canvas:
    """Composes pictures of one size.

    Attributes:
        width_px: width of the pictures.
        height_px: their height.
    """

    def __init__(
        self, width_px: int, height_px: int, background: str, blur_px: float = 0.0, mirror: bool = False
    ) -> None:
        """Reads the background, once.

        Args:
            width_px: of the pictures.
            height_px: likewise.
            background: see `bridge.outputs.background`; not transparent.
            blur_px: see there.
            mirror: turn the avatar around, left for right; the background stays readable.

        Raises:
            SettingError: the background is not usable.
        """
        rgb = read_background(background, width_px, height_px, blur_px).rgb
        if rgb is None:
            raise SettingError("a camera's picture has no transparency; choose another background")
        self.width_px, self.height_px = width_px, height_px
        self._background = Image.fromarray(rgb)
        self._mirror = mirror

    def compose(self, rgba: Pixels) -> Pixels:
        """The avatar, as large as it fits, in the middle at the lower edge.

        Args:
            rgba: uint8 [S, S, 4], straight alpha.

        Returns:
            uint8 [height, width, 3].
        """
        avatar = Image.fromarray(rgba)
        size_px = min(self.width_px, self.height_px)
        if avatar.width != size_px:
            # Pillow resizes RGBA premultiplied, so that hidden colours do not bleed into the edge.
            avatar = avatar.resize((size_px, size_px), Image.Resampling.BILINEAR)
        if self._mirror:
            avatar = ImageOps.mirror(avatar)
        picture = self._background.copy()
        picture.paste(avatar, ((self.width_px - size_px) // 2, self.height_px - size_px), avatar)
        return np.asarray(picture)

    def placeholder(self, text: str) -> Pixels:
        """A figure and a line of text instead of the avatar, uint8 [height, width, 3]."""
        picture = self._background.copy()
        unit = min(self.width_px, self.height_px) / 12
        middle, draw = self.width_px / 2, ImageDraw.Draw(picture)
        head, shoulders = (-1.5, 2.5, 1.5, 5.5), (-2.5, 6.0, 2.5, 11.0)
        for (left, top, right, bottom), start_deg in ((head, 0), (shoulders, 180)):
            box = (middle + left * unit, top * unit, middle + right * unit, bottom * unit)
            draw.chord(box, start_deg, 360, fill=_INK)
        draw.text(
            (middle, 9.8 * unit), text, anchor="mm", font=ImageFont.load_default(0.7 * unit),
            fill=_INK, stroke_width=max(1, round(0.06 * unit)), stroke_fill=_SHADE,
        )  # fmt: skip
        return np.asarray(picture)

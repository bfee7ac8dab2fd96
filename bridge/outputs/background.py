"""What stands behind the avatar where an output has no transparency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageFilter, ImageOps, UnidentifiedImageError

from bridge.errors import SettingError

Pixels = npt.NDArray[np.uint8]

OPAQUE = "#20262e"
"""Behind the avatar where an output has no transparency and no background is asked for."""
CHECKER_SQUARE_PX = 16
CHECKER_GREYS = (204, 238)


@dataclass(frozen=True)
class Background:
    """A picture to lay the avatar on, or none.

    Attributes:
        rgb: uint8 [H, W, 3]; None keeps the avatar transparent.
    """

    rgb: Pixels | None

    def composite(self, rgba: Pixels) -> Pixels:
        """Lays a frame over the background, in sRGB as usual.

        Args:
            rgba: uint8 [H, W, 4], straight alpha.

        Returns:
            uint8 [H, W, 3], every value rounded to the nearest, or `rgba` itself where the background is
            transparent.
        """
        if self.rgb is None:
            return rgba
        behind, avatar = Image.fromarray(self.rgb), Image.fromarray(rgba)
        behind.paste(avatar, mask=avatar)
        return np.asarray(behind)


def read_background(text: str, width_px: int, height_px: int, blur_px: float = 0.0) -> Background:
    """Reads what a user wrote: `transparent`, `checker`, a colour or a picture file.

    Args:
        text: see above.
        width_px: of the result; a picture is cut to this shape.
        height_px: likewise.
        blur_px: standard deviation of the blur that a picture gets, once.

    Raises:
        SettingError: neither; the message names both readings.
    """
    if text == "transparent":
        return Background(None)
    if text == "checker":
        row, column = np.indices((height_px, width_px)) // CHECKER_SQUARE_PX
        grey = np.where((row + column) % 2 == 0, *CHECKER_GREYS).astype(np.uint8)
        return Background(np.repeat(grey[..., None], 3, axis=2))
    try:
        colour = ImageColor.getrgb(text)[:3]
    except ValueError:
        return Background(_read_picture(text, width_px, height_px, blur_px))
    return Background(np.full((height_px, width_px, 3), colour, np.uint8))


def _read_picture(text: str, width_px: int, height_px: int, blur_px: float) -> Pixels:
    path = Path(text)
    if not path.is_file():
        raise SettingError(
            f"background {text!r} is no colour (#20262e, navy), no picture file, not checker or transparent"
        )
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise SettingError(f"background {text}: not a picture that can be read (PNG, JPEG, WebP)") from error
    fitted = ImageOps.fit(upright, (width_px, height_px))
    return np.asarray(fitted.filter(ImageFilter.GaussianBlur(blur_px)) if blur_px else fitted, np.uint8)

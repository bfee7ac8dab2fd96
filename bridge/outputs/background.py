"""What stands behind the avatar where an output has no transparency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from bridge.errors import SettingError

Pixels = npt.NDArray[np.uint8]

CHECKER_SQUARE_PX = 16
CHECKER_GREYS = (204, 238)


@dataclass(frozen=True)
class Background:
    """A picture to lay the avatar on, or none.

    Attributes:
        rgb: uint8 [S, S, 3]; None keeps the avatar transparent.
    """

    rgb: Pixels | None

    def composite(self, rgba: Pixels) -> Pixels:
        """Lays a frame over the background, in sRGB as usual.

        Args:
            rgba: uint8 [S, S, 4], straight alpha.

        Returns:
            uint8 [S, S, 3], or `rgba` itself where the background is transparent.
        """
        if self.rgb is None:
            return rgba
        alpha = rgba[..., 3:].astype(np.uint16)
        mixed = rgba[..., :3] * alpha + self.rgb * (255 - alpha) + 128
        divided: Pixels = ((mixed + (mixed >> 8)) >> 8).astype(np.uint8)  # exactly mixed / 255, rounded
        return divided


def read_background(text: str, size_px: int) -> Background:
    """Reads what a user wrote: `transparent`, `checker`, a colour or a picture file.

    Raises:
        SettingError: neither; the message names both readings.
    """
    if text == "transparent":
        return Background(None)
    if text == "checker":
        row, column = np.indices((size_px, size_px)) // CHECKER_SQUARE_PX
        grey = np.where((row + column) % 2 == 0, *CHECKER_GREYS).astype(np.uint8)
        return Background(np.repeat(grey[..., None], 3, axis=2))
    try:
        colour = ImageColor.getrgb(text)[:3]
    except ValueError:
        return Background(_read_picture(text, size_px))
    return Background(np.broadcast_to(np.array(colour, np.uint8), (size_px, size_px, 3)))


def _read_picture(text: str, size_px: int) -> Pixels:
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
    return np.asarray(ImageOps.fit(upright, (size_px, size_px)), np.uint8)

"""Pictures between the engine's straight RGBA and what clients send and ask for."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from bridge.errors import PictureError

Pixels = npt.NDArray[np.uint8]

MAX_PICTURE_PX = 16_777_216
"""Most pixels of a picture from the wire: 4096 x 4096."""
JPEG_QUALITY = 85
WEBP_QUALITY = 80

FORMATS_WITH_ALPHA = ("RGBA", "BGRA", "WEBP")


def alpha_of(format_name: str, alpha: str) -> str:
    """What a format's pictures have: "straight", "premultiplied", or "none" where it cannot hold alpha."""
    return alpha if format_name in FORMATS_WITH_ALPHA else "none"


def convert(rgba: Pixels, format_name: str, alpha: str) -> bytes | memoryview:
    """Packs a picture for the wire.

    Args:
        rgba: uint8 [H, W, 4], straight alpha; H and W even for "I420".
        format_name: "RGBA", "BGRA": H rows of W pixels of 4 bytes. "I420": planes Y [H, W], U and V
            [H/2, W/2], BT.601, 16..235. "JPEG", "WEBP": a file.
        alpha: "straight", "premultiplied", or "none": the picture before black.

    Returns:
        The payload; of straight RGBA without a copy.
    """
    if alpha != "straight":
        rgba = premultiplied(rgba)
    return _PACKERS[format_name](rgba)


def premultiplied(rgba: Pixels) -> Pixels:
    """Multiplies colours by alpha, rounded to the nearest.

    Args:
        rgba: uint8 [H, W, 4], straight.

    Returns:
        uint8 [H, W, 4], where no colour is above its alpha.
    """
    return np.asarray(Image.fromarray(rgba).convert("RGBa"))


def read_picture(data: bytes | memoryview) -> Image.Image:
    """Decodes a picture from the wire, turned as its EXIF says; one without alpha is opaque.

    Raises:
        PictureError: it is no PNG, JPEG or WebP, is damaged, or has more than `MAX_PICTURE_PX` pixels.
    """
    try:
        with warnings.catch_warnings():
            # Our own cap, below, is told before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
                if picture.width * picture.height > MAX_PICTURE_PX:
                    raise PictureError(
                        f"the picture has {picture.width} x {picture.height} px; at most {MAX_PICTURE_PX} px "
                        "altogether are allowed; send a smaller one"
                    )
                return ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise PictureError(f"the payload cannot be read as PNG, JPEG or WebP ({reason})") from None


def _rgba(rgba: Pixels) -> memoryview:
    return np.ascontiguousarray(rgba).data


def _bgra(rgba: Pixels) -> memoryview:
    return np.ascontiguousarray(rgba[..., (2, 1, 0, 3)]).data


def _i420(rgba: Pixels) -> memoryview:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba[..., :3]), format="rgb24")
    planes = frame.reformat(format="yuv420p", dst_colorspace="ITU601").to_ndarray()
    return np.ascontiguousarray(planes).data


def _jpeg(rgba: Pixels) -> memoryview:
    return _file(Image.fromarray(rgba[..., :3]), "JPEG", quality=JPEG_QUALITY)


def _webp(rgba: Pixels) -> memoryview:
    return _file(Image.fromarray(rgba), "WEBP", quality=WEBP_QUALITY, method=0, exact=True)


def _file(picture: Image.Image, format_name: str, **options: object) -> memoryview:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getbuffer()


_PACKERS: dict[str, Callable[[Pixels], memoryview]] = {
    "RGBA": _rgba,
    "BGRA": _bgra,
    "I420": _i420,
    "JPEG": _jpeg,
    "WEBP": _webp,
}

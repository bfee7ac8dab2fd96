from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bridge.errors import PictureError
from bridge.pixels import MAX_PICTURE_PX, alpha_of, convert, premultiplied, read_picture
from bridge.protocol.messages import PIXEL_FORMATS

CHANCE = np.random.default_rng(1)
RGBA = np.asarray(Image.fromarray(CHANCE.integers(0, 256, (4, 6, 4), np.uint8)).resize((96, 64)))


def opened(data: bytes | memoryview) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_premultiplying_rounds_every_product_rightly() -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.stack([colour, colour, colour, alpha], axis=-1).astype(np.uint8)
    exact = np.floor(colour * alpha / 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(premultiplied(rgba)[..., 0], exact)
    np.testing.assert_array_equal(premultiplied(rgba)[..., 3], alpha)


def test_raw_formats() -> None:
    assert bytes(convert(RGBA, "RGBA", "straight")) == RGBA.tobytes()
    bgra = np.frombuffer(convert(RGBA, "BGRA", "premultiplied"), np.uint8).reshape(RGBA.shape)
    np.testing.assert_array_equal(bgra[..., [2, 1, 0, 3]], premultiplied(RGBA))


def test_straight_rgba_is_not_copied() -> None:
    frame = RGBA.copy()
    assert np.shares_memory(np.asarray(convert(frame, "RGBA", "straight")), frame)


def test_i420_has_its_planes_in_order() -> None:
    red = np.zeros((64, 96, 4), np.uint8)
    red[..., 0] = red[..., 3] = 255
    planes = bytes(convert(red, "I420", "none"))
    y, u, v = planes[: 96 * 64], planes[96 * 64 : 96 * 64 * 5 // 4], planes[96 * 64 * 5 // 4 :]
    assert len(u) == len(v) == 48 * 32
    for plane, level in ((y, 81), (u, 90), (v, 240)):  # BT.601, limited range
        assert abs(np.frombuffer(plane, np.uint8).mean() - level) <= 1.5


def test_files_are_near_the_picture() -> None:
    webp = opened(convert(RGBA, "WEBP", "straight"))
    assert webp.shape == RGBA.shape
    np.testing.assert_array_equal(webp[..., 3], RGBA[..., 3])
    jpeg = opened(convert(RGBA, "JPEG", "none")).astype(int)
    assert np.abs(jpeg - premultiplied(RGBA)[..., :3]).mean() < 12


def test_every_format_of_the_protocol_is_made() -> None:
    for name in PIXEL_FORMATS:
        assert len(convert(RGBA, name, alpha_of(name, "premultiplied")))
    assert alpha_of("I420", "straight") == alpha_of("JPEG", "straight") == "none"


def encoded(picture: Image.Image, format_name: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name)
    return file.getvalue()


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "JPEG"])
def test_pictures_from_the_wire(format_name: str) -> None:
    picture = Image.new("RGB", (20, 10), (200, 0, 0))
    assert read_picture(encoded(picture, format_name)).size == (20, 10)
    assert read_picture(memoryview(encoded(picture, format_name))).mode == "RGBA"


@pytest.mark.parametrize(
    "data",
    [b"", b"not a picture", encoded(Image.new("RGB", (64, 64)), "PNG")[:60],
     encoded(Image.new("RGB", (8, 8)), "BMP"), encoded(Image.new("L", (8, 8)), "GIF")],
)  # fmt: skip
def test_what_is_no_picture_is_told_in_one_line(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"PNG, JPEG or WebP") as caught:
        read_picture(data)
    assert "\n" not in str(caught.value)


def test_the_cap_on_pixels_at_its_edge() -> None:
    side = int(MAX_PICTURE_PX**0.5)
    assert read_picture(encoded(Image.new("1", (side, side)), "PNG")).size == (side, side)
    with pytest.raises(PictureError, match=f"{MAX_PICTURE_PX} px"):
        read_picture(encoded(Image.new("1", (side + 1, side)), "PNG"))

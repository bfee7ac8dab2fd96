from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import ModelError
from engine.pipeline import Engine
from engine.portrait import Portrait, bleed_edges, read_picture, to_planes
from tests.toy_pack import EYES, avatar_picture


def _portrait(engine: Engine, picture: Image.Image) -> Portrait:
    return Portrait(picture, engine.graphs, engine.manifest)


def _centre(channel: np.ndarray) -> tuple[float, float]:
    size = len(channel)
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    mass = channel.sum()
    return float((channel.sum(0) * axis).sum() / mass), float((channel.sum(1) * axis).sum() / mass)


def test_banks_are_outputs_of_reference(engine: Engine) -> None:
    banks = _portrait(engine, avatar_picture()).banks
    assert {name: bank.shape for name, bank in banks.items()} == {
        "ref_latent": (1, 21, 1, 1),
        "tint": (1, 3, 1, 1),
    }


def test_a_well_framed_picture_is_left_untouched(engine: Engine) -> None:
    picture = avatar_picture(256, scale=1.02)
    view = _portrait(engine, picture).view(256)
    np.testing.assert_array_equal(np.asarray(view), np.asarray(picture))
    levels = _portrait(engine, picture).ref_picture(256)
    opaque = np.asarray(picture)[..., 3] == 255
    np.testing.assert_array_equal(levels[opaque], np.asarray(picture)[opaque])
    np.testing.assert_array_equal(levels[..., 3], np.asarray(picture)[..., 3])


@pytest.mark.parametrize(("scale", "shift"), [(0.5, 0.2), (0.7, -0.2), (0.6, 0.0)])
def test_eyes_and_mouth_land_on_the_framing(engine: Engine, scale: float, shift: float) -> None:
    planes = to_planes(
        _portrait(engine, avatar_picture(512, scale=scale, shift=shift)).view(384), premultiply=True
    )
    for channel, x in zip(planes[0], EYES[:2], strict=False):
        assert _centre(channel) == pytest.approx((x, EYES[2]), abs=0.02)
    assert _centre(planes[0, 2]) == pytest.approx((0.0, 0.33), abs=0.02)


def test_a_tilted_head_is_turned_upright(engine: Engine) -> None:
    tilted = avatar_picture(512, scale=0.6).rotate(15, Image.Resampling.BICUBIC)
    planes = to_planes(_portrait(engine, tilted).view(384), premultiply=True)
    assert _centre(planes[0, 0])[1] == pytest.approx(_centre(planes[0, 1])[1], abs=0.02)


def test_a_picture_that_is_not_square(engine: Engine) -> None:
    wide = Image.new("RGBA", (600, 300))
    wide.paste(avatar_picture(300), (250, 0))
    planes = to_planes(_portrait(engine, wide).view(384), premultiply=True)
    assert _centre(planes[0, 2]) == pytest.approx((0.0, 0.33), abs=0.02)


def test_no_face_says_what_to_do(engine: Engine) -> None:
    upside_down = avatar_picture().transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    for picture in (Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), "white"), upside_down):
        with pytest.raises(ModelError, match="picture: no face found; use one person's head"):
            _portrait(engine, picture)


def test_a_head_of_few_pixels_is_refused(engine: Engine) -> None:
    with pytest.raises(ModelError, match=r"only \d+ px wide, at least 96"):
        _portrait(engine, avatar_picture(128, scale=0.4))


def test_reads_exif_orientation_and_formats_without_alpha(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.save(tmp_path / "a.webp")
    turned = read_picture(tmp_path / "a.jpg")
    assert (turned.mode, turned.size) == ("RGBA", (20, 40))
    assert turned.getchannel("A").getextrema() == (255, 255)
    assert read_picture(tmp_path / "a.webp").size == (40, 20)


def test_unreadable_pictures_are_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    avatar_picture().save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:600])
    (tmp_path / "text.png").write_text("hello")
    Image.new("L", (8193, 1)).save(tmp_path / "long.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "other.bmp")
    for name, said in {
        "cut.png": "cannot be read as PNG, JPEG or WebP",
        "text.png": "cannot be read",
        "other.bmp": "cannot be read",
        "long.png": "8193x1 px, at most 8192",
        "gone.png": "does not exist",
    }.items():
        with pytest.raises(ModelError, match=said) as caught:
            read_picture(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 64)])
def test_bleeding_fills_the_invisible_and_leaves_the_rest(size: tuple[int, int]) -> None:
    planes = np.zeros((4, *size), np.float32)
    planes[:, : size[0] // 2 + 1, : size[1] // 2 + 1] = np.array([0.9, 0.5, 0.1, 1.0])[:, None, None]
    bled = bleed_edges(planes)
    np.testing.assert_array_equal(bled[3], planes[3])
    np.testing.assert_array_equal(bled[:, planes[3] == 1], planes[:, planes[3] == 1])
    np.testing.assert_allclose(bled[:3].min(axis=(1, 2)), [0.9, 0.5, 0.1], atol=1e-4)


def test_bleeding_of_nothing_is_finite() -> None:
    assert np.isfinite(bleed_edges(np.zeros((4, 8, 8), np.float32))).all()

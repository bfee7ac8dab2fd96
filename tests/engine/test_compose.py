from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.compose import Composer, Patch, cut_out, paint

SIDE = 64
BOX = (-0.5, -0.25, 0.5, 0.25)
"""Columns 16 to 48, rows 24 to 40."""
BODY = BOX[3]
STILL = np.zeros((2, 4, 4), np.float32)


def picture() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8)


def moved(x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.float32]:
    """A flow that takes every pixel from so many pixels to the right and below."""
    flow = STILL.copy()
    flow[0], flow[1] = x * 2 / SIDE, y * 2 / SIDE
    return flow


def test_what_does_not_move_stays_to_the_last_level() -> None:
    np.testing.assert_array_equal(Composer(picture(), BODY).compose(STILL, STILL, []), picture())


def test_a_flow_moves_a_filled_picture_and_its_edge_goes_on() -> None:
    filled = picture()
    filled[..., 3] = 255
    made = Composer(filled, BODY).compose(moved(x=3.0, y=-2.0), STILL, [])
    np.testing.assert_array_equal(made[2:, :-3], filled[:-2, 3:])
    np.testing.assert_array_equal(made[2:, -3:], filled[:-2, -1:].repeat(3, axis=1))


def test_a_cut_out_person_ends_at_the_border_and_only_the_body_goes_on() -> None:
    person = np.full((SIDE, SIDE, 4), 255, np.uint8)
    person[:4, :4, 3] = 0
    made = Composer(person, BODY).compose(moved(x=3.0), STILL, [])
    assert (made[:40, -3:, 3] == 0).all() and (made[:40, 4:-3, 3] == 255).all()
    assert (made[40:, :, 3] == 255).all()
    made = Composer(person, BODY).compose(moved(y=5.0), STILL, [])
    assert (made[:, :, 3] == 255).all()
    made = Composer(person, BODY).compose(moved(y=-5.0), STILL, [])
    assert (made[:5, :, 3] == 0).all() and (made[9:, :, 3] == 255).all()
    assert (made[..., :3] == 255).all()


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (-7, 4), (40, 0), (200, 200)])
def test_a_patch_covers_its_box_where_the_patch_flow_carries_it(x: int, y: int) -> None:
    rgba = np.full((16, 32, 4), 255, np.uint8)
    rgba[..., 1] = 0
    made = Composer(picture(), BODY).compose(STILL, moved(x, y), [Patch(BOX, rgba)])
    truth = picture()
    rows = slice(max(0, 24 - y), max(0, 40 - y))
    columns = slice(max(0, 16 - x), max(0, 48 - x))
    truth[rows, columns, :3] = (255, 0, 255)
    np.testing.assert_array_equal(made, truth)


def test_a_later_patch_lies_over_an_earlier_one() -> None:
    red, blue = (np.zeros((16, 32, 4), np.uint8) for _ in range(2))
    red[..., 0] = red[..., 3] = 255
    blue[:, :16, 2] = blue[:, :16, 3] = 255
    made = Composer(picture(), BODY).compose(STILL, STILL, [Patch(BOX, red), Patch(BOX, blue)])[24:40, 16:48]
    assert (made[:, :16, :3] == (0, 0, 255)).all()
    assert (made[:, 17:, :3] == (255, 0, 0)).all()


def test_cover_mixes_and_leaves_alpha_alone() -> None:
    rgba = np.zeros((16, 32, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 100, 128
    made = Composer(picture(), BODY).compose(STILL, STILL, [Patch(BOX, rgba)])[24:40, 16:48].astype(float)
    before = picture()[24:40, 16:48].astype(float)
    wanted = before * np.array([127, 127, 127, 255]) / 255 + np.array([100, 0, 0, 0])
    np.testing.assert_allclose(made, wanted.clip(0, 255), atol=1)


def test_the_picture_given_is_not_touched() -> None:
    kept = picture()
    Composer(kept, BODY).compose(moved(2.0, 2.0), STILL, [Patch(BOX, np.full((16, 32, 4), 255, np.uint8))])
    np.testing.assert_array_equal(kept, picture())


def test_a_part_is_cut_out_pixel_by_pixel_and_resized() -> None:
    whole = picture()
    np.testing.assert_array_equal(cut_out(whole, BOX, (16, 32)), whole[24:40, 16:48, :3])
    beyond = cut_out(whole, (-2.0, -2.0, 0.0, 0.0), (64, 64))
    np.testing.assert_array_equal(beyond[32:, 32:], whole[:32, :32, :3])
    np.testing.assert_array_equal(beyond[0, 0], whole[0, 0, :3])
    assert cut_out(whole, BOX, (8, 8)).shape == (8, 8, 3)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2)])
def test_a_patch_mixes_moved_pixels_and_new_ones(x: int, y: int) -> None:
    under = picture()[24:40, 16:48, :3].copy()
    levels = np.zeros((16, 32, 5), np.uint8)
    levels[:, :16, 3] = levels[:, :16, 4] = 255  # only what is moved
    levels[:, 16:, 1], levels[:, 16:, 4] = 200, 255  # only what is new
    patch = paint(under, moved(x, y), levels, BOX)
    assert patch.box == BOX
    np.testing.assert_array_equal(patch.rgba[2:-2, :16, :3], under[2 + y : 14 + y, x : 16 + x])
    assert (patch.rgba[:, 16:, :3] == (0, 200, 0)).all()
    assert (patch.rgba[..., 3] == 255).all()

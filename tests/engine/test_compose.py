from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.compose import Composer

SIDE = 64
BOX = (-0.5, -0.25, 0.5, 0.25)
"""Columns 16 to 48, rows 24 to 40."""
STILL = np.zeros((2, 4, 4), np.float32)
NOTHING = np.zeros((8, 16, 4), np.uint8)


def picture() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8)


def moved(x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.float32]:
    """A flow that takes every pixel from so many pixels to the right and below."""
    flow = STILL.copy()
    flow[0], flow[1] = x * 2 / SIDE, y * 2 / SIDE
    return flow


def test_what_does_not_move_stays_to_the_last_level() -> None:
    np.testing.assert_array_equal(Composer(picture(), BOX).compose(STILL, STILL, NOTHING), picture())


def test_a_flow_moves_the_picture_and_its_edge_goes_on() -> None:
    made = Composer(picture(), BOX).compose(moved(x=3.0, y=-2.0), STILL, NOTHING)
    np.testing.assert_array_equal(made[2:, :-3], picture()[:-2, 3:])
    np.testing.assert_array_equal(made[2:, -3:], picture()[:-2, -1:].repeat(3, axis=1))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (-7, 4), (40, 0), (200, 200)])
def test_a_sheet_covers_its_box_where_the_patch_flow_carries_it(x: int, y: int) -> None:
    sheet = np.full((16, 32, 4), 255, np.uint8)
    sheet[..., 1] = 0
    made = Composer(picture(), BOX).compose(STILL, moved(x, y), sheet)
    truth = picture()
    rows = slice(max(0, 24 - y), max(0, 40 - y))
    columns = slice(max(0, 16 - x), max(0, 48 - x))
    truth[rows, columns, :3] = (255, 0, 255)
    np.testing.assert_array_equal(made, truth)


def test_cover_mixes_and_leaves_alpha_alone() -> None:
    sheet = np.zeros((16, 32, 4), np.uint8)
    sheet[..., 0], sheet[..., 3] = 100, 128
    made = Composer(picture(), BOX).compose(STILL, STILL, sheet)[24:40, 16:48].astype(float)
    before = picture()[24:40, 16:48].astype(float)
    wanted = before * np.array([127, 127, 127, 255]) / 255 + np.array([100, 0, 0, 0])
    np.testing.assert_allclose(made, wanted.clip(0, 255), atol=1)


def test_the_picture_given_is_not_touched() -> None:
    kept = picture()
    Composer(kept, BOX).compose(moved(2.0, 2.0), STILL, np.full((16, 32, 4), 255, np.uint8))
    np.testing.assert_array_equal(kept, picture())

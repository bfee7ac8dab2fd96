"""The figures of `tests.quality.looks` on pictures whose answer is known."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from engine.train.models import geometry as geo
from tests.quality.looks import change_outside, cut_share, edge_colours, halo, main, sharpness

SIDE = 384
BROWN = (150, 80, 40)


def disc(x: float = 192.0, colour_outside: tuple[int, int, int] = BROWN) -> npt.NDArray[np.uint8]:
    """A brown disc of 100 px with an edge of some pixels, straight alpha."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE]
    alpha = np.clip((100.0 - np.hypot(xs - x, ys - 192.0)) / 3.0 + 0.5, 0.0, 1.0)
    rgba = np.empty((SIDE, SIDE, 4), np.uint8)
    rgba[..., :3] = np.where(alpha[..., None] > 0.99, BROWN, colour_outside)
    rgba[..., 3] = np.rint(alpha * 255.0)
    return rgba


def test_an_edge_of_its_own_colour_has_no_halo_wherever_it_lies() -> None:
    colours = edge_colours(disc())
    assert halo(disc(), colours).max() <= 4.0
    assert halo(disc(x=150.0), colours).max() <= 4.0


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (0, 177, 64)])
def test_a_foreign_edge_is_a_halo_as_strong_as_it_shows(colour: tuple[int, int, int]) -> None:
    levels = halo(disc(colour_outside=colour), edge_colours(disc()))
    away = np.abs(np.array(colour) - BROWN).mean()
    assert 0.3 * away < levels.mean() < 0.7 * away and levels.max() < away + 4.0


def test_change_is_counted_outside_the_box_and_where_something_is_seen() -> None:
    box = (-0.25, -0.25, 0.25, 0.25)
    changed = disc()
    changed[144:240, 144:240, :3] = 255
    assert change_outside(changed, disc(), box) == 0.0
    changed[..., :3] += 5
    assert change_outside(changed, disc(), box) == pytest.approx(5.0, abs=0.4)
    unseen = disc()
    unseen[unseen[..., 3] == 0, :3] = 9
    assert change_outside(unseen, disc(), box) == 0.0


def test_the_border_cuts_what_reaches_it_but_for_the_body() -> None:
    assert cut_share(disc(), SIDE) == 0.0
    half = cut_share(disc(x=0.0), SIDE)
    assert half == pytest.approx(2.0 / (2.0 + np.pi), abs=0.06)
    assert cut_share(disc(x=0.0), 80) == 0.0


def test_a_blurred_mouth_is_less_sharp() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.0)
    assert sharpness(soft, geo.LIPS) < 0.3 * sharpness(noise, geo.LIPS)


def test_the_built_in_avatars(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "384"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in ("amber 384", "mika 384", "theo 384"):
        row = figures[name]
        assert row["halo"] < 3.0 and row["outline cut by the border"] == 0.0
        assert row["change at rest"] == 0.0 and row["change, mouth moving"] < 2.0

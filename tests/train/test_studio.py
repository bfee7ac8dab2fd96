"""The portrait studio: shapes, determinism, labels; every control shows, and only inside its crop."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skia")

import torch

from engine.train.data.studio import (
    ANCHOR_NAMES,
    EYE_VIEWS,
    FULL,
    MOUTH_VIEW,
    Studio,
    default_identities,
    neutral_controls,
    random_controls,
    sample_identity,
)
from engine.types import CONTROL_NAMES

SIGNED = {"eyeLookX", "eyeLookY", "headYaw", "headPitch", "headRoll", "headShift", "breath"}
HEAD = ("headYaw", "headPitch", "headRoll", "headShift", "breath")
IDS = torch.arange(4)


@pytest.fixture(scope="module")
def studio() -> Studio:
    torch.set_num_threads(1)
    return Studio([*default_identities().values(), 5], texture_px=256)


def controls(**values: float) -> torch.Tensor:
    c = torch.zeros(len(IDS), len(CONTROL_NAMES))
    for name, value in values.items():
        c[:, CONTROL_NAMES.index(name)] = value
    return c


def test_render_gives_premultiplied_rgba_of_the_view(studio: Studio) -> None:
    c = torch.from_numpy(random_controls(4, np.random.default_rng(0)))
    for view in (FULL(64), MOUTH_VIEW, *EYE_VIEWS):
        img = studio.render(IDS, c, view)
        assert img.shape == (4, 4, view.height_px, view.width_px)
        assert img.dtype == torch.float32
        assert img.min() >= 0
        assert img.max() <= 1
        assert (img[:, :3] <= img[:, 3:] + 0.02).all()


def test_a_crop_is_the_same_picture_as_the_whole(studio: Studio) -> None:
    c = torch.from_numpy(random_controls(4, np.random.default_rng(3)))
    whole = studio.render(IDS, c, FULL(384))
    for view in (MOUTH_VIEW, *EYE_VIEWS):
        left, top = round((view.left + 1) * 192), round((view.top + 1) * 192)
        part = whole[:, :, top : top + view.height_px, left : left + view.width_px]
        assert (part - studio.render(IDS, c, view)).abs().max() < 0.02


@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_every_control_changes_the_picture_and_faces_only_their_crops(studio: Studio, name: str) -> None:
    rest = {"jawOpen": 0.5} if name in ("mouthClose", "tongueUp") else {}
    a, b = (studio.render(IDS, controls(**(rest | more)), FULL(384)) for more in ({}, {name: 1.0}))
    change = (a - b).abs().amax(1)
    assert (change.amax((1, 2)) > 0.1).all()
    if name in HEAD:
        return
    if name in ("jawOpen", "mouthClose"):
        change[:, 230:] = 0  # the outline of the jaw may move outside the crop
    covered = torch.zeros(384, 384, dtype=torch.bool)
    for view in (MOUTH_VIEW, *EYE_VIEWS):
        left, top = round((view.left + 1) * 192), round((view.top + 1) * 192)
        covered[top : top + view.height_px, left : left + view.width_px] = True
    assert (change * ~covered).max() < 0.02


def test_mouth_fits_its_crop_for_many_identities() -> None:
    studio = Studio(range(24), texture_px=128)
    rng = np.random.default_rng(1)
    ids, c = torch.arange(24), torch.from_numpy(random_controls(24, rng))
    for name in HEAD:
        c[:, CONTROL_NAMES.index(name)] = 0
    still = c.clone()
    for name in CONTROL_NAMES:
        if (name.startswith("mouth") and name not in ("mouthClose", "mouthSmile")) or name == "tongueUp":
            still[:, CONTROL_NAMES.index(name)] = 0
    view = FULL(384)
    change = (studio.render(ids, c, view) - studio.render(ids, still, view)).abs().amax((0, 1))
    left, top = round((MOUTH_VIEW.left + 1) * 192), round((MOUTH_VIEW.top + 1) * 192)
    assert change.max() > 0.3
    change[top + 4 : top + 92, left + 4 : left + 92] = 0
    assert change.max() < 0.02


def test_same_seed_same_picture() -> None:
    c = torch.from_numpy(neutral_controls(1, np.random.default_rng(0)))
    zero = torch.zeros(1, dtype=torch.int64)
    a, b = (Studio([11], texture_px=128).render(zero, c, FULL(64)) for _ in range(2))
    assert torch.equal(a, b)
    assert sample_identity(11) == sample_identity(11)
    assert sample_identity(11) != sample_identity(12)


def test_aperture_is_zero_exactly_when_lips_touch(studio: Studio) -> None:
    assert (studio.aperture(IDS, controls()) == 0).all()
    assert (studio.aperture(IDS, controls(jawOpen=1.0, mouthClose=1.0)) == 0).all()
    assert torch.allclose(studio.aperture(IDS, controls(jawOpen=1.0)), torch.ones(4))
    assert (studio.aperture(IDS, controls(jawOpen=0.1)) > 0.05).all()
    shut, pressed = (
        studio.render(IDS, controls(**k), MOUTH_VIEW) for k in ({}, {"jawOpen": 0.02, "mouthClose": 1.0})
    )
    assert (shut - pressed).abs().mean() < 0.02


def test_eye_views_mirror_each_other() -> None:
    left, right = EYE_VIEWS
    assert (left.left, left.right) == (-right.right, -right.left)
    assert (left.top, left.bottom, left.width_px, left.height_px) == (right.top, right.bottom, 80, 88)
    assert MOUTH_VIEW.left == -MOUTH_VIEW.right


def test_anchors_follow_the_head_but_not_the_face(studio: Studio) -> None:
    rest = studio.anchors(IDS, controls())
    assert rest.shape == (4, len(ANCHOR_NAMES), 2)
    assert torch.equal(rest, studio.anchors(IDS, controls(jawOpen=1.0, mouthSmile=1.0, browDown=1.0)))
    turned = studio.anchors(IDS, controls(headYaw=1.0))
    nose, shoulder = ANCHOR_NAMES.index("noseTip"), ANCHOR_NAMES.index("leftShoulder")
    assert (turned[:, nose, 0] - rest[:, nose, 0] > 0.08).all()
    assert (turned[:, shoulder] - rest[:, shoulder]).abs().max() < 0.02


def test_landmarks_follow_the_expression(studio: Studio) -> None:
    rest, opened = (studio.landmarks(IDS, controls(jawOpen=v)) for v in (0.0, 1.0))
    assert rest.shape == (4, 7, 2)
    assert (opened[:, 5, 1] - rest[:, 5, 1] > 0.04).all()
    assert torch.allclose(opened[:, :3], rest[:, :3])


@pytest.mark.parametrize("draw", [random_controls, neutral_controls])
def test_controls_stay_in_range(draw: object) -> None:
    assert callable(draw)
    c = draw(500, np.random.default_rng(0))
    assert c.shape == (500, 21)
    assert c.dtype == np.float32
    for i, name in enumerate(CONTROL_NAMES):
        assert c[:, i].min() >= (-1 if name in SIGNED else 0)
        assert c[:, i].max() <= 1

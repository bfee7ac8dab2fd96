from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.decode import UNSEEN_LEVELS
from engine.pipeline import Engine
from tests.toy_pack import CONTROLS, LATENT, build_toy_pack


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(build_toy_pack(tmp_path), threads=1, provider="CPU")


def latent(first: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    values = np.zeros(LATENT, np.float32)
    values[0] = first
    return values


def test_a_patch_is_drawn_anew_only_where_its_controls_have_moved(engine: Engine) -> None:
    """The toy's light follows the latents: 127 levels per unit of the first, told as 255."""
    with engine:
        portrait = engine.portrait()
        exact, reusing = (engine.decoder(portrait, 64, live=live) for live in (False, True))
        np.testing.assert_array_equal(reusing.decode(latent(0.2)), exact.decode(latent(0.2)))
        # Small steps are not drawn, one by one, but add up until they are.
        step = 0.4 * UNSEEN_LEVELS / 255.0
        kept, third, fourth = (reusing.decode(latent(0.2 + k * step)) for k in (1, 2, 3))
        np.testing.assert_array_equal(kept, exact.decode(latent(0.2)))
        np.testing.assert_array_equal(third, exact.decode(latent(0.2)))
        np.testing.assert_array_equal(fourth, exact.decode(latent(0.2 + 3 * step)))
        assert (exact.decode(latent(0.2 + step)) != exact.decode(latent(0.2))).any()


def test_controls_without_effect_do_not_count(tmp_path: Path) -> None:
    levels = [0.0] * CONTROLS
    levels[1] = 255.0
    patches = {"light": {"box": [-2.0, -2.0, 2.0, 2.0], "levels_per_unit": levels}}
    with Engine(build_toy_pack(tmp_path, patches=patches), threads=1, provider="CPU") as engine:
        decoder = engine.decoder(engine.portrait(), 64, live=True)
        np.testing.assert_array_equal(decoder.decode(latent(0.1)), decoder.decode(latent(0.9)))
